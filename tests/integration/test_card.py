"""The commands that the design card names, as they stand, in a fresh copy of the repository."""

import contextlib
import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.integration.cluster import LIMIT_S, ROOT, STOP_S, environment
from tests.multihost.host_process import HostProcess, launch
from tests.multihost.wait import wait_until

DEFAULT_PORTS = (12000, 11001, 11002, 11003)


@pytest.fixture
def prefix() -> Iterator[list[str]]:
    """A command by which others run where lan.yaml's ports are free: a network of their own."""
    if os.geteuid() == 0 and shutil.which("ip"):
        with own_network() as prefix:
            yield prefix
        return
    with (Path(tempfile.gettempdir()) / "shoal-default-ports.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wait_until(lambda: all(map(is_free, DEFAULT_PORTS)), LIMIT_S, "the default ports are free")
        yield []


@contextlib.contextmanager
def own_network() -> Iterator[list[str]]:
    script = "ip link set lo up && echo up && exec sleep 600"
    command = ["unshare", "--net", "sh", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        try:
            assert holder.stdout.readline() == b"up\n"
            yield ["nsenter", f"--net=/proc/{holder.pid}/ns/net", "--"]
        finally:
            holder.kill()


def is_free(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    ls_files = ["git", "ls-files", "-coz", "--exclude-standard"]
    listed = subprocess.run(ls_files, cwd=ROOT, capture_output=True, check=True)
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file() and not name.startswith("tests/"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def stop(processes: Sequence[HostProcess]) -> list[int]:
    for process in processes:
        process.send_signal(signal.SIGTERM)
    try:
        return [process.wait(STOP_S) for process in processes]
    finally:
        for process in processes:
            process.kill()


def test_the_cards_three_commands_work_as_they_stand(clone: Path, prefix: list[str]) -> None:
    env = environment()

    def line(words: str) -> list[str]:
        return [*prefix, sys.executable, *words.split()[1:]]

    staying = []
    try:
        for words in (
            "python cli.py tracker --config lan.yaml",
            "python cli.py node n1",
            "python cli.py node n2",
            "python cli.py node n3",
        ):
            output = clone / words.replace(" ", "-")
            staying.append(launch(line(words), output, cwd=clone, env=env))
        tracker = staying[0]
        wait_until(lambda: "n3 holds" in tracker.stderr, LIMIT_S, "n3 is there")
        wait_until(lambda: "n2 holds" in tracker.stderr, LIMIT_S, "n2 is there")
        fetch = line("python cli.py fetch seeds.txt --as n1")
        done = subprocess.run(fetch, cwd=clone, env=env, capture_output=True, check=False)
    finally:
        codes = stop(staying)
    assert done.returncode == 0, done.stderr
    assert re.match(rb"seeds.txt v1, published by n[23]: 371 B in ", done.stdout)
    fetched = (clone / "config/n1/seeds.txt").read_bytes()
    assert fetched == (ROOT / "config/n2/seeds.txt").read_bytes()
    assert codes == 4 * [0]
