"""Work that takes long: each who waits for it has their own reports, and their own end."""

import threading
from collections.abc import Iterator

import pytest
from shoal.node.network.stop import Stop
from shoal.node.orders.jobs import Caller, Jobs, OnProgress, TakenError
from shoal.protocol.control import Working
from shoal.protocol.errors import (
    DiskError,
    Kind,
    OperatorError,
    StoppedError,
    TerminatedError,
    TimedOutError,
)

from tests.unit.wire.places import LIMIT_S, eventually

WORKING = Working("a", 1, 2, None)


class Scene:
    """Work that ends when it is let or stopped, and those who wait for it, each in a thread."""

    def __init__(self) -> None:
        self.jobs = Jobs()
        self.may_end = threading.Event()
        self.outcome: str | Exception | None = "done"
        self.begun = 0
        self.stopped: list[Kind] = []
        self.ends: dict[object, object] = {}
        self.told: list[tuple[object, Working]] = []
        self.threads: list[threading.Thread] = []

    def work(self, stop: Stop, on_progress: OnProgress) -> str | None:
        self.begun += 1
        while not self.may_end.is_set():
            stop.wait(0.01)
            stop.check()
        on_progress(WORKING)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def _told(self, kind: Kind) -> OperatorError:
        self.stopped.append(kind)
        return kind("stopped")

    def call(self, order: object, key: str = "key", *, joins: bool = True) -> None:
        caller = Caller(order, lambda working: self.told.append((order, working)))
        self.threads.append(threading.Thread(target=self._wait, args=(caller, key, joins)))
        self.threads[-1].start()

    def _wait(self, caller: Caller, key: str, joins: bool) -> None:  # noqa: FBT001
        wait = self.jobs.join if joins else self.jobs.run
        try:
            self.ends[caller.order] = wait(key, caller, self.work, self._told)
        except TakenError:
            self.ends[caller.order] = "taken"
        except OperatorError as error:
            self.ends[caller.order] = type(error)
        except ZeroDivisionError as error:
            self.ends[caller.order] = error

    def end(self) -> dict[object, object]:
        self.may_end.set()
        for thread in self.threads:
            thread.join(LIMIT_S)
        return self.ends

    def waiting(self) -> int:
        return sum(len(job._callers) for job in self.jobs._running.values())


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    scene.call("a")
    scene.call("b")
    eventually(lambda: scene.waiting() == 2)
    yield scene
    scene.end()


def test_all_get_what_came_of_it_and_are_told_meanwhile(scene: Scene) -> None:
    assert scene.end() == {"a": "done", "b": "done"}
    assert sorted(scene.told) == [("a", WORKING), ("b", WORKING)]
    assert scene.begun == 1


def test_what_is_over_is_done_anew(scene: Scene) -> None:
    scene.outcome = None  # Which is an outcome too.
    assert scene.end() == {"a": None, "b": None}
    scene.outcome = "anew"
    for order in ("c", "d"):  # At once: nothing of the last one is in their way.
        caller = Caller(order, lambda _: None)
        assert scene.jobs.run("key", caller, scene.work, scene._told) == "anew"
    assert scene.begun == 3


@pytest.mark.parametrize(
    ("error", "end"),
    [(DiskError("no"), DiskError), (ZeroDivisionError("bug"), None)],
)
def test_all_hear_of_its_failure(scene: Scene, error: Exception, end: Kind | None) -> None:
    scene.outcome = error
    assert scene.end() == {"a": end or error, "b": end or error}


def test_one_key_is_for_one_job_and_another_for_another(scene: Scene) -> None:
    scene.call("c", joins=False)
    eventually(lambda: scene.ends == {"c": "taken"})
    scene.call("d", "other key", joins=False)
    eventually(lambda: scene.begun == 2)
    assert scene.end() == {"a": "done", "b": "done", "c": "taken", "d": "done"}


def test_one_who_leaves_stops_nobody_else(scene: Scene) -> None:
    scene.jobs.cancel("nobody", StoppedError)
    scene.jobs.cancel("a", TimedOutError)
    eventually(lambda: scene.ends == {"a": TimedOutError})
    assert scene.stopped == []
    assert scene.end() == {"a": TimedOutError, "b": "done"}


def test_an_order_that_is_over_before_it_begins_is_not_carried_out(scene: Scene) -> None:
    """A push was cancelled between the decision to fetch it and its job: it was fetched."""
    caller = Caller("c", lambda _: None, lambda: False)
    with pytest.raises(StoppedError):
        scene.jobs.join("other key", caller, scene.work, scene._told)
    assert scene.stopped == [StoppedError]
    with pytest.raises(StoppedError):
        scene.jobs.join("key", caller, scene.work, scene._told)
    assert scene.end() == {"a": "done", "b": "done"}


def test_the_last_who_leaves_stops_it_and_sees_its_end(scene: Scene) -> None:
    scene.jobs.cancel("a", TimedOutError)
    scene.jobs.cancel("b", StoppedError)
    eventually(lambda: len(scene.ends) == 2)
    assert scene.stopped == [StoppedError]
    assert scene.ends == {"a": TimedOutError, "b": StoppedError}


def test_nobody_joins_what_is_ending(scene: Scene) -> None:
    (job,) = scene.jobs._running.values()
    with scene.jobs._guard:  # It cannot end while this is held.
        job.leave(None, StoppedError)
        scene.call("c")
    scene.may_end.set()
    eventually(lambda: scene.ends.get("c") == "done")
    assert scene.begun == 2


def test_all_are_stopped_at_once_and_those_that_would_begin_later(scene: Scene) -> None:
    scene.jobs.cancel_all(TerminatedError)
    scene.call("late", "other key")
    eventually(lambda: len(scene.ends) == 3)
    assert set(scene.ends.values()) == {TerminatedError}
