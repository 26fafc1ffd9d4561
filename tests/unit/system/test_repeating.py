"""The same again and again, in a thread of its own."""

import threading
import time

from shoal.system.repeating import Repeating

LIMIT_S = 10.0
NEVER_S = 1000.0


def test_does_it_again_after_as_long_as_it_says() -> None:
    done: list[str] = []
    is_enough = threading.Event()

    def work() -> float:
        done.append(threading.current_thread().name)
        if len(done) == 3:
            is_enough.set()
        return NEVER_S if len(done) == 3 else 0.0

    repeating = Repeating("again", work)
    repeating.start()
    assert is_enough.wait(LIMIT_S)
    repeating.stop()
    assert done == ["again"] * 3


def test_stopping_waits_for_no_pause_but_for_what_is_being_done() -> None:
    begun, is_over = threading.Event(), threading.Event()
    seen: list[bool] = []

    def work() -> float:
        begun.set()
        assert is_over.wait(LIMIT_S)
        seen.append(repeating.is_stopping)
        return NEVER_S

    repeating = Repeating("again", work)
    repeating.start()
    assert begun.wait(LIMIT_S)
    stopping = threading.Thread(target=repeating.stop)
    stopping.start()
    assert stopping.is_alive()
    until = time.monotonic() + LIMIT_S
    while not repeating.is_stopping and time.monotonic() < until:
        time.sleep(0.001)
    is_over.set()
    stopping.join(LIMIT_S)
    assert seen == [True]


def test_what_begins_late_and_what_never_began_can_be_stopped() -> None:
    done: list[int] = []

    def work() -> float:
        done.append(1)
        return NEVER_S

    for starts in (True, False):
        repeating = Repeating("again", work)
        if starts:
            repeating.start(NEVER_S)
        repeating.stop()
    assert done == []
