"""Pushes: what is wished of whom, who hears of it, and how far everybody is."""

from dataclasses import replace

import pytest
from shoal.broker.tracking import wishes as wished
from shoal.broker.tracking.changes import Unwished
from shoal.broker.tracking.initial import InitialNode
from shoal.broker.tracking.pushes import DISOBEYS
from shoal.broker.tracking.settings import TrackerSettings
from shoal.protocol import messages, pushing
from shoal.protocol.messages import Error, Ok
from shoal.protocol.permits import Role, Who
from shoal.protocol.pushing import (
    Doing,
    Failure,
    Push,
    Pushes,
    Target,
    Transfer,
    Unpush,
    VerdictList,
    Verdicts,
    Wishes,
    WishList,
)

from tests.unit.broker.scene import ADMIN, SIZE_BYTES, Scene, content_id

A = content_id(1)
ZONES = {"n1": "rack-1", "n2": "rack-1", "n3": "rack-2"}


@pytest.fixture
def scene() -> Scene:
    """n1 holds a; n2 is alive, n3 is not."""
    scene = Scene(zones=ZONES, accepts_pushes=True)
    scene.update("n1", "a=1!1")
    scene.update("n2")
    scene.told()
    return scene


def push(scene: Scene, name: str = "a", number: int = 1, **to: tuple[str, ...]) -> str:
    """Push, and return the nodes that are told, or the error."""
    return answered(scene, Push(name, content_id(number), SIZE_BYTES, Target(**to)))


def answered(scene: Scene, request: Push | Unpush, who: Who | None = None) -> str:
    reply = scene.send(request, who)
    if isinstance(reply, Error):
        return f"{reply.code.name} {reply.message}"
    assert isinstance(reply, Ok)
    return " ".join(sorted(scene.notified))


def wishes(scene: Scene, node: str) -> list[str]:
    reply = scene.send(Wishes(node))
    assert isinstance(reply, WishList)
    return [f"{one.name}={int(one.id[3:], 16)}" for one in reply.wishes]


def verdicts(scene: Scene, name: str = "a") -> dict[str, str]:
    reply = scene.send(Verdicts(name))
    assert isinstance(reply, VerdictList)
    return {one.node: one.state for one in reply.verdicts}


def renew(scene: Scene, node: str, doing: Doing | None = None) -> int:
    """Renew a lease, and return the revision of the wishes that comes back."""
    reply = scene.send(messages.Renew(node, 1, len(wishes(scene, node)), doing=doing))
    assert isinstance(reply, Ok)
    return reply.wishes


def test_a_push_is_wished_of_all_and_those_alive_are_told(scene: Scene) -> None:
    assert push(scene) == "n1 n2"
    assert scene.told() == ["somebody wishes that 3 nodes hold a"]
    assert wishes(scene, "n2") == wishes(scene, "n3") == ["a=1"]
    assert wishes(scene, "n9") == []


def test_a_push_is_wished_of_those_that_are_named(scene: Scene) -> None:
    assert push(scene, nodes=("n3",), zones=("rack-1",)) == "n1 n2"
    assert push(scene, nodes=("n2", "n3")) == "n1 n2"  # n1 is no longer meant.
    assert [wishes(scene, node) for node in ("n1", "n2", "n3")] == [[], ["a=1"], ["a=1"]]
    assert push(scene, zones=("rack-2",)) == "n2"
    assert [wishes(scene, node) for node in ("n1", "n2", "n3")] == [[], [], ["a=1"]]


def test_the_same_push_again_is_no_news(scene: Scene) -> None:
    push(scene)
    scene.told()
    assert push(scene) == ""
    assert scene.told() == []


def test_the_next_version_supersedes(scene: Scene) -> None:
    push(scene)
    scene.update("n1", "a=2!2")
    assert push(scene, number=2) == "n1 n2"
    assert wishes(scene, "n3") == ["a=2"]


def test_renewals_tell_that_the_wishes_have_changed(scene: Scene) -> None:
    assert renew(scene, "n2") == 0
    push(scene)
    first = renew(scene, "n2")
    scene.update("n1", "b=2!1")
    push(scene, "b", 2)
    assert first not in {0, renew(scene, "n2")}
    for name in "ab":
        answered(scene, Unpush(name))
    assert renew(scene, "n2") == 0


def test_a_stranger_is_told_of_no_wishes(scene: Scene) -> None:
    push(scene)
    reply = scene.send(messages.Update("n9", "tcp://127.0.0.1:11009", 1, 1))
    assert isinstance(reply, Ok)
    assert reply.wishes == 0


def test_who_is_meant_by_another_cluster_file_hears_of_it(scene: Scene) -> None:
    """Nodes that ran before they were in it, or in another zone, never heard of the push."""
    push(scene, zones=("rack-2",))
    assert wishes(scene, "n2") == []
    before = renew(scene, "n2")
    initial = scene.initial
    moved = InitialNode(initial.nodes["n2"].address, "rack-2")
    scene.tracker.learn(replace(initial, nodes={**initial.nodes, "n2": moved}))
    after = renew(scene, "n2")
    assert after not in {0, before}
    assert wishes(scene, "n2") == ["a=1"]
    scene.tracker.learn(replace(initial, nodes={**initial.nodes, "n2": moved}))
    assert renew(scene, "n2") == after  # Nothing has changed.


def test_a_push_outlives_the_tracker(scene: Scene) -> None:
    push(scene, nodes=("n2",))
    before = renew(scene, "n2")
    scene.restart()
    assert wishes(scene, "n2") == ["a=1"]
    assert renew(scene, "n2") not in {0, before}  # Asked for again; nothing is missed.
    answered(scene, Unpush("a"))
    scene.restart()
    assert wishes(scene, "n2") == []


def test_a_cancelled_push_is_no_longer_wished(scene: Scene) -> None:
    push(scene)
    scene.told()
    assert answered(scene, Unpush("a")) == "n1 n2"
    assert scene.told() == ["somebody has cancelled the push of a"]
    assert wishes(scene, "n2") == []
    assert answered(scene, Unpush("a")).startswith("NOT_FOUND 'a' is not pushed")


@pytest.mark.parametrize(
    ("name", "number", "to", "expected"),
    [
        ("b", 1, {}, "nobody holds this content under that name"),
        ("a", 2, {}, "nobody holds this content under that name"),
        ("a", 1, {"nodes": ("n8", "n1", "n9")}, "no such node in the cluster file: n8, n9"),
        ("a", 1, {"zones": ("rack-1", "rack-9")}, "is in zone 'rack-9'"),
    ],
)
def test_what_makes_no_sense_is_refused(
    scene: Scene, name: str, number: int, to: dict[str, tuple[str, ...]], expected: str
) -> None:
    refused = push(scene, name, number, **to)
    assert refused.startswith("NOT_FOUND")
    assert expected in refused
    assert wishes(scene, "n1") == []


def test_pushes_are_bounded() -> None:
    scene = Scene(accepts_pushes=True, settings=TrackerSettings(max_wishes=1))
    scene.update("n1", "a=1!1 b=2!1")
    push(scene)
    assert push(scene, "b", 2).startswith("TOO_MUCH the tracker keeps no more than 1 pushes")
    assert push(scene, nodes=("n1",)) == "n1"  # The same name takes no more room.


def test_without_keys_the_cluster_file_must_allow_pushes() -> None:
    scene = Scene()
    scene.update("n1", "a=1!1")
    assert push(scene).startswith("NOT_ALLOWED nodes do not obey pushes here")
    assert answered(scene, Unpush("a")).startswith("NOT_ALLOWED")


def test_with_keys_admins_push() -> None:
    scene = Scene()
    scene.update("n1", "a=1!1")
    request = Push("a", A, SIZE_BYTES)
    assert answered(scene, request, Who("n1", Role.NODE)).startswith("NOT_ALLOWED n1 is a node")
    assert answered(scene, request, ADMIN) == "n1"
    assert scene.told()[-1] == "admin wishes that 3 nodes hold a"


def test_tells_how_far_everybody_is(scene: Scene) -> None:
    push(scene)
    assert verdicts(scene) == {"n1": "done", "n2": "waiting", "n3": "offline"}
    scene.update("n2", "a=1~")
    assert verdicts(scene)["n2"] == "waiting"  # It has not said yet how far it is.
    scene.update("n2", "a=1")
    assert verdicts(scene)["n2"] == "done"
    scene.leave("n2")
    assert verdicts(scene)["n2"] == "done"  # It has it, on or off.


def test_what_a_push_has_reached_is_news_only_of_those_it_is_for(scene: Scene) -> None:
    push(scene, nodes=("n2",))
    scene.told()
    scene.update("n3", "a=1")
    assert not [line for line in scene.told() if "push" in line]
    scene.update("n2", "a=1")
    assert [line for line in scene.told() if "push" in line] == [
        "the push of a is done: 1 of 1 nodes"
    ]


@pytest.mark.parametrize(
    ("doing", "expected"),
    [
        (Doing(), "waiting 0 0  0"),
        (Doing(obeys=False), f"failed 0 0 {DISOBEYS} 0"),
        (Doing(fetching=(Transfer("a", A, 5, 10, 3, 1),)), "fetching 5 3  0"),
        (Doing(fetching=(Transfer("a", None, 5, 10, 3, 1),)), "fetching 5 3  0"),
        (Doing(fetching=(Transfer("a", content_id(2), 5, 10, 3),)), "waiting 0 0  0"),
        (Doing(hashing=(Transfer("b", None, 1), Transfer("a", None, 7))), "hashing 7 0  0"),
        (Doing(failed=(Failure("a", A, "full", 9),)), "failed 0 0 full 9"),
        (Doing(failed=(Failure("a", content_id(2), "full", 9),)), "waiting 0 0  0"),
    ],
)
def test_tells_what_a_node_has_said_of_it(scene: Scene, doing: Doing, expected: str) -> None:
    push(scene, nodes=("n2",))
    renew(scene, "n2", doing)
    reply = scene.send(Verdicts("a"))
    assert isinstance(reply, VerdictList)
    (one,) = reply.verdicts
    assert f"{one.state} {one.have_bytes} {one.rate} {one.reason} {one.retry_s}" == expected


def test_what_a_node_did_counts_no_more_when_it_is_silent(scene: Scene) -> None:
    push(scene)
    renew(scene, "n2", Doing(failed=(Failure("a", A, "full", 9),)))
    scene.wait(40)
    assert verdicts(scene)["n2"] == "offline"
    scene.update("n2", sequence=9)
    assert verdicts(scene)["n2"] == "waiting"


def test_a_status_tells_what_nodes_do(scene: Scene) -> None:
    renew(scene, "n2", Doing(version="9.9"))
    reply = scene.send(messages.Status())
    assert isinstance(reply, messages.TrackerStatus)
    assert [one.doing for one in reply.nodes] == [None, Doing(version="9.9"), None]


def test_tells_how_far_others_are_with_what_is_not_pushed(scene: Scene) -> None:
    reply = scene.send(Verdicts("a", A, Target(("n1", "n3"))))
    assert isinstance(reply, VerdictList)
    assert [(one.node, one.state) for one in reply.verdicts] == [("n1", "done"), ("n3", "offline")]
    assert reply.size_bytes == SIZE_BYTES
    unknown = scene.send(Verdicts("b", A))
    assert isinstance(unknown, VerdictList)
    assert {one.state for one in unknown.verdicts} == {"waiting", "offline"}
    refused = scene.send(Verdicts("b"))
    assert isinstance(refused, Error)


def test_lists_come_in_pages() -> None:
    small = TrackerSettings(page_files=2, page_nodes=2)
    scene = Scene(accepts_pushes=True, settings=small)
    scene.update("n1", " ".join(f"{name}={number}!1" for number, name in enumerate("abc", 1)))
    for number, name in enumerate("cab", 1):
        push(scene, name, "abc".index(name) + 1)
        assert number
    first = scene.send(Wishes("n1"))
    assert isinstance(first, WishList)
    assert ([one.name for one in first.wishes], first.next) == (["a", "b"], "b")
    last = scene.send(Wishes("n1", "b"))
    assert isinstance(last, WishList)
    assert ([one.name for one in last.wishes], last.next) == (["c"], None)
    assert last.revision == first.revision
    page = scene.send(Verdicts("a"))
    assert isinstance(page, VerdictList)
    assert ([one.node for one in page.verdicts], page.next) == (["n1", "n2"], "n2")
    page = scene.send(Verdicts("a", after="n2"))
    assert isinstance(page, VerdictList)
    assert ([one.node for one in page.verdicts], page.next) == (["n3"], None)
    names, following = pages_of_pushes(scene)
    assert (names, following) == (["a", "b"], "b")


def pages_of_pushes(scene: Scene, after: str = "") -> tuple[list[str], str | None]:
    reply = scene.send(Pushes(after))
    assert isinstance(reply, pushing.PushList)
    return [one.name for one in reply.pushes], reply.next


def test_a_listing_tells_how_many_have_it(scene: Scene) -> None:
    push(scene)
    scene.wait(5)
    reply = scene.send(Pushes())
    assert isinstance(reply, pushing.PushList)
    (one,) = reply.pushes
    assert (one.wanted, one.have, one.age_s, one.version, one.publisher) == (3, 1, 5, 1, "n1")


def test_a_page_of_pushes_looks_at_so_many_nodes_at_most() -> None:
    scene = Scene(accepts_pushes=True, settings=TrackerSettings(page_looks=3))
    scene.update("n1", "a=1!1 b=2!1")
    push(scene)
    push(scene, "b", 2)
    assert pages_of_pushes(scene) == (["a"], "a")
    assert pages_of_pushes(scene, "a") == (["b"], None)


def test_a_push_whose_content_everybody_has_lost_is_still_wished(scene: Scene) -> None:
    push(scene)
    scene.update("n1", without="a=1")
    scene.wait(100)
    scene.expire()
    reply = scene.send(Pushes())
    assert isinstance(reply, pushing.PushList)
    assert [(one.name, one.have, one.version) for one in reply.pushes] == [("a", 0, 0)]


def test_the_end_of_what_nobody_wishes_changes_nothing() -> None:
    wanted = wished.Wishes(5)
    wanted.apply(Unwished("a"), 0.0)
    assert (len(wanted), wanted.revision, list(wanted.after(""))) == (0, 0, [])


def test_the_revision_is_told_to_whoever_notifies(scene: Scene) -> None:
    assert scene.tracker.revision == 0
    push(scene)
    assert scene.tracker.revision == renew(scene, "n2")


def test_the_log_has_each_quarter_of_a_push_and_its_end() -> None:
    nodes = [f"n{number}" for number in range(1, 10)]
    scene = Scene(nodes=nodes, accepts_pushes=True)
    scene.update("n9", "a=1!1")
    scene.told()
    push(scene, nodes=tuple(nodes[:8]))
    for node in nodes[:8]:
        scene.update(node, "a=1~")
        scene.update(node, "a=1")
        scene.update(node, "a=1 b=2!1")
    reached = [line for line in scene.told() if "push" in line]
    assert reached == [
        "2 of 8 nodes hold a, which is pushed",
        "4 of 8 nodes hold a, which is pushed",
        "6 of 8 nodes hold a, which is pushed",
        "the push of a is done: 8 of 8 nodes",
    ]
    push(scene, nodes=("n1", "n9"))
    assert scene.told()[-1] == "the push of a is done: 2 of 2 nodes"
    scene.update("n9", "a=2!2")
    assert not [line for line in scene.told() if "push" in line]
