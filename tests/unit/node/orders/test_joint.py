"""Several wait for one piece of work: each has its own reports, and its own end."""

import threading
from collections.abc import Iterator

import pytest
from shoal.node.orders.joint import Caller, Joint, OnProgress
from shoal.protocol.control import Working
from shoal.protocol.errors import ExitCode, OperatorError

from tests.unit.wire.places import LIMIT_S, eventually

WORKING = Working("a", 1, 2, None)


class Scene:
    """Work that ends when it is let, and those who wait for it in threads of their own."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.has_begun = threading.Event()
        self.outcome: str | Exception = "done"
        self.stopped: list[ExitCode] = []
        self.is_over = threading.Event()
        self.joint: Joint[str] = Joint(self.work, self.stop, self.is_over.set)
        self.ends: dict[object, object] = {}
        self.told: list[tuple[object, Working]] = []
        self.threads: list[threading.Thread] = []

    def work(self, on_progress: OnProgress) -> str:
        self.has_begun.set()
        on_progress(WORKING)
        assert self.may_end.wait(LIMIT_S)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def stop(self, exit_code: ExitCode) -> None:
        self.stopped.append(exit_code)
        self.outcome = OperatorError("stopped", exit_code)
        self.may_end.set()

    def call(self, ticket: object) -> None:
        caller = Caller(ticket, lambda working: self.told.append((ticket, working)))
        assert self.joint.join(caller)
        self.threads.append(threading.Thread(target=self.wait, args=(caller,)))
        self.threads[-1].start()

    def wait(self, caller: Caller) -> None:
        try:
            self.ends[caller.ticket] = self.joint.wait(caller)
        except OperatorError as error:
            self.ends[caller.ticket] = error.exit_code
        except ZeroDivisionError as error:
            self.ends[caller.ticket] = error

    def end(self) -> dict[object, object]:
        self.may_end.set()
        for thread in self.threads:
            thread.join(LIMIT_S)
        return self.ends


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    scene.call("a")
    scene.call("b")
    scene.joint.start()
    assert scene.has_begun.wait(LIMIT_S)
    yield scene
    scene.end()


def test_all_get_what_came_of_it_and_are_told_meanwhile(scene: Scene) -> None:
    assert scene.end() == {"a": "done", "b": "done"}
    assert scene.told == [("a", WORKING), ("b", WORKING)]
    assert scene.is_over.wait(LIMIT_S)
    assert not scene.joint.join(Caller("late", lambda _: None))


@pytest.mark.parametrize(
    ("error", "end"),
    [(OperatorError("no", ExitCode.DISK), ExitCode.DISK), (ZeroDivisionError("bug"), None)],
)
def test_all_hear_of_its_failure(scene: Scene, error: Exception, end: ExitCode | None) -> None:
    scene.outcome = error
    assert scene.end() == {"a": end or error, "b": end or error}


def test_one_who_leaves_stops_nobody_else(scene: Scene) -> None:
    scene.joint.leave("nobody", ExitCode.INTERRUPTED)
    scene.joint.leave("a", ExitCode.TIMED_OUT)
    eventually(lambda: scene.ends == {"a": ExitCode.TIMED_OUT})
    assert scene.stopped == []
    assert scene.end() == {"a": ExitCode.TIMED_OUT, "b": "done"}


def test_the_last_who_leaves_stops_it_and_sees_its_end(scene: Scene) -> None:
    scene.joint.leave("a", ExitCode.TIMED_OUT)
    scene.joint.leave("b", ExitCode.INTERRUPTED)
    assert scene.stopped == [ExitCode.INTERRUPTED]
    assert not scene.joint.join(Caller("late", lambda _: None))
    assert scene.end() == {"a": ExitCode.TIMED_OUT, "b": ExitCode.INTERRUPTED}


def test_all_can_be_sent_away_at_once(scene: Scene) -> None:
    scene.joint.leave(None, ExitCode.TERMINATED)
    assert scene.end() == {"a": ExitCode.TERMINATED, "b": ExitCode.TERMINATED}
    assert scene.stopped == [ExitCode.TERMINATED]
