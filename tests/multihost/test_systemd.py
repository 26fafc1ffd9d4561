"""The units under a real systemd, where one can be booted in namespaces of its own."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.multihost.swarm import ROOT, START_TIMEOUT_S
from tests.multihost.wait import wait_until

BOOT = Path(__file__).with_name("boot.sh")
UNIT = "shoal-lab-n1"
CONFIG = "/srv/lab.yaml"
SYSTEMD = Path("/lib/systemd/systemd")
TEXT = """\
tracker: {address: tcp://127.0.0.1:12000, state_folder: /srv/tracker}
nodes: {n1: {address: tcp://127.0.0.1:11001, folder: /srv/n1}}
"""
QUICK = "[Service]\nWatchdogSec=3\nRestartSec=1\n"


class Machine:
    """Runs commands beside a systemd that is process 1."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def configure(self, text: str) -> None:
        """Write the cluster file, where the machine sees it."""
        Path(f"/proc/{self._pid}/root{CONFIG}").write_text(text)

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        enter = ["nsenter", f"--target={self._pid}", *("-m", "-p", "-i", "-u", "-C", "-n"), "--"]
        return subprocess.run(
            [*enter, *words], capture_output=True, text=True, check=False, timeout=60
        )

    def shoal(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, ROOT / "cli.py", *words, "--config", CONFIG)

    def shows(self, name: str) -> str:
        """Return a property of n1's unit."""
        return self.run("systemctl", "show", "--property", name, "--value", UNIT).stdout.strip()

    def signal_main(self, number: signal.Signals) -> None:
        self.run("kill", f"-{number.name.removeprefix('SIG')}", self.shows("MainPID"))

    def restarts(self) -> bool:
        return self.shows("NRestarts") == "1" and self.shows("ActiveState") == "active"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    unified = [
        line.split()[1]
        for line in Path("/proc/self/mounts").read_text().splitlines()
        if line.split()[2] == "cgroup2"
    ]
    if os.geteuid() != 0 or not SYSTEMD.exists() or not unified or not shutil.which("ip"):
        pytest.skip("needs root, systemd, cgroup2 and iproute2")
    group = Path(unified[0], f"shoal-test-{os.getpid()}")
    group.mkdir()
    with (tmp_path / "boot.log").open("wb") as log:
        booting = subprocess.Popen(
            ["sh", BOOT, group, ROOT], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        machine = booted(booting, tmp_path / "boot.log")
        machine.configure(TEXT)
        yield machine
    finally:
        booting.kill()  # And with it, all that runs in there.
        booting.wait()
        wait_until(lambda: is_removed(group), 20, "the control group is empty")


def booted(booting: subprocess.Popen[bytes], log: Path) -> Machine:
    children = Path(f"/proc/{booting.pid}/task/{booting.pid}/children")

    def is_up() -> bool:
        if booting.poll() is not None:
            pytest.skip(f"systemd cannot be booted here: {log.read_text()[-300:]}")
        pids = children.read_text().split()
        if not pids:
            return False
        state = Machine(int(pids[0])).run("systemctl", "is-system-running").stdout
        return state.strip() in {"running", "degraded"}

    wait_until(is_up, START_TIMEOUT_S, "systemd is up")
    return Machine(int(children.read_text().split()[0]))


def is_removed(group: Path) -> bool:
    """Remove a control group with all in it; say whether it is gone."""
    for folder in [*sorted((one for one in group.rglob("*") if one.is_dir()), reverse=True), group]:
        with contextlib.suppress(OSError):  # Its processes are still ending.
            folder.rmdir()
    return not group.exists()


@pytest.mark.timeout(180)
def test_a_real_systemd_starts_watches_restarts_and_stops_it(machine: Machine) -> None:
    for name in ("tracker", "n1"):
        done = machine.shoal("service", name, "--install")
        assert done.returncode == 0, done
    drop_in = f"/etc/systemd/system/{UNIT}.service.d"
    machine.run("mkdir", drop_in)
    machine.run("sh", "-c", f"printf '{QUICK}' >{drop_in}/quick.conf && systemctl daemon-reload")
    started = machine.run("systemctl", "start", "shoal-lab-tracker", UNIT)
    assert started.returncode == 0, started
    wait_until(lambda: machine.shows("StatusText") == "serves", START_TIMEOUT_S, "n1 is ready")
    assert "n1" in machine.shoal("status").stdout
    assert machine.run("systemctl", "reload", UNIT).returncode == 0
    inside = ["nsenter", f"--target={machine.shows('MainPID')}", "-m", "touch"]
    assert machine.run(*inside, "/srv/n1/a.bin").returncode == 0
    for elsewhere in ("/srv/b", "/etc/b", "/root/b"):
        assert "Read-only file system" in machine.run(*inside, elsewhere).stderr

    machine.signal_main(signal.SIGSTOP)  # It hangs.
    wait_until(machine.restarts, START_TIMEOUT_S, "the watchdog has it restarted")
    machine.configure(f"{TEXT}nonsense: 1\n")
    machine.run("systemctl", "restart", UNIT)
    assert machine.shows("ExecMainStatus") == "2"
    assert machine.shows("ActiveState") == "failed"  # Not activating: it is not tried again.
    machine.configure(TEXT)
    assert machine.run("systemctl", "start", UNIT).returncode == 0
    assert machine.run("systemctl", "stop", UNIT).returncode == 0
    assert (machine.shows("Result"), machine.shows("ExecMainStatus")) == ("success", "0")
    removed = machine.shoal("service", "n1", "--remove")
    assert removed.returncode == 0, removed
    assert machine.run("systemctl", "cat", UNIT).returncode != 0
