"""What a node fetches of what is wished of it, and when."""

import pytest
from shoal.node.serving.wished import (
    FIRST_RETRY_S,
    LOOK_S,
    MOST_RETRY_S,
    STUCK_S,
    Free,
    Listing,
    Rate,
    Wished,
)
from shoal.protocol.errors import DiskError, NobodyAliveError
from shoal.protocol.pushing import MAX_AT_A_TIME, MAX_REASON_CHARACTERS, Failure, Wish


def wish(name: str, number: int = 1) -> Wish:
    return Wish(name, f"b3:{number:064x}", 1000)


A, B = wish("a"), wish("b")


class Scene:
    """A node with some wishes, some of which are here."""

    def __init__(self, *wishes: Wish) -> None:
        self.wished = Wished()
        self.wished.take(wishes)
        self.here: set[Wish] = set()
        self.now = 100.0
        self.room_bytes = 0
        self.part_bytes = 0

    def next(self) -> Wish | None:
        free = Free(self.room_bytes, lambda _: self.part_bytes)
        return self.wished.next(self.now, self.here.__contains__, free)

    def fail(self, one: Wish, kind: type[NobodyAliveError | DiskError] = NobodyAliveError) -> None:
        self.wished.failed(one, "no", kind, self.now)


def test_what_is_not_here_is_fetched_in_order() -> None:
    scene = Scene(A, B)
    assert len(scene.wished) == 2
    assert scene.next() == A
    scene.here.add(A)
    assert scene.next() == B
    scene.here.add(B)
    assert scene.next() is None
    assert scene.wished.pause_s(scene.now) == LOOK_S


def test_what_is_lost_is_fetched_again() -> None:
    scene = Scene(A)
    scene.here.add(A)
    assert scene.next() is None
    scene.here.clear()
    assert scene.next() == A


def test_what_fails_waits_while_others_are_fetched() -> None:
    scene = Scene(A, B)
    scene.fail(A)
    assert scene.next() == B
    scene.now += FIRST_RETRY_S
    assert scene.next() == A


def test_what_fails_again_and_again_waits_longer_and_longer() -> None:
    scene = Scene(A)
    pauses = []
    for _ in range(9):
        scene.fail(A)
        pauses.append(scene.wished.failures(scene.now)[0].retry_s)
    assert pauses[:4] == [5, 10, 20, 40]
    assert pauses[-1] == MOST_RETRY_S
    assert scene.wished.pause_s(scene.now) == LOOK_S


def test_what_was_fetched_otherwise_has_not_failed() -> None:
    scene = Scene(A)
    scene.fail(A)
    scene.here.add(A)
    assert scene.next() is None
    assert scene.wished.failures(scene.now) == ()


def test_what_gets_nothing_makes_way_for_what_is_due() -> None:
    scene = Scene(A, B)
    scene.wished.begun(scene.now)

    def makes_way(have_bytes: int, after_s: float) -> bool:
        scene.now += after_s
        free = Free(0, lambda _: 0)
        here = scene.here.__contains__
        return scene.wished.makes_way(have_bytes, scene.now, here, free, A)

    assert not makes_way(0, STUCK_S - 1)
    assert not makes_way(1, STUCK_S - 1)  # It has got something meanwhile.
    assert makes_way(1, STUCK_S)
    scene.fail(B)
    assert not makes_way(1, 1)  # It was tried just now.
    assert makes_way(1, FIRST_RETRY_S)
    scene.here.add(B)
    assert not makes_way(1, 100)


def test_a_full_disk_is_tried_as_soon_as_there_is_room() -> None:
    scene = Scene(A)
    for _ in range(8):
        scene.fail(A, DiskError)
    scene.room_bytes = 5000
    assert scene.next() is None  # It has only just been found full.
    scene.now += LOOK_S
    assert scene.next() == A
    scene.room_bytes = 600
    assert scene.next() is None
    scene.part_bytes = 500
    assert scene.next() == A


def test_others_do_not_wait_for_room() -> None:
    scene = Scene(A)
    scene.fail(A)
    scene.fail(A)
    scene.room_bytes, scene.now = 5000, scene.now + LOOK_S
    assert scene.next() is None


def test_a_new_version_is_tried_at_once() -> None:
    scene = Scene(A)
    scene.fail(A)
    newer = wish("a", 2)
    scene.wished.take([newer])
    assert not scene.wished.still_holds(A)
    assert scene.next() == newer
    scene.fail(A)  # The older one was under way.
    assert scene.wished.failures(scene.now) == ()


def test_tells_of_the_last_failures_in_bounds() -> None:
    many = [wish(f"f{number}") for number in range(MAX_AT_A_TIME + 2)]
    scene = Scene(*many)
    for one in many:
        scene.wished.failed(one, "x" * 1000, DiskError, scene.now)
    told = scene.wished.failures(scene.now + 2)
    assert [one.name for one in told] == [one.name for one in many[2:]]
    reason = "x" * MAX_REASON_CHARACTERS
    assert told[-1] == Failure(many[-1].name, many[-1].id, reason, retry_s=3)


# Asking for them.


def test_asks_when_the_wishes_have_changed() -> None:
    listing = Listing()
    due = [listing.is_due]
    listing.told(7)
    due.append(listing.is_due)
    listing.page(7, [A], None)
    due.append(listing.is_due)
    assert listing.taken() == [A]
    assert listing.taken() is None
    listing.told(7)
    due.append(listing.is_due)
    assert due == [False, True, False, False]


def test_asks_page_by_page() -> None:
    listing = Listing()
    listing.told(7)
    listing.page(7, [A], "a")
    assert (listing.is_due, listing.after, listing.taken()) == (True, "a", None)
    listing.page(7, [B], None)
    assert listing.taken() == [A, B]


def test_begins_anew_if_they_change_meanwhile() -> None:
    listing = Listing()
    listing.told(7)
    listing.page(7, [A], "a")
    listing.page(8, [B], None)
    assert (listing.is_due, listing.after, listing.taken()) == (True, "", None)
    listing.page(8, [A, B], None)
    assert listing.taken() == [A, B]


def test_a_listing_without_end_ends() -> None:
    listing = Listing()
    listing.told(7)
    listing.page(7, [B], "b")
    listing.page(7, [A], "a")
    assert listing.taken() == [B, A]


def test_none_are_left_when_the_tracker_says_so() -> None:
    listing = Listing()
    listing.told(0)
    assert listing.taken() is None
    listing.told(7)
    listing.page(7, [A], None)
    listing.taken()
    listing.told(0)
    assert not listing.is_due
    assert listing.taken() == []


def test_a_tracker_that_does_not_know_of_wishes_is_asked_once() -> None:
    listing = Listing()
    listing.told(7)
    listing.refused()
    assert not listing.is_due
    assert listing.taken() == []


# Rates.


@pytest.mark.parametrize("step_s", [0.1, 1.0, 2.0])
def test_a_steady_rate_is_told_right(step_s: float) -> None:
    rate = Rate()
    now = 0.0
    for number in range(int(20 / step_s)):
        now = number * step_s
        rate.grown(int(now * 1000), now)
    assert rate.of(now) == pytest.approx(1000, rel=0.02)


def test_what_stands_still_has_no_rate() -> None:
    rate = Rate()
    rate.grown(0, 0.0)
    rate.grown(5000, 1.0)
    assert rate.of(1.0) == 5000
    assert rate.of(30.0) == 0


def test_what_begins_anew_has_no_rate_yet() -> None:
    rate = Rate()
    rate.grown(0, 0.0)
    rate.grown(5000, 1.0)
    rate.grown(10, 2.0)
    assert rate.of(2.0) == 0
