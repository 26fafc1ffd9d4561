"""Who publishes: which number a holding gets, and which claims are refused."""

import pytest
from shoal.broker.tracking.catalogue import Catalogue
from shoal.broker.tracking.claims import told
from shoal.protocol import fields

from tests.unit.broker.scene import Scene, holding

MOST = fields.MAX_NUMBER


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_the_first_claim_to_a_name_publishes_it(scene: Scene) -> None:
    assert scene.update("n1", "a=1!1") == "ok 1"
    assert scene.ask("a") == "=1:1/n1 n1"
    assert scene.files() == "a=1:1/n1: n1"


def test_a_claim_without_a_number_is_one_to_the_first(scene: Scene) -> None:
    assert scene.update("n1", "a=1!0") == "ok 1 a=1:1/n1"


def test_a_copy_is_listed_whatever_its_number(scene: Scene) -> None:
    scene.update("n1", "a=2!2")
    assert scene.update("n2", "a=1:1/n9") == "ok 1"
    assert scene.update("n3", "a=3") == "ok 1"
    assert scene.ask("a") == "=2:2/n1 n1 other =1:1/n9 =3"


def test_a_copy_that_knows_of_no_number_is_told(scene: Scene) -> None:
    scene.update("n1", "a=1!1")
    assert scene.update("n2", "a=1~") == "ok 1 a=1:1/n1"
    assert scene.update("n2", "a=1~:1/n1") == "ok 1"


def test_the_highest_number_that_anybody_was_told_counts(scene: Scene) -> None:
    scene.update("n1", "a=1:1/n1")
    assert scene.update("n2", "a=1:4/n2") == "ok 1"
    assert scene.update("n1", "a=1:1/n1") == "ok 1 a=1:4/n2"
    assert scene.ask("a") == "=1:4/n2 n1 n2"


def test_a_tracker_that_lost_everything_finds_the_same_newest(scene: Scene) -> None:
    for order in (("n1", "n2", "n3"), ("n3", "n1", "n2"), ("n2", "n3", "n1")):
        fresh = Scene()
        said = {"n1": "a=1:1/n1", "n2": "a=2:2/n1", "n3": "a=3:3/n2"}
        for node in order:
            assert fresh.update(node, said[node], replace=True) == "ok 1"
        assert fresh.ask("a") == "=3:3/n2 n3 other =2:2/n1 =1:1/n1"


def test_of_two_with_one_number_the_first_is_the_newest(scene: Scene) -> None:
    scene.update("n2", "a=2:3/n2")
    scene.update("n1", "a=1:3/n1")
    assert scene.ask("a") == "=2:3/n2 n2 other =1:3/n1"
    scene.restart()
    assert scene.ask("a") == "=2:3/n2 n2? other =1:3/n1"


def test_a_publisher_publishes_one_version_after_another(scene: Scene) -> None:
    scene.update("n1", "a=1!1")
    scene.update("n2", "a=1:1/n1")
    assert scene.update("n1", "a=2!2", without="a=1") == "ok 1"
    assert scene.ask("a") == "=2:2/n1 n1 other =1:1/n1"


def test_anybody_who_knows_the_newest_may_publish_the_next(scene: Scene) -> None:
    scene.update("n1", "a=1!1")
    assert scene.update("n2", "a=2!2") == "ok 1"
    assert scene.ask("a") == "=2:2/n2 n2 other =1:1/n1"


def test_of_two_who_claim_one_number_the_second_is_told(scene: Scene) -> None:
    scene.update("n1", "a=1!3")
    scene.told()
    assert scene.update("n2", "a=2!3 b=2!1") == "ok 1 not a=2:3/n1"
    assert scene.ask("a") == "=1:3/n1 n1"
    assert scene.told()[1:3] == [
        "n2 cannot publish a: n1 published different content as v3",
        "n2 holds b",
    ]
    assert scene.update("n2", "a=2!4") == "ok 2"  # Its user insists.
    assert scene.ask("a") == "=2:4/n2 n2 other =1:3/n1"


def test_a_refusal_counts_in_no_number(scene: Scene) -> None:
    scene.update("n1", "a=1!1")
    assert scene.update("n2", "a=2!1") == "ok 0 not a=2:1/n1"
    assert scene.renew("n2") == "ok 0"
    assert scene.nodes() == "n1 alive 1\nn2 alive 0\nn3 silent 0"


def test_silent_publishers_are_not_overruled(scene: Scene) -> None:
    scene.update("n1", "a=1!1")
    scene.leave("n1")
    assert scene.update("n2", "a=2!1") == "ok 0 not a=2:1/n1"


def test_a_version_without_a_number_does_not_block_a_claim(scene: Scene) -> None:
    scene.update("n1", "a=1")
    assert scene.update("n2", "a=2!1") == "ok 1"
    assert scene.ask("a") == "=2:1/n2 n2 other =1"


def test_a_publisher_that_forgot_its_own_numbers_gets_the_next(scene: Scene) -> None:
    scene.update("n1", "a=1!3")
    scene.update("n2", "a=1:3/n1")
    assert scene.update("n1", "a=2!1", without="a=1") == "ok 1 a=2:4/n1"
    assert scene.ask("a") == "=2:4/n1 n1 other =1:3/n1"


def test_a_publisher_is_refused_if_another_has_published_since(scene: Scene) -> None:
    scene.update("n1", "a=1!1")
    scene.update("n2", "a=2!2")
    scene.update("n1", "a=3!3")
    assert scene.update("n1", "a=4!2") == "ok 2 not a=4:3/n1"  # n2's v2 is a rival.
    assert scene.update("n1", "a=4!3") == "ok 3 a=4:4/n1"


def test_publishing_older_content_again_makes_it_the_newest(scene: Scene) -> None:
    scene.update("n1", "a=1!1")
    scene.update("n2", "a=2!2")
    assert scene.update("n1", "a=1!3") == "ok 1"
    assert scene.ask("a") == "=1:3/n1 n1 other =2:2/n2"
    assert scene.update("n2", "a=1!3") == "ok 2 a=1:3/n1"  # It is held: a copy like any other.
    assert scene.update("n3", "a=1!1 a=2!1") == "ok 2 a=1:3/n1 a=2:2/n2"


def test_a_claim_to_a_part_is_none(scene: Scene) -> None:
    scene.update("n1", "a=1!1")
    assert scene.update("n2", "a=2~!5") == "ok 1 a=2"
    assert scene.ask("a") == "=1:1/n1 n1 other =2"


def test_a_publisher_without_a_number_is_none(scene: Scene) -> None:
    assert scene.update("n1", "a=1:0/n9") == "ok 1 a=1"


def test_a_withdrawn_version_can_be_published_by_another_node(scene: Scene) -> None:
    scene.update("n1", "a=1!5")
    scene.update("n1", without="a=1")
    assert scene.update("n2", "a=1!1") == "ok 1"
    assert scene.ask("a") == "=1:1/n2 n2"


def test_a_publisher_keeps_its_number_while_it_announces_anew(scene: Scene) -> None:
    scene.update("n1", "a=1!5")
    scene.update("n1", "b=1!1", replace=True)  # The first page of two.
    assert scene.update("n1", "a=1!1") == "ok 2 a=1:5/n1"


def test_the_last_number_there_is_can_be_claimed_once(scene: Scene) -> None:
    assert scene.update("n1", f"a=1!{MOST}") == "ok 1"
    assert scene.update("n1", f"a=2!{MOST}") == f"ok 1 not a=2:{MOST}/n1"


# Lost, repeated and late messages.


def test_an_update_whose_reply_was_lost_is_told_the_same_again(scene: Scene) -> None:
    scene.update("n1", "a=1!1 b=1!1 c=1!1")
    said = "a=2!1 b=1 c=1:1/n1 d=4!0"
    told = "ok 3 not a=2:1/n1 b=1:1/n1 d=4:1/n2"
    assert scene.update("n2", said, sequence=7) == told
    assert scene.update("n2", said, sequence=7) == told
    scene.restart()
    assert scene.update("n2", said, sequence=7) == told


def test_a_claim_that_is_made_again_under_a_new_sequence_changes_nothing(scene: Scene) -> None:
    scene.update("n1", "a=1!3")
    scene.update("n1", "a=2!1", without="a=1")
    before = scene.files()
    assert scene.update("n1", "a=2!1", without="a=1") == "ok 1"
    assert scene.update("n1", "a=2!1", replace=True) == "ok 1"
    assert scene.files() == before


def test_a_late_claim_changes_nothing_and_is_told_nothing(scene: Scene) -> None:
    scene.update("n1", "a=1!1")
    scene.update("n2", "b=1!1", sequence=6)
    assert scene.update("n2", "a=2!9", sequence=5) == "ok 1"
    assert scene.ask("a") == "=1:1/n1 n1"


def test_a_copy_that_was_taken_off_since_is_told_of_no_conflict(scene: Scene) -> None:
    scene.update("n1", "a=1!1")
    scene.update("n2", "a=1!1", sequence=7)
    scene.ask("a", "n2")
    assert scene.update("n2", "a=1!1", sequence=7) == "ok 0"  # It will see the count.


def test_a_claim_is_remembered_over_a_restart(scene: Scene) -> None:
    scene.update("n1", "a=1!2")
    scene.restart()
    assert scene.update("n2", "a=2!2") == "ok 0 not a=2:2/n1"
    assert scene.renew("n1") == "ok 1"


def test_of_what_the_sender_is_not_listed_for_it_is_told_only_if_it_claims_that() -> None:
    nothing = Catalogue()
    assert told(nothing, [holding("a=1:1/n1"), holding("b=1!1")], "n2", lambda _: True) == ()
    assert len(told(nothing, [holding("b=1!1")], "n2", lambda _: False)) == 1
