"""What a service manager is told, over a real socket."""

import os
import socket
from pathlib import Path

import pytest
from shoal.system.supervisor import Supervisor


def bound(place: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.settimeout(5)
    sock.bind(place)
    return sock


@pytest.mark.parametrize("is_abstract", [False, True])
def test_fields_are_lines_of_one_datagram(tmp_path: Path, is_abstract: bool) -> None:  # noqa: FBT001
    name = f"shoal-test-{os.getpid()}"
    place = f"@{name}" if is_abstract else str(tmp_path / "notify")
    with bound("\0" + name if is_abstract else place) as manager:
        Supervisor({"NOTIFY_SOCKET": place}).tell(READY=1, STATUS="serves\nMAINPID=1  things")
        assert manager.recv(1000) == b"READY=1\nSTATUS=serves MAINPID=1 things"


@pytest.mark.parametrize("place", ["", "vsock:2:1", "relative/path"])
def test_without_a_place_nobody_is_told(place: str) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": place, "WATCHDOG_USEC": "1000"})
    assert not supervisor.is_there
    assert supervisor.watchdog_s is None
    supervisor.tell(READY=1)


def test_a_manager_that_is_gone_is_no_trouble(tmp_path: Path) -> None:
    Supervisor({"NOTIFY_SOCKET": str(tmp_path / "gone")}).tell(READY=1)


@pytest.mark.parametrize(
    ("limit", "pid", "expected"),
    [
        ("30000000", None, 30.0),
        ("30000000", "ours", 30.0),
        ("30000000", "1", None),
        ("0", None, None),
        ("soon", None, None),
        ("", None, None),
    ],
)
def test_the_watchdog_gives_so_many_seconds(
    limit: str, pid: str | None, expected: float | None
) -> None:
    environ = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": limit}
    if pid is not None:
        environ["WATCHDOG_PID"] = pid.replace("ours", str(os.getpid()))
    assert Supervisor(environ).watchdog_s == expected
