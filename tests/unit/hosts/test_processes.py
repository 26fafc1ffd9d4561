"""Processes that run here, and are ended."""

import threading
from pathlib import Path

import pytest
from shoal.hosts.processes import EndedError, Processes
from shoal.protocol.errors import OperatorError

from tests.multihost.wait import wait_until


def test_one_gets_its_input_and_is_heard() -> None:
    sent: list[int] = []
    data = b"x" * 200_000
    code, out, err = Processes().run(
        "n1", ["sh", "-c", "wc -c; echo why >&2; exit 3"], data, sent=sent.append
    )
    assert (code, out, err) == (3, "200000", "why")
    assert sent[-1] == len(data)


def test_one_that_does_not_read_its_input_is_no_failure_of_ours() -> None:
    assert Processes().run("n1", ["true"], b"x" * 200_000) == (0, "", "")


def test_one_that_is_not_there_is_told() -> None:
    with pytest.raises(OperatorError, match="cannot run /no/ssh: No such file or directory; inst"):
        Processes().run("n1", ["/no/ssh"])


@pytest.mark.parametrize(
    ("script", "data"),
    [
        ("echo here >&2; cat; echo gone >FILE", b""),  # Ends when its input ends.
        ("echo here >&2; exec sleep 100", b"x" * 200_000),  # Has not read it all.
    ],
)
def test_all_are_ended_at_once_and_none_is_started_after(
    tmp_path: Path, script: str, data: bytes
) -> None:
    processes = Processes()
    ended: list[str] = []

    def run() -> None:
        argv = ["sh", "-c", script.replace("FILE", f"'{tmp_path}/file'")]
        try:
            processes.run("n1", argv, data, stays_open=True)
        except EndedError as error:
            ended.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    wait_until(lambda: processes.last_said() == {"n1": "here"}, 20, "it speaks")
    processes.end()
    thread.join()
    assert ended == ["interrupted; run it again"]
    assert (tmp_path / "file").exists() == (not data)
    with pytest.raises(EndedError):
        processes.run("n1", ["true"])
