"""Several wait for one piece of work: each has its own reports, and its own end."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from shoal.node.folder.contents import AwayError
from shoal.node.orders.joint import Caller, Joint, OnProgress
from shoal.protocol.control import Working
from shoal.protocol.errors import DiskError, Kind, OperatorError, StoppedError, TimedOutError

from tests.unit.wire.places import LIMIT_S, eventually

WORKING = Working("a", 1, 2, None)


class Scene:
    """Work that ends when it is let, and those who wait for it in threads of their own."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.has_begun = threading.Event()
        self.outcome: str | Exception = "done"
        self.stopped: list[Kind] = []
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

    def stop(self, kind: Kind) -> None:
        self.stopped.append(kind)
        self.outcome = kind("stopped")
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
            self.ends[caller.ticket] = type(error)
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
    [
        (DiskError("no"), DiskError),
        (AwayError(Path("/lan/n1"), "not mounted"), DiskError),
        (ZeroDivisionError("bug"), None),
    ],
)
def test_all_hear_of_its_failure(scene: Scene, error: Exception, end: Kind | None) -> None:
    scene.outcome = error
    assert scene.end() == {"a": end or error, "b": end or error}


def test_one_who_leaves_stops_nobody_else(scene: Scene) -> None:
    scene.joint.leave("nobody", StoppedError)
    scene.joint.leave("a", TimedOutError)
    eventually(lambda: scene.ends == {"a": TimedOutError})
    assert scene.stopped == []
    assert scene.end() == {"a": TimedOutError, "b": "done"}


def test_the_last_who_leaves_stops_it_and_sees_its_end(scene: Scene) -> None:
    scene.joint.leave("a", TimedOutError)
    scene.joint.leave("b", StoppedError)
    assert scene.stopped == [StoppedError]
    assert not scene.joint.join(Caller("late", lambda _: None))
    assert scene.end() == {"a": TimedOutError, "b": StoppedError}


def test_all_can_be_sent_away_at_once(scene: Scene) -> None:
    scene.joint.leave(None, StoppedError)
    assert scene.end() == {"a": StoppedError, "b": StoppedError}
    assert scene.stopped == [StoppedError]
