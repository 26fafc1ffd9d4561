"""What real trackers and nodes tell a service manager: that they serve, go on, reload and stop."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from shoal.commands.supervised import Supervised
from shoal.system.supervisor import Supervisor

from tests.unit.wire.places import LIMIT_S, free_address

ROOT = Path(__file__).parents[3]
WATCHDOG_S = 0.6


class Manager:
    """The socket of a service manager, and what it is told."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(LIMIT_S)
        name = f"shoal-test-{os.getpid()}"
        self._socket.bind(f"\0{name}")
        self.environ = {
            "NOTIFY_SOCKET": f"@{name}",
            "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6)),
        }

    def hears(self) -> dict[str, str]:
        lines = self._socket.recv(4096).decode().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def hears_of(self, name: str) -> dict[str, str]:
        """Return the next that tells of that field; what comes before may only be the watchdog."""
        while name not in (told := self.hears()):
            assert set(told) <= {"WATCHDOG", "STATUS"}, told
        return told

    def is_silent(self) -> bool:
        """Say whether nothing is told for longer than the watchdog allows."""
        self._socket.settimeout(2 * WATCHDOG_S)
        try:
            self._socket.recv(4096)
        except TimeoutError:
            return True
        finally:
            self._socket.settimeout(LIMIT_S)
        return False

    def drain(self) -> None:
        """Drop what has been told so far."""
        self._socket.setblocking(False)  # noqa: FBT003 (its only argument)
        try:
            while True:
                self._socket.recv(4096)
        except BlockingIOError:
            self._socket.settimeout(LIMIT_S)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager() -> Iterator[Manager]:
    one = Manager()
    yield one
    one.close()


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["tracker"], "serves"),
        (["node", "n1"], "the tracker does not know all of this node yet, or does not answer"),
    ],
)
def test_a_process_tells_what_it_does(
    tmp_path: Path, manager: Manager, words: list[str], status: str
) -> None:
    lab = tmp_path / "lab.yaml"
    nodes = f"nodes: {{n1: {{address: '{free_address()}', folder: n1}}}}\n"
    lab.write_text(f"tracker: {{address: '{free_address()}'}}\n{nodes}")
    command = [sys.executable, str(ROOT / "cli.py"), *words, "--config", str(lab)]
    environ = {**os.environ, **manager.environ}
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as process:
        try:
            ready = manager.hears_of("READY")
            assert set(ready) == {"READY", "STATUS"}
            assert ready["STATUS"].startswith("serves")
            beat = manager.hears_of("WATCHDOG")
            assert beat["WATCHDOG"] == "1"
            assert beat["STATUS"].endswith(status)
            process.send_signal(signal.SIGHUP)
            reloading = manager.hears_of("RELOADING")
            assert int(reloading["MONOTONIC_USEC"]) > 0
            assert manager.hears_of("READY") == {"READY": "1"}
            process.send_signal(signal.SIGSTOP)
            manager.drain()
            assert manager.is_silent()
            process.send_signal(signal.SIGCONT)
            manager.hears_of("WATCHDOG")
            process.send_signal(signal.SIGTERM)
            assert manager.hears_of("STOPPING") == {"STOPPING": "1"}
            assert process.wait(LIMIT_S) == 0
            assert manager.is_silent()
        finally:
            process.kill()


class Patient:
    """Is as well as the test says."""

    def __init__(self) -> None:
        self.trouble: str | Exception | None = "the loop has not turned for 12 s"
        self.lacks: list[str] = []

    def ailments(self) -> list[str]:
        if isinstance(self.trouble, Exception):
            raise self.trouble
        return [] if self.trouble is None else [self.trouble]

    def unready(self) -> list[str]:
        return self.lacks


def test_the_watchdog_hears_nothing_of_a_process_that_is_not_well(manager: Manager) -> None:
    patient = Patient()
    with Supervised(Supervisor(manager.environ), patient) as supervised:
        assert manager.hears() == {"STATUS": "the loop has not turned for 12 s"}
        supervised.reloading(lambda: None)()  # READY would be wrong.
        assert manager.hears() == {"STATUS": "the loop has not turned for 12 s"}
        patient.lacks = ["the tracker does not answer"]
        patient.trouble = None
        ready = manager.hears_of("READY")
        assert ready == {"READY": "1", "STATUS": "serves; the tracker does not answer"}
        patient.lacks = []
        assert manager.hears_of("WATCHDOG")["STATUS"].startswith("serves")
        patient.trouble = ValueError("of this")
        told = manager.hears()
        while told["STATUS"].startswith("serves"):
            told = manager.hears()
        assert told == {"STATUS": "this is a bug: ValueError('of this')"}
    assert manager.hears_of("STOPPING") == {"STOPPING": "1"}


def test_without_a_manager_nothing_is_asked(tmp_path: Path) -> None:
    patient = Patient()
    patient.trouble = AssertionError("nobody wants to know")
    with Supervised(Supervisor({}), patient) as supervised:
        supervised.reloading((tmp_path / "reloaded").touch)()
    assert (tmp_path / "reloaded").exists()
