"""What a node wants of a rate that is lent, and what it may send by that."""

from shoal.node.serving.borrowing import HELD_S, IDLE_S, LEAST, LOOK_S, MOST, SURE_S, Borrowing


class Node:
    """One that sends at some rate, and looks at it as often as it can."""

    def __init__(self, usual: int | None = None) -> None:
        self.borrowing = Borrowing(usual)
        self.now = 100.0
        self.sent_bytes = 0.0
        self.told: list[int] = []
        self.borrowing.look(0, None, self.now, is_busy=False)

    def sends(self, rate: float, seconds: float, limit: int | None = None) -> "Node":
        """Send for some time, and note what the tracker is told."""
        until = self.now + seconds
        while self.now < until - 1e-9:
            self.now += LOOK_S
            self.sent_bytes += rate * LOOK_S
            sent, now = int(self.sent_bytes), self.now
            if self.borrowing.look(sent, limit, now, is_busy=False):
                self.told.append(self.borrowing.wants)
        return self


def test_one_that_begins_wants_all_and_one_that_ends_wants_nothing() -> None:
    node = Node().sends(0, 1.0).sends(1e6, 5.0).sends(0, IDLE_S / 2).sends(1e6, 5.0)
    assert node.told == [MOST]
    assert node.sends(0, 2 * IDLE_S).told == [MOST, 0]


def test_one_that_looks_again_too_soon_sees_nothing() -> None:
    node = Node()
    assert not node.borrowing.look(10**9, None, node.now + LOOK_S / 2, is_busy=True)
    assert node.borrowing.wants == 0


def test_one_that_has_something_to_send_is_not_idle() -> None:
    """With a small share, minutes may pass between two chunks."""
    node = Node().sends(1e6, 1.0, 10**6)
    for _ in range(20):
        node.now += LOOK_S
        node.borrowing.look(int(node.sent_bytes), 10**6, node.now, is_busy=True)
    assert node.borrowing.wants == LEAST
    node.now += 2 * IDLE_S
    assert node.borrowing.look(int(node.sent_bytes), 10**6, node.now, is_busy=False)
    assert node.borrowing.wants == 0


def test_one_that_a_limit_holds_back_wants_more() -> None:
    assert Node().sends(0.9e6, 10.0, 10**6).told == [MOST]


def test_one_that_is_slow_wants_little_more_than_it_sends() -> None:
    node = Node().sends(0.2e6, 10.0, 10**6)
    assert node.told == [MOST, 300_000]
    assert node.sends(0.22e6, 5.0, 10**6).told == [MOST, 300_000]
    assert node.sends(0.5e6, 5.0, 10**6).told == [MOST, 300_000, 750_000]


def test_a_limit_that_was_raised_is_given_time() -> None:
    node = Node().sends(1e6, 3.0, 10**6).sends(1e6, SURE_S - LOOK_S, 10**7)
    assert node.told == [MOST]
    assert node.sends(1e6, 2 * SURE_S, 10**7).told == [MOST, 1_500_000]


def test_what_was_lent_counts_for_a_while() -> None:
    node = Borrowing(50)
    assert node.limit(0.0) == 50
    node.lent(200, 0.0)
    assert node.limit(HELD_S - 1) == 200
    assert node.limit(HELD_S) == 50
    node.lent(20, 20.0)
    assert node.limit(21.0 + HELD_S) == 20
    node.lent(None, 40.0)
    assert node.limit(40.0) == 50


def test_a_stricter_part_holds_until_the_tracker_speaks_again() -> None:
    node = Borrowing(200)
    node.lent(200, 0.0)
    assert node.set_usual(50)
    assert node.limit(0.0) == 50
    node.lent(120, 1.0)
    assert node.limit(1.0) == 120


def test_another_part_does_not_end_a_loan_unless_it_is_stricter() -> None:
    node = Borrowing(50)
    node.lent(200, 0.0)
    assert not node.set_usual(50)
    assert not node.set_usual(100)
    assert not node.set_usual(None)
    assert node.limit(0.0) == 200
    assert node.set_usual(300)
    assert node.limit(0.0) == 200


def test_without_a_budget_there_is_no_limit() -> None:
    node = Borrowing()
    assert node.limit(0.0) is None
    node.lent(200, 0.0)
    assert node.limit(HELD_S) == 200
