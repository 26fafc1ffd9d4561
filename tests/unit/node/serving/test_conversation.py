"""What is said to the tracker next, and whose the answer is."""

import pytest
from shoal.node.serving.announcer import Announcer
from shoal.node.serving.conversation import BUSY_S, LIST_AGAIN_S, Conversation
from shoal.protocol.errors import WireCode
from shoal.protocol.messages import Error, Ok, TrackerReply
from shoal.protocol.pushing import Doing, Transfer, Wish, Wishes, WishList

from tests.unit.node.serving.test_announcer import ADDRESS, SETTINGS, drawn
from tests.unit.node.things import rng

A, B = (Wish(name, f"b3:{number:064x}", 10) for number, name in enumerate("ab", 1))


class Scene:
    """A node that holds nothing, and has said so; it obeys unless it is told otherwise."""

    def __init__(self, *, obeys: bool = True) -> None:
        self.now = 100.0
        announcer = Announcer("n1", ADDRESS, 5, rng(), SETTINGS)
        self.talk = Conversation(announcer)
        if obeys:
            self.talk.obey_as("n1")
        announcer.all_known(self.now)
        assert self.says() == "!"
        self.hears(Ok(lease_ms=30_000, holdings=0))

    def says(self) -> str:
        message = self.talk.next_message(self.now)
        return f"wishes after {message.after!r}" if isinstance(message, Wishes) else drawn(message)

    def hears(self, reply: TrackerReply) -> bool:
        return self.talk.answered(reply, self.now)

    def due(self) -> str | None:
        deadline = self.talk.deadline
        return None if deadline is None else "now" if deadline <= self.now else "later"

    def tells_within_s(self, *, is_busy: bool = False, is_nudged: bool = False) -> float | None:
        return self.talk.tells_within_s(self.now, is_busy=is_busy, is_nudged=is_nudged)


def ok(revision: int) -> Ok:
    return Ok(lease_ms=30_000, holdings=0, wishes=revision)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_asks_what_is_wished_when_the_answer_to_a_renewal_says_that_it_has_changed(
    scene: Scene,
) -> None:
    assert (scene.says(), scene.talk.taken_wishes()) == ("", None)
    scene.now += 12
    assert scene.says() == "renew 0"
    assert scene.due() is None
    assert scene.hears(ok(7))
    assert scene.due() == "now"
    assert scene.says() == "wishes after ''"
    assert not scene.hears(WishList(7, (A,), "a"))
    assert scene.says() == "wishes after 'a'"
    scene.hears(WishList(7, (B,)))
    assert scene.talk.taken_wishes() == [A, B]
    assert (scene.says(), scene.due()) == ("", "later")


def test_asks_at_once_when_the_tracker_tells_by_itself(scene: Scene) -> None:
    scene.talk.heard(7)
    assert scene.says() == "wishes after ''"
    scene.hears(WishList(7, (A,)))
    scene.talk.heard(0)
    assert scene.talk.taken_wishes() == []


def test_the_announcer_comes_first(scene: Scene) -> None:
    scene.talk.heard(7)
    scene.now += 12
    assert scene.says() == "renew 0"
    scene.hears(ok(7))
    assert scene.says() == "wishes after ''"


def test_asks_again_after_a_while_if_there_is_no_answer(scene: Scene) -> None:
    scene.talk.heard(7)
    scene.says()
    scene.talk.unanswered(scene.now)
    assert (scene.says(), scene.talk.deadline) == ("", scene.now + LIST_AGAIN_S)
    scene.now += LIST_AGAIN_S
    assert scene.says() == "wishes after ''"
    scene.hears(WishList(7, (A,)))
    scene.now += 12
    assert scene.says() == "renew 0"
    scene.talk.unanswered(scene.now)  # That is the announcer's matter.
    assert scene.talk.deadline is not None
    assert scene.talk.deadline < scene.now + LIST_AGAIN_S


def test_what_is_wished_still_counts_when_the_tracker_refuses_to_tell(scene: Scene) -> None:
    """A bug in it, or a reply that made no sense, ended all pushes on that node."""
    scene.talk.heard(7)
    scene.says()
    scene.hears(WishList(7, (A,)))
    assert scene.talk.taken_wishes() == [A]
    scene.talk.heard(8)
    assert scene.says() == "wishes after ''"
    scene.hears(Error(WireCode.INTERNAL, "a bug"))
    assert (scene.talk.taken_wishes(), scene.says()) == (None, "")
    scene.now += LIST_AGAIN_S
    assert scene.says() == "wishes after ''"
    scene.hears(Error(WireCode.UNSUPPORTED, "an older tracker"))
    assert scene.talk.taken_wishes() == []


def test_asks_nothing_for_a_node_that_does_not_obey() -> None:
    scene = Scene(obeys=False)
    scene.talk.heard(7)
    assert scene.says() == ""
    scene.now += 12
    assert scene.says() == "renew 0"


def test_the_tracker_hears_of_what_begins_at_once_and_of_what_goes_on_now_and_then(
    scene: Scene,
) -> None:
    assert scene.tells_within_s() is None
    assert scene.tells_within_s(is_nudged=True) == 0.0
    assert scene.tells_within_s(is_busy=True) == BUSY_S
    going_on = Doing(hashing=(Transfer("a"),))
    scene.talk.announcer.tell_doing(going_on, scene.now, within_s=BUSY_S)
    assert scene.tells_within_s() == BUSY_S  # So that its end is told, too.
    scene.talk.announcer.tell_doing(Doing(), scene.now, within_s=BUSY_S)
    assert scene.tells_within_s() is None
    scene.now += BUSY_S
    assert scene.tells_within_s() == BUSY_S  # It is to be renewed now.
    scene.says()
    assert scene.tells_within_s() is None  # The answer is awaited.


def test_a_refused_announcement_tells_nothing_of_wishes(scene: Scene) -> None:
    scene.talk.heard(7)
    scene.says()
    scene.hears(WishList(7, (A,)))
    assert scene.talk.taken_wishes() == [A]
    scene.now += 12
    assert scene.says() == "renew 0"
    assert scene.talk.answered(Error(WireCode.INTERNAL, "a bug"), scene.now)
    assert scene.talk.taken_wishes() is None


def test_another_tracker_hears_at_once_that_we_are_here(scene: Scene) -> None:
    """For it has news for us from now on."""
    assert scene.says() == ""
    scene.talk.moved(scene.now)
    assert scene.says() == "renew 0"
