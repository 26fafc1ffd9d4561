"""The thread that exchanges with a store that trackers share."""

import queue
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from shoal.broker.exchanges import Job, Result
from shoal.broker.settings import ServerSettings
from shoal.broker.shared_saver import SharedSaver, ThreadCourier
from shoal.broker.stores import Exchanged
from shoal.broker.tracking.changes import Change, Forgotten, Renewed
from shoal.broker.tracking.initial import Initial
from shoal.broker.tracking.settings import TrackerSettings
from shoal.broker.tracking.state import State

from tests.unit.broker.shared_store import MemoryLog, MemoryStore
from tests.unit.broker.test_exchanges import Tracker

N1, N2, N3 = (Forgotten(node) for node in ("n1", "n2", "n3"))
STATE = State(Initial(""), TrackerSettings())
PATIENT = ServerSettings(exchange_patience_s=60.0, retry_exchange_s=0.0)
HASTY = ServerSettings(exchange_patience_s=0.001, retry_exchange_s=0.0)


class Scene:
    """A saver, and what wakes it."""

    def __init__(self) -> None:
        self.log = MemoryLog()
        self.store = MemoryStore(self.log)
        self.tracker = Tracker()
        self.woken = threading.Event()
        self.now = 100.0
        self._savers: list[SharedSaver] = []

    def saver(self, settings: ServerSettings) -> SharedSaver:
        courier = ThreadCourier(self.store, lambda _: STATE, self.woken.set)
        self._savers.append(SharedSaver(courier, self.tracker, settings, lambda: self.now))
        return self._savers[-1]

    def saved(self) -> list[Change]:
        return [change for _, change in self.log.entries]

    def turn_until(self, saver: SharedSaver, is_so: Callable[[], bool]) -> None:
        """Have rounds without requests, as the server has when it is woken."""
        until = time.monotonic() + 60
        while not is_so():
            assert time.monotonic() < until
            self.now += 1
            saver.catch_up(self.now)
            self.woken.wait(0.01)

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        until = time.monotonic() + 60
        while not is_so():
            assert time.monotonic() < until
            time.sleep(0.001)

    def close(self) -> None:
        self.log.answers.set()
        for saver in self._savers:
            saver.close()


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.close()


def test_a_round_is_saved_before_it_is_answered(scene: Scene) -> None:
    saver = scene.saver(PATIENT)
    saver.catch_up(scene.now)
    MemoryStore(scene.log).exchange([N2])
    assert saver.save([N1], scene.now)
    assert scene.saved() == [N2, N1]
    assert saver.taken_notified() == ("n2",)
    assert saver.taken_notified() == ()
    assert saver.save([], scene.now)
    assert set(saver.counts().values()) == {0}


def test_before_its_first_answer_it_hears_what_others_did_since_it_read_the_log(
    scene: Scene,
) -> None:
    scene.store.load()
    MemoryStore(scene.log).exchange([N2])
    saver = scene.saver(PATIENT)
    saver.catch_up(scene.now)
    assert saver.taken_notified() == ("n2",)


def test_after_a_pause_it_hears_of_others_first(scene: Scene) -> None:
    saver = scene.saver(PATIENT)
    saver.catch_up(scene.now)
    MemoryStore(scene.log).exchange([N2])
    saver.catch_up(scene.now + 10)
    assert saver.taken_notified() == ("n2",)


def test_after_a_pause_what_was_asked_before_it_is_not_enough(scene: Scene) -> None:
    saver = scene.saver(PATIENT)
    assert saver.save([N1], scene.now)
    scene.tracker.renewed = (Renewed("n3"),)
    saver.catch_up(scene.now + 1)
    scene.wait_until(lambda: bool(scene.log.renewed))
    MemoryStore(scene.log).exchange([N2])
    saver.catch_up(scene.now + 10)
    assert saver.taken_notified() == ("n2",)


def test_it_waits_no_longer_for_a_store_that_hangs(scene: Scene) -> None:
    saver = scene.saver(HASTY)
    scene.log.answers.clear()
    assert not saver.save([N1], scene.now)
    assert not saver.save([N2], scene.now)
    scene.now += 2
    saver.catch_up(scene.now)
    assert saver.trouble == "no answer for 1 s"
    scene.log.answers.set()
    scene.turn_until(saver, lambda: saver.counts()["unsaved_changes"] == 0)
    assert scene.saved() == [N1, N2]
    assert saver.trouble == ""


class NotingCourier(ThreadCourier):
    """Notes how long it was waited for."""

    waits: list[float]

    def result(self, patience_s: float) -> Result | None:
        self.waits.append(patience_s)
        return super().result(patience_s)


def test_a_store_that_hangs_holds_up_one_round_alone(scene: Scene) -> None:
    courier = NotingCourier(scene.store, lambda _: STATE, scene.woken.set)
    courier.waits = []
    saver = SharedSaver(courier, scene.tracker, HASTY, lambda: scene.now)
    scene.log.answers.clear()
    for _ in range(3):
        scene.now += 10
        saver.catch_up(scene.now)
    assert [wait for wait in courier.waits if wait > 0] == [HASTY.exchange_patience_s]
    scene.log.answers.set()
    saver.close()


def test_a_store_that_is_away_gets_everything_later(scene: Scene) -> None:
    saver = scene.saver(PATIENT)
    scene.log.is_away = True
    assert not saver.save([N1], scene.now)
    assert saver.trouble == "it is away"
    assert not saver.save([N2], scene.now)
    assert saver.failure_count >= 1
    scene.log.is_away = False
    scene.turn_until(saver, lambda: saver.trouble == "" and len(scene.saved()) == 2)
    assert scene.saved() == [N1, N2]
    assert saver.save([N3], scene.now)


class LateResults(queue.Queue[Result]):
    """What comes just as the wait for it has ended."""

    def get(self, block: bool = True, timeout: float | None = None) -> Result:  # noqa: FBT001, FBT002 (as queue has it)
        if timeout is not None:
            until = time.monotonic() + 60
            while self.qsize() < 2:  # When the second is there, the first one has woken nobody.
                assert time.monotonic() < until
                time.sleep(0.001)
            raise queue.Empty
        return super().get(block)


def test_a_result_that_comes_as_the_wait_ends_is_not_left_lying(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    courier = ThreadCourier(scene.store, lambda _: STATE, scene.woken.set)
    monkeypatch.setattr(courier, "_results", LateResults())
    courier.take(Job())
    courier.take(Job())
    assert courier.result(0.01) == Exchanged()
    courier.close()


def test_what_counts_after_a_loss_is_not_called_saved_yet(scene: Scene) -> None:
    saver = scene.saver(PATIENT)
    assert saver.save([N1], scene.now)
    scene.log.lose(0)
    assert not saver.save([N2], scene.now)
    assert scene.tracker.told[-1] == ("reload", STATE, scene.now)
    assert saver.save([N3], scene.now)  # What the tracker says again.
    assert scene.saved() == [N3]


def test_a_bug_costs_an_exchange(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(scene.store, "exchange", None)
    saver = scene.saver(PATIENT)
    assert not saver.save([N1], scene.now)
    assert "a bug in the store" in caplog.text
