"""`shoal hosts` through a real sshd on each host: from nothing to a running cluster, and back."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from shoal.hosts.connections import SOCKETS

from tests.multihost import sshd
from tests.multihost.conftest import give_up
from tests.multihost.sshd import SshHosts, command_lines
from tests.multihost.swarm import ROOT
from tests.multihost.wait import wait_until

TIMEOUT_S = 100.0
pytestmark = pytest.mark.timeout(400)  # A dozen commands, of seconds each on a busy machine.
OLD_PYTHON = """\
#!/bin/sh
[ "$1" = - ] && {python} "$@" | sed 's/"version": [^]]*/"version": [3, 9/'
"""
SLEEPER = "#!/bin/sh\necho $$ >$HOME/pid\nexec sleep 300\n"


class Ssh(NamedTuple):
    """Some hosts, and a cluster of a node on each, the tracker on the first."""

    hosts: SshHosts
    config: Path

    def shoal(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        with self.started(command, *arguments) as process:
            out, err = process.communicate(timeout=TIMEOUT_S)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def started(self, command: str, *arguments: str) -> subprocess.Popen[str]:
        options = [f"--config={self.config}", f"--ssh={self.hosts.ssh}", *arguments]
        environ = {key: value for key, value in os.environ.items() if not key.startswith("SHOAL_")}
        return subprocess.Popen(
            [sys.executable, ROOT / "cli.py", "hosts", command, *options],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def bundles(self, number: int) -> set[str]:
        folder = self.hosts.homes[number] / ".shoal-hosts" / "bundle"
        return {path.name for path in folder.iterdir() if path.is_dir()}

    def script(self, text: str) -> Path:
        path = self.hosts.folder / "script"
        path.write_text(text)
        path.chmod(0o755)
        return path


MakeSsh = Callable[..., Ssh]


@pytest.fixture
def make_ssh(tmp_path: Path) -> Iterator[MakeSsh]:
    """Make hosts behind sshd, with a home each or one for all."""
    if sshd.SSHD is None or os.geteuid() != 0:
        give_up("no sshd, or not root", os.environ)

    with ExitStack() as stack:

        def make(count: int, *, one_home: bool = False) -> Ssh:
            numbers = range(1, count + 1)
            homes = {n: tmp_path / ("home" if one_home else f"home{n}") for n in numbers}
            hosts = stack.enter_context(sshd.running(tmp_path / "ssh", homes))
            tracker, node = sshd.free_port(count), sshd.free_port(count)
            nodes = {
                f"n{n}": {"address": f"tcp://{hosts.address(n)}:{node}", "folder": f"files{n}"}
                for n in numbers
            }
            document = {"tracker": {"address": f"tcp://127.0.1.1:{tracker}"}, "nodes": nodes}
            config = tmp_path / "lab.yaml"
            config.write_text(yaml.safe_dump(document))
            return Ssh(hosts, config)

        yield make


def test_from_nothing_to_a_fetch_and_back(make_ssh: MakeSsh) -> None:
    ssh = make_ssh(2)
    none = ssh.shoal("start")
    assert none.returncode == 2, none
    assert "n2 on 127.0.1.2: failed (exit code 2): shoal is not installed there; run" in none.stderr

    up = ssh.shoal("up")
    assert (up.returncode, up.stdout.count(": installed, for Python 3.")) == (0, 2), up
    before = {number: ssh.bundles(number) for number in (1, 2)}
    again = ssh.shoal("up")
    assert (again.returncode, again.stdout.count(": already installed")) == (0, 2), again
    assert {number: ssh.bundles(number) for number in (1, 2)} == before

    files = ssh.hosts.homes[1] / ".shoal-hosts" / "lab" / "files1"
    files.mkdir()
    (files / "a.bin").write_bytes(os.urandom(100_000))
    started = ssh.shoal("start")
    assert started.returncode == 0, started
    fetched = ssh.shoal("fetch", "a.bin", "--on=n2", "--json")
    assert fetched.returncode == 0, fetched
    assert json.loads(fetched.stdout)[0]["result"]["holders"] == {"n1": 100_000}, fetched
    checked = ssh.shoal("check", "a.bin")
    assert (checked.returncode, checked.stdout.count("  ours")) == (0, 3), checked
    told = ssh.shoal("fetch", "a.bin", "--on=n2")
    assert "n2 on 127.0.1.2: a.bin: 100000 bytes in " in told.stdout, told
    lost = ssh.shoal("fetch", "b.bin", "--on=n2")
    assert lost.returncode == 3, lost
    assert "n2 on 127.0.1.2: failed (exit code 3): " in lost.stderr
    assert "error: " not in lost.stderr
    assert ssh.shoal("stop").returncode == 0
    assert not [line for line in command_lines() if str(ssh.hosts.homes[2]) in line]
    assert ssh.hosts.clients() == []


def test_bundles_stay_as_long_as_somebody_uses_them(make_ssh: MakeSsh) -> None:
    ssh = make_ssh(1)
    assert ssh.shoal("up").returncode == 0
    (first,) = ssh.bundles(1)
    assert ssh.shoal("start").returncode == 0
    other_python = ssh.hosts.folder / "python"
    other_python.symlink_to(sys.executable)
    assert ssh.shoal("up", f"--python={other_python}").returncode == 0
    assert first in ssh.bundles(1)
    assert len(ssh.bundles(1)) == 2
    again = ssh.shoal("start")
    assert again.stdout.count("it is the shoal from before `up`: stop and start it") == 2, again
    assert ssh.shoal("stop").returncode == 0
    assert ssh.shoal("up", f"--python={other_python}").returncode == 0
    assert len(ssh.bundles(1) - {first}) == len(ssh.bundles(1)) == 1


def test_hosts_with_one_home_are_installed_at_the_same_time(make_ssh: MakeSsh) -> None:
    ssh = make_ssh(3, one_home=True)
    up = ssh.shoal("up")
    assert up.returncode == 0, up
    assert len(ssh.bundles(1)) == 1
    assert ssh.shoal("up").stdout.count(": already installed") == 3


def test_an_unknown_host_key_is_a_row_with_the_remedy(make_ssh: MakeSsh) -> None:
    ssh = make_ssh(2)
    (ssh.hosts.folder / "known_hosts").write_text(ssh.hosts.known(1, 1))
    shoal = ssh.script("#!/bin/sh\n")
    refused = ssh.shoal("start", "--on=n2", f"--shoal={shoal}")
    assert refused.returncode == 255, refused
    remedy = "Host key verification failed; its key is not known here: check it, or pass --accept-"
    assert remedy in refused.stderr
    assert ssh.shoal("status", "--on=n2", "--accept-new").returncode == 2  # Nothing was started.
    (ssh.hosts.folder / "known_hosts").write_text(ssh.hosts.known(2, 1))
    changed = ssh.shoal("status", "--on=n2", "--accept-new")
    assert changed.returncode == 255, changed
    assert "; if that is right, `ssh-keygen -R 127.0.1.2` first" in changed.stderr


def test_a_host_without_a_python_that_will_do_keeps_none_of_the_others(make_ssh: MakeSsh) -> None:
    ssh = make_ssh(2)
    old = ssh.script(OLD_PYTHON.format(python=sys.executable))
    (ssh.hosts.homes[2] / "python").symlink_to(old)
    (ssh.hosts.homes[1] / "python").symlink_to(sys.executable)
    up = ssh.shoal("up", "--python=./python")
    assert up.returncode == 2, up  # sshd starts in the home of the user, not in that of the test.
    assert up.stderr.count("there is no ./python there; install Python 3.11 or newer") == 2
    up = ssh.shoal("up", f"--python={old}")
    assert up.stderr.count(" there is 3.9; shoal needs 3.11 or newer: install it, or name an") == 2
    assert "Traceback" not in up.stderr


def test_a_check_says_what_is_missing(make_ssh: MakeSsh) -> None:
    ssh = make_ssh(3)
    (ssh.hosts.folder / "known_hosts").write_text(ssh.hosts.known(1, 1) + ssh.hosts.known(2, 2))
    document = yaml.safe_load(ssh.config.read_text())
    host, port = document["nodes"]["n2"]["address"].removeprefix("tcp://").split(":")
    with socket.create_server((host, int(port))):
        checked = ssh.shoal("check", "--json")
    assert checked.returncode == 2, checked
    found = {one["node"]: one for one in json.loads(checked.stdout)}
    assert (found["n1"]["port"], found["n1"]["installed"], found["n1"]["problem"]) == (
        "free",
        False,
        None,
    )
    assert found["n1"]["free_bytes"] > 0
    assert found["n2"]["problem"].startswith(f"another program has tcp://{host}:{port}: stop")
    assert found["n3"]["problem"].startswith("Host key verification failed; its key is not known")
    assert not found["n3"]["ssh"]

    huge = ssh.hosts.folder / "huge.bin"
    with huge.open("wb") as file:
        file.truncate(1 << 43)
    full = ssh.shoal("check", str(huge), "--on=n1,tracker")
    assert full.returncode == 2, full
    rows = full.stdout.splitlines()
    assert rows[0].split() == ["NAME", "HOST", "SSH", "PYTHON", "SHOAL", "FREE", "PORT", "PROBLEM"]
    assert [f"no room for {1 << 43} bytes in " in row for row in rows] == [False, False, True]
    huge.unlink()
    assert ssh.shoal("check", str(ssh.config), "--on=n1,tracker").returncode == 0
    unknown = ssh.shoal("check", "a.bin", "--on=n1")
    assert unknown.returncode == 2, unknown
    assert "cannot tell how large a.bin is: no " in unknown.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_what_runs_on_the_hosts_ends_with_the_command(make_ssh: MakeSsh, number: int) -> None:
    ssh = make_ssh(2)
    for home in ssh.hosts.homes.values():
        (home / ".shoal-hosts" / "lab").mkdir(parents=True)
    pids = [home / "pid" for home in ssh.hosts.homes.values()]
    shoal = ssh.script(SLEEPER)
    with ssh.started("fetch", "a.bin", f"--shoal={shoal}") as command:
        wait_until(lambda: all(pid.exists() and pid.read_text() for pid in pids), 20, "sleepers")
        running = [Path("/proc", pid.read_text().strip()) for pid in pids]
        assert all(path.exists() for path in running)
        command.send_signal(number)
        _, said = command.communicate(timeout=TIMEOUT_S)
    assert command.returncode == (-number if number == signal.SIGKILL else 128 + number), said
    wait_until(lambda: not any(path.exists() for path in running), 20, "nothing runs there")
    assert "Traceback" not in said
    if number == signal.SIGKILL:  # Nobody was there to close them.
        close_all(ssh)
    wait_until(lambda: ssh.hosts.clients() == [], 10, "no ssh is left")


def close_all(ssh: Ssh) -> None:
    """Close the connections that are shared, and that a killed command has left."""
    for folder in Path(SOCKETS).glob("shoal-ssh-*"):
        for path in folder.iterdir():
            argv = [*ssh.hosts.ssh.split(), "-o", f"ControlPath={path}", "-O", "exit", "x"]
            subprocess.run(argv, check=False, capture_output=True)
