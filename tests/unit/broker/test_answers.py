"""Answers that are too long for one message, and samples of many holders."""

from collections import Counter

from broker.settings import TrackerSettings
from protocol import messages
from protocol.messages import Files, Holders, Query, TrackerStatus
from tests.unit.broker.scene import Scene


def pages(scene: Scene) -> list[str]:
    """Return the pages of a listing."""
    found, after = [], ""
    while True:
        reply = scene.send(messages.List(after))
        assert isinstance(reply, Files)
        found.append(" ".join(f"{file.name}:{len(file.holders)}" for file in reply.files))
        if reply.next is None:
            return found
        after = reply.next


def test_a_listing_comes_in_pages() -> None:
    scene = Scene({"c": ("n1",), "f": ("n2",)}, settings=TrackerSettings(page_files=2))
    assert pages(Scene()) == [""]
    scene.update("n3", "a=1 b=2 c=3 d=4 d=5 e=6")
    assert pages(scene) == ["a:1 b:1", "c:2 d:1 d:1", "e:1 f:1"]


def test_a_page_ends_after_many_holders() -> None:
    scene = Scene(settings=TrackerSettings(page_holders=3))
    for index in range(4, 9):
        scene.update(f"n{index}", "a=1 b=2~")
    scene.update("n4", "a=2 c=3")
    assert pages(scene) == ["a:1 a:2", "b:3", "c:1"]


def test_a_status_comes_in_pages() -> None:
    scene = Scene(settings=TrackerSettings(page_nodes=2))
    scene.update("n4")
    scene.update("n5")
    first = scene.send(messages.Status())
    assert isinstance(first, TrackerStatus)
    assert [each.node for each in first.nodes] == ["n1", "n2"]
    assert first.next == "n2"
    last = scene.send(messages.Status("n3"))
    assert isinstance(last, TrackerStatus)
    assert [each.node for each in last.nodes] == ["n4", "n5"]
    assert last.next is None


def test_a_largest_page_fits_into_a_reply() -> None:
    scene = Scene()
    long = "/".join(["x" * 255] * 15)
    for index in range(4, 14):
        for start in range(0, 120, 50):
            names = (f"{long}/{number:04}=1" for number in range(start, start + 50))
            scene.update(f"n{index}", " ".join(names))
    reply = scene.send(messages.List())
    assert messages.decode(messages.encode(reply), messages.TrackerReply) == reply


def ask(scene: Scene, node: str) -> Holders:
    reply = scene.send(Query("a", node, partial=True))
    assert isinstance(reply, Holders)
    return reply


def test_many_holders_are_sampled_evenly() -> None:
    scene = Scene(settings=TrackerSettings(max_handout=5))
    for index in range(100, 200):
        scene.update(f"n{index}", "a=1")
    count = Counter(holder.node for _ in range(400) for holder in ask(scene, "n1").holders)
    assert count.total() == 2000
    assert len(count) == 100
    assert max(count.values()) < 60


def test_the_one_seed_among_many_partial_holders_is_always_named() -> None:
    scene = Scene(settings=TrackerSettings(max_handout=5))
    for index in range(100, 200):
        scene.update(f"n{index}", "a=1~" if index != 150 else "a=1")
    for _ in range(50):
        holders = ask(scene, "n1").holders
        assert len(holders) == 5
        assert holders[0].node == "n150"


def test_those_alive_are_found_among_many_silent_ones() -> None:
    scene = Scene(settings=TrackerSettings(max_handout=5))
    for index in range(100, 200):
        scene.update(f"n{index}", "a=1")
    scene.wait(30)
    for index in (111, 122, 133):
        scene.renew(f"n{index}")
    reply = ask(scene, "n122")
    assert {holder.node for holder in reply.holders} == {"n111", "n133"}
    assert len(reply.offline) == 5


def test_holders_of_the_askers_zone_are_favoured() -> None:
    zones = {f"n{index}": "west" if index < 120 else "east" for index in range(100, 200)}
    scene = Scene(zones=zones, nodes=tuple(zones), settings=TrackerSettings(max_handout=10))
    for node in zones:
        scene.update(node, "a=1")
    west = [
        sum(zones[holder.node] == "west" for holder in ask(scene, "n100").holders)
        for _ in range(50)
    ]
    assert min(west) >= 5
    assert min(west) < 10
