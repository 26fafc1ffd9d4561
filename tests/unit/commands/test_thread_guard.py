"""A thread that dies ends the process's work; a node is never half alive."""

import subprocess
import sys
import threading

import pytest

from commands.thread_guard import ThreadGuard
from protocol.errors import ExitCode, OperatorError
from tests.integration.cluster import ROOT
from tests.unit.wire.places import LIMIT_S


def die() -> None:
    raise ValueError("of this")


def test_says_which_thread_died_of_what_and_ends_the_rest_once() -> None:
    codes: list[ExitCode] = []
    before = threading.excepthook
    has_died = threading.Event()

    def on_death(code: ExitCode) -> None:
        codes.append(code)
        has_died.set()

    def watch_them_die() -> None:
        with ThreadGuard(on_death):
            for name in ("watch", "session"):
                thread = threading.Thread(target=die, name=name)
                thread.start()
                thread.join(LIMIT_S)
            assert has_died.wait(LIMIT_S)

    with pytest.raises(
        OperatorError, match="the thread 'watch' died of ValueError: of this"
    ) as end:
        watch_them_die()
    assert end.value.exit_code is ExitCode.BUG
    assert codes == [ExitCode.BUG]
    assert threading.excepthook is before


def test_threads_that_end_are_no_deaths() -> None:
    with ThreadGuard(lambda _: pytest.fail("nobody died")):
        for target in (lambda: None, sys.exit):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join(LIMIT_S)


SCRIPT = """
import threading, time
from commands.thread_guard import ThreadGuard

def die():
    raise ValueError("of this")

with ThreadGuard(lambda _: None, end_s=0.1):
    threading.Thread(target=die, name="heal").start()
    time.sleep(60)
"""


@pytest.mark.parametrize("debug", [True, False])
def test_what_does_not_end_is_ended(*, debug: bool) -> None:
    environment = {"PATH": "", "PYTHONPATH": str(ROOT), **({"SHOAL_DEBUG": "1"} if debug else {})}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == ExitCode.BUG
    assert done.stderr.splitlines()[-1].startswith("error: this is a bug: the thread 'heal' died")
    assert ("Traceback" in done.stderr) is debug
    assert debug or len(done.stderr.splitlines()) == 1
