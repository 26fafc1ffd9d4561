"""A teacher's evening: from nothing to an image on all machines; some are off, one is full.

Real ssh, real namespaces, real disks, and keys, as the pages tell it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.cluster import noise
from tests.multihost import sshd
from tests.multihost.conftest import MakeLab, give_up
from tests.multihost.lab import Lab
from tests.multihost.sshd import SshHosts
from tests.multihost.swarm import ROOT
from tests.terminals import on_terminal, screen

pytestmark = pytest.mark.timeout(400)
HOSTS, OFF, FULL = 6, (4, 5, 6), 3
TIMEOUT_S = 120.0
WIDTHS = 60, 80, 120
IMAGE, NEXT = noise(12_000_000), noise(11_000_000, seed=2)
SMALL_DISK = "10m"


class Room:
    """The machines, and what the teacher types at the first of them."""

    def __init__(self, lab: Lab, hosts: SshHosts) -> None:
        self.lab = lab
        self.hosts = hosts
        self.home = hosts.homes[1]
        dropped = {"COLUMNS", "LINES"}
        kept = {k: v for k, v in os.environ.items() if not k.startswith("SHOAL_")}
        self._environ = {k: v for k, v in kept.items() if k not in dropped}
        self._environ |= {"HOME": str(self.home), "TERM": "xterm-256color"}

    def command(self, *words: str) -> list[str]:
        ssh = [f"--ssh={self.hosts.ssh}"] if words[0] == "hosts" else []
        return [*self.lab.entering(1), sys.executable, str(ROOT / "cli.py"), *words, *ssh]

    def shoal(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words),
            cwd=self.home,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )

    def seen(self, columns: int, *words: str) -> list[str]:
        """Return the lines that a terminal of so many columns shows at the end of a command."""
        argv = self.command(*words)
        _, written = on_terminal(argv, columns, TIMEOUT_S, environ=self._environ, cwd=self.home)
        return screen(written, columns)

    def name(self, number: int) -> str:
        return self.lab.address(number)

    def folder(self, number: int) -> Path:
        return self.hosts.homes[number] / "shoal"


@pytest.fixture
def room(make_lab: MakeLab, tmp_path: Path) -> Iterator[Room]:
    """Six machines, of which one has a small disk."""
    if sshd.SSHD is None or os.geteuid() != 0:
        give_up("no sshd, or not root", os.environ)
    homes = {number: tmp_path / f"home{number}" for number in range(1, HOSTS + 1)}
    small = homes[FULL] / "shoal"
    small.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", str(small)]
    subprocess.run(mount, check=True)
    try:
        lab = make_lab(HOSTS)
        with sshd.running(tmp_path / "ssh", homes, lab) as hosts:
            room = Room(lab, hosts)
            try:
                yield room
            finally:
                room.shoal("hosts", "stop")
    finally:
        subprocess.run(["umount", "--lazy", str(small)], check=True)


def look_on_terminals(room: Room) -> None:
    """See that the verdict can be read, however wide the terminal."""
    words = "wait", "win11.img", "--on", "all"
    with ThreadPoolExecutor() as pool:
        seen = list(pool.map(lambda columns: room.seen(columns, *words), WIDTHS))
        told = json.loads(room.shoal(*words, "--json").stdout)
    for lines in seen:
        assert lines[0].split() == ["HOST", "STATE"], lines
        assert [line.split()[0] for line in lines[1 : 1 + HOSTS]] == [
            room.name(number) for number in (FULL, *OFF, 1, 2)
        ], lines
        assert lines[1].split(maxsplit=1)[1].startswith("failed: the disk is full; free some space")
        assert "".join(lines[1 + HOSTS :]).startswith("2 of 6 have it; "), lines
    expected = {1: "done", 2: "done", FULL: "failed"} | dict.fromkeys(OFF, "offline")
    states = {one["node"]: one["state"] for one in told["nodes"]}
    assert states == {room.name(number): state for number, state in expected.items()}


def test_all_of_them_have_it_at_the_end(room: Room) -> None:
    on = ",".join(map(room.name, set(room.hosts.homes) - set(OFF)))
    for words in (
        ("init", f"10.77.0.[1-{HOSTS}]", "--net", "10.77.0.0/24"),
        ("keys",),
        ("hosts", "up"),
        ("hosts", "start", f"--on=tracker,{on}"),
    ):
        done = room.shoal(*words)
        assert done.returncode == 0, done
    (room.home / "win11.img").write_bytes(IMAGE)

    pushed = room.shoal("push", "win11.img", "--as", room.name(1), "--wait")
    assert pushed.returncode == 6, pushed
    verdict = pushed.stdout.splitlines()[-1]
    off = ", ".join(map(room.name, OFF))
    full = room.name(FULL)
    assert verdict == f"2 of 6 have it; {full}: the disk is full; {off}: off", pushed
    look_on_terminals(room)

    subprocess.run(["mount", "-o", "remount,size=64m", str(room.folder(FULL))], check=True)
    assert room.shoal("hosts", "start").returncode == 0
    waited = room.shoal("wait", "win11.img", "--on", "all", "--timeout", "90s")
    assert (waited.returncode, waited.stdout) == (0, "6 of 6 have it\n"), waited
    for number in room.hosts.homes:
        assert (room.folder(number) / "win11.img").read_bytes() == IMAGE

    (room.home / "win11.img").write_bytes(NEXT)
    taken = room.shoal("push", "win11.img", "--as", room.name(1), "--wait")
    assert (taken.returncode, "--force publishes this as the next" in taken.stderr) == (2, True)
    again = room.shoal("push", "win11.img", "--as", room.name(1), "--force", "--wait")
    assert again.returncode == 0, again
    assert again.stdout.splitlines()[-1] == "6 of 6 have it"
    for number in room.hosts.homes:
        assert (room.folder(number) / "win11.img").read_bytes() == NEXT
