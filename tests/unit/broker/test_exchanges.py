"""What is exchanged with a store that others share, and when."""

from collections.abc import Iterable, Sequence

import pytest
from shoal.broker.exchanges import Exchanges, Job, carried_out
from shoal.broker.settings import ServerSettings
from shoal.broker.stores import NOTHING, Exchanged, LostError, NotLoadedError, NotSavedError
from shoal.broker.tracking.changes import Change, Forgotten, Renewed
from shoal.broker.tracking.initial import Initial
from shoal.broker.tracking.settings import TrackerSettings
from shoal.broker.tracking.state import State

SETTINGS = ServerSettings(max_unsaved_changes=4)
N1, N2, N3 = (Forgotten(node) for node in ("n1", "n2", "n3"))
AWAY = NotSavedError("connection refused")


class Tracker:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.renewed: tuple[Renewed, ...] = ()

    def absorb(self, others: Sequence[Change], confirmed: int, now: float) -> tuple[str, ...]:
        self.told.append((list(others), confirmed, now))
        return tuple(change.node for change in others if isinstance(change, Forgotten))

    def reload(self, folded: State, now: float) -> None:
        self.told.append(("reload", folded, now))

    def await_reload(self) -> None:
        self.told.append("await reload")

    def taken_renewed(self) -> tuple[Renewed, ...]:
        return self.renewed

    def hear(self, renewed: Iterable[Renewed], now: float) -> None:
        self.told += [(each.node, now) for each in renewed]

    def store_is_away(self, *, is_away: bool) -> None:
        self.told.append("away" if is_away else "back")


@pytest.fixture
def tracker() -> Tracker:
    return Tracker()


@pytest.fixture
def exchanges(tracker: Tracker) -> Exchanges:
    return Exchanges(tracker, SETTINGS, 100.0)


def test_asks_now_and_then_what_others_did(exchanges: Exchanges, tracker: Tracker) -> None:
    tracker.renewed = (Renewed("n1"),)
    assert exchanges.next_job(100) == Job(renewed=(Renewed("n1"),))
    assert exchanges.next_job(100.01) is None
    assert exchanges.deadline == 101
    assert exchanges.done(Exchanged([N2], [Renewed("n3")]), 100.02) == ("n2",)
    assert tracker.told == [([N2], 0, 100.02), ("n3", 100.02)]
    assert exchanges.deadline == pytest.approx(100.07)
    assert exchanges.next_job(100.06) is None
    assert exchanges.next_job(100.08) == Job()  # Who renewed is told once a second.


def test_what_was_decided_goes_out_at_once(exchanges: Exchanges, tracker: Tracker) -> None:
    exchanges.next_job(100)
    exchanges.done(NOTHING, 100)
    exchanges.add([N1, N2], 100.01)
    assert not exchanges.has_saved_all()
    assert exchanges.next_job(100.01) == Job(changes=(N1, N2))
    exchanges.add([N3], 100.02)
    exchanges.done(Exchanged(unsaved=1), 100.03)
    assert exchanges.next_job(100.03) == Job(changes=(N2, N3))
    exchanges.done(Exchanged(), 100.04)
    assert exchanges.has_saved_all()
    assert [told[1] for told in tracker.told if isinstance(told, tuple)] == [0, 1, 2]


def test_says_once_that_the_store_is_away_and_once_that_it_is_back(
    exchanges: Exchanges, tracker: Tracker, caplog: pytest.LogCaptureFixture
) -> None:
    exchanges.add([N1], 100)
    for now in (100, 101, 102):
        assert exchanges.next_job(now) == Job(changes=(N1,))
        assert exchanges.done(AWAY, now) == ()
        assert exchanges.next_job(now + 0.1) is None  # Not at once.
    exchanges.add([N2], 102.1)
    assert exchanges.next_job(102.2) is None
    assert (exchanges.failure_count, exchanges.outage_count) == (3, 1)
    assert exchanges.trouble == "connection refused"
    assert exchanges.next_job(103) == Job(changes=(N1, N2))
    exchanges.done(NOTHING, 103)
    assert tracker.told == ["away", ([], 2, 103), "back"]
    assert [line.split(" (")[0] for line in caplog.messages] == [
        "the store is away",
        "the store is back",
    ]


def test_a_store_that_is_silent_is_away(exchanges: Exchanges, tracker: Tracker) -> None:
    exchanges.next_job(100)
    assert exchanges.next_job(100.9) is None
    assert tracker.told == []
    assert exchanges.next_job(101) is None
    assert exchanges.trouble == "no answer for 1 s"
    assert exchanges.deadline is None
    exchanges.done(NOTHING, 105)
    assert tracker.told == ["away", ([], 0, 105), "back"]


def test_a_log_that_goes_on_is_read_on_at_once(exchanges: Exchanges) -> None:
    exchanges.next_job(100)
    exchanges.done(Exchanged([N1], has_more=True), 100.02)
    assert exchanges.is_behind(101.01)
    assert exchanges.next_job(100.02) == Job()
    exchanges.done(Exchanged([N2]), 100.03)
    assert not exchanges.is_behind(101.01)
    assert exchanges.next_job(100.03) is None


def test_what_came_of_a_job_before_a_pause_is_old(exchanges: Exchanges) -> None:
    exchanges.next_job(100)
    exchanges.done(NOTHING, 140)
    assert exchanges.is_behind(140)
    assert exchanges.next_job(140) == Job()
    exchanges.done(NOTHING, 140.01)
    assert not exchanges.is_behind(140.01)


def test_what_the_store_has_lost_is_loaded(exchanges: Exchanges, tracker: Tracker) -> None:
    exchanges.add([N1], 100)
    exchanges.next_job(100)
    exchanges.done(LostError("flushed"), 100)
    exchanges.add([N2], 100)  # Comes with what the tracker says again.
    assert not exchanges.has_saved_all()
    assert exchanges.next_job(100) == Job(loads=True)
    state = State(Initial(""), TrackerSettings())
    exchanges.done(state, 100.5)
    assert tracker.told == ["await reload", ("reload", state, 100.5)]
    assert exchanges.has_saved_all()
    assert exchanges.loss_count == 1


def test_too_much_that_is_not_saved_is_given_up(exchanges: Exchanges, tracker: Tracker) -> None:
    exchanges.add([N1], 100)
    exchanges.next_job(100)
    exchanges.add([N2, N3, N2, N3], 100)
    exchanges.done(NOTHING, 101)
    assert tracker.told == ["await reload"]
    assert exchanges.unsaved_count == 0
    assert exchanges.next_job(102) == Job(loads=True)
    exchanges.done(AWAY, 102)
    assert exchanges.next_job(103) == Job(loads=True)


class Store:
    """Raises, or does nothing."""

    is_shared = True

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def load(self) -> Sequence[Change]:
        return [N1]

    def exchange(self, changes: Sequence[Change], renewed: Sequence[Renewed] = ()) -> Exchanged:
        if self._error is not None:
            raise self._error
        return Exchanged(changes, renewed)

    def trouble(self) -> str:
        return ""

    def close(self) -> None: ...


def test_jobs_are_carried_out() -> None:
    given: list[Change] = []
    state = State(Initial(""), TrackerSettings())

    def fold(log: Iterable[Change]) -> State:
        given.extend(log)
        return state

    assert carried_out(Job(loads=True), Store(), fold) is state
    assert given == [N1]
    job = Job(changes=[N2], renewed=[Renewed("n1")])
    assert carried_out(job, Store(), fold) == Exchanged([N2], [Renewed("n1")])
    assert carried_out(Job(), Store(AWAY), fold) is AWAY


def test_a_store_that_was_not_read_yet_has_lost_nothing(
    exchanges: Exchanges, tracker: Tracker, caplog: pytest.LogCaptureFixture
) -> None:
    exchanges.next_job(100)
    exchanges.done(NotLoadedError(), 100)
    assert exchanges.next_job(100) == Job(loads=True)
    assert tracker.told == ["await reload"]
    assert caplog.messages == []
