"""The store has lost what it had confirmed, and the trackers say it again."""

import pytest
from shoal.broker.tracking.changes import Disowned, Forgotten, Gone, Seen, Wished
from shoal.broker.tracking.initial import Initial, InitialNode
from shoal.protocol.messages import Renew
from shoal.protocol.pushing import Push, Target, Unpush

from tests.unit.broker.scene import TRACKER_ADDRESS, address_of, holding
from tests.unit.broker.shared import SharingScene, trackers
from tests.unit.broker.states import check, shown_timeless


def push(scene: SharingScene, text: str) -> None:
    told = holding(text)
    scene.send(Push(told.name, told.id, told.size_bytes, Target()))


def lose(scenes: list[SharingScene], length: int) -> None:
    """Have the log be as it was once, and the trackers say again what is missing."""
    shared = scenes[0].shared
    del shared.log[length:]
    for scene in scenes:
        scene.reload(shared.log)
        check(scene.tracker._state)
        scene.exchange()


@pytest.fixture
def scenes() -> list[SharingScene]:
    one, two = trackers()
    one.update("n1", "a=1!1 b=2!1 c=3~")
    one.update("n2", "a=1:1/n1")
    one.exchange()
    two.exchange()
    return [one, two]


@pytest.mark.parametrize("kept", ["nothing", "what there was", "all"])
def test_whatever_is_lost_is_said_again(scenes: list[SharingScene], kept: str) -> None:
    one, two = scenes
    length = len(one.shared.log)
    one.ask("network.txt", "n3")  # The cluster file said that n3 has it.
    two.update("n1", "a=4!2 c=3", without="b=2", sequence=2)
    two.update("n2", "a=4:2/n1", sequence=2)
    two.leave("n2")
    push(one, "a=1")
    one.exchange()
    two.exchange()
    one.wait(10)
    two.wait(10)
    one.exchange()
    before = shown_timeless(one.tracker._state)
    pushes = [wanted.id for wanted in one.tracker._state.wishes.after("")]
    lose(scenes, {"nothing": 0, "what there was": length, "all": len(one.shared.log)}[kept])
    one.shared.assert_agreed()
    after = shown_timeless(one.tracker._state)
    if kept == "nothing":  # What nobody holds is not said again.
        for part, key in (("versions", "b"), ("same content", holding("b=2").id)):
            there = before[part]
            assert isinstance(there, dict)
            del there[key]
    assert after == before
    assert [wanted.id for wanted in two.tracker._state.wishes.after("")] == pushes
    assert two.ask("a") == "=4:2/n1 n1 silent n2? other =1:1/n1"
    assert two.renew("n1", sequence=2) == "ok 3"  # It need not say anything again.


def test_what_was_not_confirmed_is_said_again_too(scenes: list[SharingScene]) -> None:
    one, _ = scenes
    one.update("n3", "d=5!1")
    push(one, "d=5")
    lose(scenes, 0)
    one.shared.assert_agreed()
    assert one.ask("d") == "=5:1/n3 n3"
    assert len(one.tracker._state.wishes) == 1


def test_later_wishes_count(scenes: list[SharingScene]) -> None:
    one, two = scenes
    push(one, "a=1")
    push(one, "b=2")
    one.exchange()
    two.exchange()
    length = len(one.shared.log)
    for each in scenes:
        each.wait(10)
    two.send(Unpush("a"))
    one.wait(5)
    two.wait(5)
    del one.shared.log[length:]
    told = holding("c=3")
    one.shared.log += [(one.now, Wished("b", holding("a=1").id, told.size_bytes, ("n1",)))]
    lose(scenes, len(one.shared.log))
    one.shared.assert_agreed()
    wishes = {wanted.name: wanted.to.nodes for wanted in one.tracker._state.wishes.after("")}
    assert wishes == {"b": ("n1",)}


def test_the_log_may_know_more_of_a_node(scenes: list[SharingScene]) -> None:
    one, two = scenes
    one.leave("n2")
    one.exchange()
    two.exchange()
    one.shared.log += [
        (one.now, Seen("n2", address_of("n2"), 1, 7)),
        (one.now, Disowned("network.txt", "n3")),
    ]
    lose(scenes, len(one.shared.log))
    assert one.nodes() == "n1 alive 3\nn2 alive 1\nn3 silent 1"
    one.shared.assert_agreed()


def test_who_is_silent_by_the_log_alone_is_not(scenes: list[SharingScene]) -> None:
    one, _ = scenes
    one.shared.log += [(one.now, Gone("n1", left=False)), (one.now, Gone("n9", left=False))]
    lose(scenes, len(one.shared.log))
    one.shared.assert_agreed()
    assert one.tracker._state.members.has_lease("n1")


def test_silence_tokens_and_ended_pushes_are_said_again(scenes: list[SharingScene]) -> None:
    one, two = scenes
    push(one, "a=1")
    one.exchange()
    two.exchange()
    length = len(one.shared.log)
    for each in scenes:
        each.wait(10)
    one.leave("n2")
    two.send(Renew("n1", 1, 3, 1, token="t"))  # noqa: S106
    two.send(Unpush("a"))
    one.exchange()
    two.exchange()
    lose(scenes, length)
    one.shared.assert_agreed()
    state = one.tracker._state
    assert not state.members.has_lease("n2")
    assert state.members.by_node["n1"].tokens.shown == ("t",)
    assert len(state.wishes) == 0


def test_a_node_that_was_forgotten_in_vain_is_known_again() -> None:
    one, two = trackers()
    one.update("n7", "a=1!1")
    one.exchange()
    two.exchange()
    one.shared.log += [(one.now, Forgotten("n7"))]
    lose([one, two], len(one.shared.log))
    one.shared.assert_agreed()
    assert two.ask("a") == "=1:1/n7 n7"


def test_nothing_is_kept_for_a_log_that_is_given_up(scenes: list[SharingScene]) -> None:
    one, _ = scenes
    one.tracker.await_reload()
    one.update("n3", "d=5!1")
    assert one.tracker._sharing.unconfirmed_count == 0
    lose(scenes, len(one.shared.log))
    one.shared.assert_agreed()
    assert one.ask("d") == "=5:1/n3 n3"


def test_what_the_log_has_as_refused_is_held_again() -> None:
    one, two = trackers()
    one.update("n1", "a=2!1")
    one.update("n1", replace=True)
    one.shared.assert_agreed()
    one.update("n1", "a=1!1")
    two.update("n2", "a=2!1")  # Too late.
    one.shared.assert_agreed()
    length = len(one.shared.log)
    one.update("n3", "a=2:1/n1")
    one.shared.assert_agreed()
    lose([one, two], length)
    one.shared.assert_agreed()
    assert two.ask("a") == "=2:1/n1 n3 other =1:1/n1"


def test_the_cluster_file_may_change_while_the_log_is_read(scenes: list[SharingScene]) -> None:
    one, _ = scenes
    assert one.ask("network.txt") == "=? n3?"
    folded = one.tracker.folded([change for _, change in one.shared.log], one.now)
    nodes = {node: InitialNode(address_of(node)) for node in ("n1", "n2")}
    one.tracker.learn(Initial(TRACKER_ADDRESS, nodes))
    one.tracker.reload(folded, one.now)
    check(one.tracker._state)
    assert one.ask("network.txt").startswith("NOT_FOUND")
    assert one.ask("a") == "=1:1/n1 n1 n2"


def test_the_end_of_a_push_that_the_log_has_is_not_said_again(scenes: list[SharingScene]) -> None:
    one, _ = scenes
    push(one, "a=1")
    one.exchange()
    one.send(Unpush("a"))
    one.exchange()
    length = len(one.shared.log)
    lose(scenes, length)
    assert len(one.shared.log) == length
