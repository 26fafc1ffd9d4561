"""What a session tells the tracker that its node could send, and what it hears that it may."""

from collections.abc import Iterator

import pytest
from shoal.protocol import messages
from shoal.protocol.messages import Ok, Renew
from shoal.protocol.pushing import News
from shoal.wire.tracker_client import NEWS_TAG

from tests.unit.node.hostile import Frames
from tests.unit.node.network.test_session import Context, ListeningTracker, Node
from tests.unit.wire.places import eventually


class LendingTracker(ListeningTracker):
    """Lends what is wanted; a moment later, without being asked, twice as much."""

    def answer(self, frames: Frames) -> list[Frames]:
        answers = super().answer(frames)
        renewal = self.heard[-1]
        if not isinstance(renewal, Renew) or not renewal.wants:
            return answers
        tag, empty, _ = frames
        answer = Ok(lease_ms=1000, holdings=len(self.known), lent=renewal.wants)
        news = News(0, 2 * renewal.wants)
        return [
            [tag, empty, messages.encode(answer)],
            [NEWS_TAG, empty, messages.encode(news)],
        ]


class Borrower:
    def __init__(self) -> None:
        self.wants = 0
        self.heard: list[int | None] = []

    def lent(self, rate: int | None, now: float) -> None:
        assert now > 0
        if rate is not None:
            self.heard.append(rate)


@pytest.fixture
def tracker(context: Context) -> Iterator[LendingTracker]:
    tracker = LendingTracker(context)
    yield tracker
    tracker.stop()


def test_what_is_wanted_is_told_at_once_and_what_is_lent_is_heard(
    context: Context, tracker: LendingTracker
) -> None:
    node, borrower = Node(context, tracker.address), Borrower()
    node.session.borrow(borrower)
    node.session.start()
    assert node.session.flush(5)
    borrower.wants = 5_000_000
    node.session.nudge()
    eventually(lambda: borrower.heard[:2] == [5_000_000, 10_000_000])
    borrower.wants = 0
    node.session.nudge()
    eventually(lambda: isinstance(tracker.heard[-1], Renew) and not tracker.heard[-1].wants)
    node.session.stop()
