"""Trackers that share one log."""

from shoal.broker.tracking.changes import Gone, Renewed, Seen
from shoal.protocol.pushing import Doing, Push, Target, Unpush

from tests.unit.broker.scene import holding
from tests.unit.broker.shared import SharingScene, trackers
from tests.unit.broker.states import check

LEASE_S = 30


def members(scene: SharingScene) -> str:
    return scene.nodes().replace("\n", ", ")


def test_what_one_hears_all_know() -> None:
    one, two = trackers()
    one.update("n1", "a=1!1")
    one.exchange()
    assert two.ask("a").startswith("NOT_FOUND")
    two.exchange()
    assert two.ask("a") == "=1:1/n1 n1"
    one.shared.assert_agreed()


def test_a_node_that_moves_over_goes_on_where_it_was() -> None:
    one, two = trackers()
    one.update("n1", "a=1!1")
    one.exchange()
    two.exchange()
    assert two.renew("n1", sequence=1) == "ok 1"
    assert two.update("n1", "b=2!1", sequence=2) == "ok 2"
    one.exchange()
    two.exchange()
    two.shared.assert_agreed()
    assert one.ask("b") == "=2:1/n1 n1"


def test_of_two_claims_the_first_in_the_log_holds() -> None:
    one, two = trackers()
    assert one.update("n1", "a=1!1") == "ok 1"
    assert two.update("n2", "a=2!1 b=3!1") == "ok 2"
    one.exchange()
    two.exchange()  # Its own are taken back, and applied after the other's.
    check(two.tracker._state)
    assert two.ask("a") == "=1:1/n1 n1"
    assert two.renew("n2", sequence=1) == "ok 1 not a=2:1/n1"
    assert two.renew("n2", sequence=1) == "ok 1"
    one.shared.assert_agreed()


def test_who_holds_the_same_content_keeps_it_when_its_claim_is_late() -> None:
    one, two = trackers()
    one.update("n1", "a=1!1")
    two.update("n2", "a=1!1")
    one.exchange()
    two.exchange()
    assert two.update("n2", "b=3!1", sequence=2) == "ok 2 a=1:1/n1"
    one.shared.assert_agreed()
    assert one.ask("a") == "=1:1/n1 n1 n2"


def test_a_claim_of_content_that_nobody_holds_any_more_is_void_too() -> None:
    one, two = trackers()
    one.update("n1", "a=2!1")
    one.update("n1", replace=True)
    one.exchange()
    two.exchange()
    one.update("n1", "a=1!1")
    two.update("n2", "a=2!1")
    one.exchange()
    two.exchange()
    assert two.ask("a") == "=1:1/n1 n1"
    one.shared.assert_agreed()
    one.update("n3", "a=2:1/n1")  # It was there first, and still has its place.
    one.shared.assert_agreed()
    assert two.ask("a") == "=2:1/n1 n3 other =1:1/n1"


def test_a_number_is_not_lowered_by_who_knew_less() -> None:
    one, two = trackers()
    one.update("n1", "a=1:3/n1")
    two.update("n2", "a=1:2/n1")
    one.exchange()
    two.exchange()
    assert two.ask("a") == "=1:3/n1 n1 n2"
    one.shared.assert_agreed()


def test_a_word_that_comes_late_changes_nothing() -> None:
    """A tracker that was stopped appends what it had heard before the node moved over."""
    one, two = trackers()
    one.update("n1", "a=1!1")
    one.exchange()
    two.exchange()
    one.update("n1", "b=2!1", sequence=2)
    two.update("n1", "c=3!1", sequence=3)
    two.exchange()
    one.exchange()
    assert one.ask("b").startswith("NOT_FOUND")
    assert two.ask("c") == "=3:1/n1 n1"
    one.shared.assert_agreed()


def test_a_node_that_one_does_not_hear_is_alive_if_another_does() -> None:
    one, two = trackers()
    one.update("n1", "a=1!1")
    one.exchange()
    two.exchange()
    two.wait(LEASE_S)
    one.wait(LEASE_S - 10)
    one.renew("n1", sequence=1)
    one.wait(10)
    two.exchange()
    assert isinstance(two.log[-1][1], Gone)
    one.exchange()
    assert members(one).startswith("n1 alive 1")
    one.exchange()
    assert isinstance(one.log[-1][1], Seen)
    one.shared.assert_agreed()


def test_who_left_elsewhere_has_left() -> None:
    one, two = trackers()
    one.update("n1", "a=1!1")
    one.exchange()
    two.exchange()
    two.leave("n1")
    two.exchange()
    one.exchange()
    assert members(one).startswith("n1 silent 1")
    one.shared.assert_agreed()


def test_leases_last_while_it_is_unknown_who_renews_elsewhere() -> None:
    one, two = trackers()
    one.update("n1", "a=1!1")
    two.update("n2", "a=1:1/n1")
    one.exchange()
    two.exchange()
    one.exchange()
    one.tracker.store_is_away(is_away=True)
    one.wait(2 * LEASE_S)
    one.expire()
    assert members(one).startswith("n1 silent 1, n2 alive 1")
    one.tracker.store_is_away(is_away=False)
    one.wait(2 * LEASE_S)
    one.expire()
    assert members(one).startswith("n1 silent 1, n2 silent 1")


def test_it_tells_who_renewed_once_and_what_they_do() -> None:
    one, two = trackers()
    one.update("n1")
    doing = Doing()
    one.tracker._apply(Renewed("n1", doing, 5), one.now)
    one.tracker._apply(Renewed("n1"), one.now)
    assert one.tracker.taken_renewed() == (Renewed("n1", doing, 5),)
    assert one.tracker.taken_renewed() == ()
    two.tracker.hear([Renewed("n7", doing)], two.now)  # It knows of none.
    for node in ("n4", "n5", "n6"):  # Strangers that hold nothing are forgotten when they leave.
        one.update(node)
        one.leave(node)
    one.tracker.taken_renewed()
    assert one.tracker._sharing._here.keys() == {"n1"}


def test_nodes_hear_of_pushes_that_others_decided() -> None:
    one, two = trackers()
    one.update("n1", "a=1!1")
    one.exchange()
    two.exchange()
    told = holding("a=1")
    one.send(Push(told.name, told.id, told.size_bytes, Target()))
    one.exchange()
    assert two.exchange() == ("n1",)
    two.send(Unpush("a"))
    two.exchange()
    assert one.exchange() == ("n1",)
    one.shared.assert_agreed()
    assert one.exchange() == ()


def test_a_push_that_is_said_again_counts_after_an_end_that_its_tracker_does_not_know() -> None:
    one, two = trackers()
    one.update("n1", "a=1!1")
    one.exchange()
    two.exchange()
    told = holding("a=1")
    push = Push(told.name, told.id, told.size_bytes, Target())
    one.send(push)
    one.shared.assert_agreed()
    before = one.tracker._state.wishes.find("a")
    one.wait(10)
    one.send(push)
    one.exchange()
    assert two.exchange() == ()  # It is no news.
    assert one.tracker._state.wishes.find("a") == before
    two.send(Unpush("a"))
    one.send(push)
    two.exchange()
    one.exchange()
    one.shared.assert_agreed()
    assert two.tracker._state.wishes.find("a") is not None


def test_a_token_that_was_offered_is_kept_when_changes_are_taken_back() -> None:
    one, two = trackers()
    one.update("n1", "a=1!1")  # It is offered a token.
    offered = one.tracker._state.members.by_node["n1"].tokens.offered
    assert offered
    two.update("n2")
    two.exchange()
    one.exchange()
    member = one.tracker._state.members.by_node["n1"]
    assert member.tokens.offered == offered
    assert member.is_alive
    one.shared.assert_agreed()


def test_confirmed_changes_are_not_taken_back() -> None:
    one, two = trackers()
    one.update("n1", "a=1!1")
    assert one.tracker._sharing.unconfirmed_count == 3
    one.exchange()
    assert one.tracker._sharing.unconfirmed_count == 0
    two.update("n2", "a=2!1")
    two.exchange()
    one.exchange()
    assert one.ask("a") == two.ask("a") == "=1:1/n1 n1"


def test_a_publisher_that_moved_over_gets_the_next_number() -> None:
    one, two = trackers()
    one.update("n1", "a=1!1")
    one.exchange()
    assert two.update("n1", "a=2!1", sequence=2) == "ok 1"  # It does not know of the first.
    two.exchange()
    assert two.renew("n1", sequence=2) == "ok 2 a=2:2/n1"
    two.update("n1", "a=1!1", sequence=3)
    two.shared.assert_agreed()
    assert one.ask("a") == "=2:2/n1 n1 other =1:1/n1"


def test_a_nodes_whole_word_is_in_the_log() -> None:
    """What one knows already may have been taken back with the other."""
    one, two = trackers()
    one.update("n1", "a=1!1 b=2!1 c=3!1")
    one.exchange()
    two.exchange()
    one.update("n1", without="a=1 b=2", sequence=2)
    one.exchange()
    two.update("n1", "a=1:1/n1", without="c=3 d=4", sequence=3)
    two.exchange()
    one.shared.assert_agreed()
    assert one.ask("a") == "=1:1/n1 n1"
    assert one.ask("b").startswith("NOT_FOUND")
    assert two.renew("n1", sequence=3) == "ok 1"


def test_a_late_claim_is_not_believed_again_before_its_node_has_heard() -> None:
    one, two = trackers()
    one.update("n1", "a=1!1 b=3!1")
    two.update("n2", "a=2!1 b=3!1")
    one.exchange()
    two.exchange()
    again = two.update("n2", "a=2:1/n2 b=3:1/n2 c=4!1", sequence=2)
    assert again == "ok 2 not a=2:1/n1 b=3:1/n1 b=3:1/n1"
    two.shared.assert_agreed()
    assert one.ask("a") == "=1:1/n1 n1"


def test_what_a_node_says_anew_counts_alone() -> None:
    """Even what others have just heard of, and this tracker has not."""
    one, two = trackers()
    one.update("n1", "a=1!1")
    one.update("n1", "b=2!1", sequence=2)
    two.update("n1", "c=3!1", sequence=3, replace=True)
    one.exchange()
    two.exchange()
    one.shared.assert_agreed()
    assert one.ask("a").startswith("NOT_FOUND")
    assert one.ask("c") == "=3:1/n1 n1"


def test_a_late_claim_of_a_late_word_is_nothing() -> None:
    one, two = trackers()
    one.update("n1", "a=1!1")
    two.update("n1", "b=2!1", sequence=2)
    two.exchange()
    one.exchange()
    two.exchange()
    assert one.tracker._state.catalogue.find("a", holding("a=1").id) is None
    two.leave("n1")  # From then on it is not behind any more.
    two.shared.assert_agreed()
