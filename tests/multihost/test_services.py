"""`shoal hosts up --service` through a real sshd; only systemd as process 1 has a stand-in.

Each host has an /etc/systemd/system of its own. Enabling is done by the real systemctl, if it is
there, and what a unit says is run and spoken to as systemd does.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.multihost import sshd, stand_in_systemctl
from tests.multihost.conftest import give_up
from tests.multihost.sshd import SshHosts, command_lines
from tests.multihost.swarm import ROOT

TIMEOUT_S = 100.0
pytestmark = pytest.mark.timeout(400)
OWN_UNITS = 'mount -t tmpfs tmpfs /etc/systemd/system && exec "$@"'


class Site:
    """One host with the tracker and n1."""

    def __init__(self, hosts: SshHosts, folder: Path, state: Path) -> None:
        self.hosts = hosts
        self.state = state
        self.config = folder / "lab.yaml"
        tracker, node = sshd.free_port(1), sshd.free_port(1)
        nodes = {"n1": {"address": f"tcp://127.0.1.1:{node}", "folder": "files"}}
        document = {"tracker": {"address": f"tcp://127.0.1.1:{tracker}"}, "nodes": nodes}
        self.config.write_text(yaml.safe_dump(document))

    def shoal(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        options = [f"--config={self.config}", f"--ssh={self.hosts.ssh}", *arguments]
        environ = {key: value for key, value in os.environ.items() if not key.startswith("SHOAL_")}
        return subprocess.run(
            [sys.executable, ROOT / "cli.py", "hosts", command, *options],
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )

    def units(self) -> str:
        """Return the names of the units that are there, and of those that are enabled."""
        listed = [*self.hosts.ssh.split(), "-o", "RequestTTY=no", "-o", "RemoteCommand=none"]
        listed += ["-o", "ClearAllForwardings=yes", "127.0.1.1"]
        script = "cd /etc/systemd/system && find . -name 'shoal*' | sort"
        done = subprocess.run([*listed, script], capture_output=True, text=True, check=True)
        return done.stdout

    def calls(self) -> list[str]:
        """Return what systemctl was asked to change since the last time."""
        place = self.state / "calls"
        lines = place.read_text().splitlines() if place.exists() else []
        place.unlink(missing_ok=True)
        looking = "is-active", "show", "is-system-running"
        return [line for line in lines if not line.startswith(looking)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A host with services that are installed; each test leaves them so, and stopped."""
    if sshd.SSHD is None or os.geteuid() != 0 or not Path("/etc/systemd/system").is_dir():
        give_up("no sshd, no systemd, or not root", os.environ)
    folder = tmp_path_factory.mktemp("services")
    programs, state = folder / "bin", folder / "manager"
    programs.mkdir()
    for name in ("systemctl", "loginctl"):
        (programs / name).symlink_to(stand_in_systemctl.__file__)
    path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    inside = ["unshare", "--mount", "sh", "-c", OWN_UNITS, "sh"]
    environ = {"PATH": path, "SHOAL_STAND_IN": str(state)}
    with sshd.running(folder / "ssh", {1: folder / "home"}, None, environ, inside) as hosts:
        site = Site(hosts, folder, state)
        up = site.shoal("up", "--service")
        assert up.returncode == 0, up
        for name in ("tracker", "n1"):
            done = f"{name} on 127.0.1.1: shoal-lab-{name} is installed, runs as root, and starts"
            assert done in up.stdout, up
        yield site
        site.shoal("stop")


def test_services_are_installed_once_and_not_started(site: Site) -> None:
    enabled = "./multi-user.target.wants/shoal-lab-{0}.service\n"
    expected = "".join(enabled.format(name) for name in ("n1", "tracker") if is_real())
    assert site.units() == f"{expected}./shoal-lab-n1.service\n./shoal-lab-tracker.service\n"
    assert not [call for call in site.calls() if call.startswith("start")]
    again = site.shoal("up", "--service")
    assert (again.returncode, again.stdout.count("is installed already")) == (0, 2), again
    assert "daemon-reload" not in site.calls()


def test_services_are_started_seen_and_stopped(site: Site) -> None:
    down = site.shoal("status")
    assert down.returncode == 4, down
    assert "not running; its service shoal-lab-n1 is inactive" in down.stderr
    started = site.shoal("start")
    assert (started.returncode, started.stdout.count("started as the service")) == (0, 2), started
    assert {"start shoal-lab-n1", "start shoal-lab-tracker"} <= set(site.calls())
    status = site.shoal("status")
    assert (status.returncode, status.stdout.count("running as the service")) == (0, 2), status
    reloaded = site.shoal("start")
    assert reloaded.stdout.count("; reads the cluster file again") == 2, reloaded
    checked = site.shoal("check")
    assert (checked.returncode, checked.stdout.count("  ours")) == (0, 2), checked
    stopped = site.shoal("stop")
    assert stopped.stdout.count("starts again with the machine") == 2, stopped
    assert site.shoal("stop", "--on=n1").stdout.endswith("was not running\n")


def test_a_service_that_cannot_start_says_why(site: Site) -> None:
    files = site.hosts.homes[1] / ".shoal-hosts" / "lab" / "files"
    shutil.rmtree(files)
    files.write_text("in the way")
    failed = site.shoal("start", "--on=n1")
    files.unlink()
    assert failed.returncode == 8, failed
    assert "n1 on 127.0.1.1: failed (exit code 8): Job for shoal-lab-n1.service" in failed.stderr
    assert "see `journalctl -u shoal-lab-n1` there" in failed.stderr


def test_services_are_taken_off_and_told_apart_from_what_runs_without(site: Site) -> None:
    off = site.shoal("up", "--no-service", "--on=n1")
    assert "shoal-lab-n1 is removed" in off.stdout, off
    assert "n1" not in site.units()
    assert "is no service" in site.shoal("up", "--no-service", "--on=n1").stdout
    assert site.shoal("start").returncode == 0
    site.calls()
    up = site.shoal("up", "--service", "--on=n1")
    assert "; it still runs without it (pid " in up.stdout, up
    assert "without its service shoal-lab-n1" in site.shoal("status").stdout
    assert "already running (pid " in site.shoal("start", "--on=n1").stdout
    assert not [call for call in site.calls() if call.startswith("start")]
    off = site.shoal("up", "--no-service")
    assert (off.returncode, off.stdout.count(" is removed")) == (0, 2), off
    assert site.units() == ""
    assert site.shoal("stop").returncode == 0
    assert not [line for line in command_lines() if str(site.hosts.homes[1]) in line]


def is_real() -> bool:
    return stand_in_systemctl.REAL.exists()
