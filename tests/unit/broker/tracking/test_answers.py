"""Answers that are too long for one message, and samples of many holders."""

from collections import Counter

from shoal.broker.tracking.settings import TrackerSettings
from shoal.protocol import messages
from shoal.protocol.messages import Files, Holders, Query, TrackerStatus

from tests.unit.broker.scene import EXAMPLE, Scene, content_id


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
    scene.update("n4", "a=2!1 c=3")
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


def everybody(scene: Scene, what: str, after: str = "") -> str:
    """Return a page of all holders: `n1 n2~ | n3` has a part on n2, n3 silent, then who is next."""
    reply = scene.send(Query(what, after=after))
    if not isinstance(reply, Holders):
        return "none"
    groups = [
        " ".join(holder.node + ("" if holder.complete else "~") for holder in group)
        for group in (reply.holders, reply.offline)
    ]
    return " | ".join(groups) + (f" > {reply.next}" if reply.next else "")


def test_all_holders_are_told_in_pages_and_in_order() -> None:
    scene = Scene({"a": ("n1", "n3")}, settings=TrackerSettings(page_nodes=3, max_handout=1))
    assert everybody(scene, "b") == "none"
    assert everybody(scene, "a") == "n1 n3 | "  # The cluster file says so.
    scene.update("n9", "a=1")
    scene.wait(30)
    for number in (7, 5, 8, 4, 6):
        scene.update(f"n{number}", "a=1~" if number == 6 else "a=1")
    assert everybody(scene, "a") == "n1 n3 n4 |  > n4"
    assert everybody(scene, "a", "n4") == "n5 n6~ n7 |  > n7"
    assert everybody(scene, "a", "n7") == "n8 | n9"
    assert everybody(scene, content_id(1)) == "n4 n5 n6~ |  > n6"
    assert everybody(scene, "a", "n9") == " | "


def test_a_largest_page_fits_into_a_reply() -> None:
    scene = Scene()
    long = "/".join(["x" * 255] * 15)
    for index in range(4, 14):
        for start in range(0, 120, 50):
            names = (f"{long}/{number:04}=1" for number in range(start, start + 50))
            scene.update(f"n{index}", " ".join(names))
    reply = scene.send(messages.List())
    assert messages.decode(messages.encode(reply), messages.TrackerReply) == reply


def listed(scene: Scene, what: str, node: str | None, *, partial: bool = True) -> bool:
    reply = scene.send(Query(what, node, partial))
    assert isinstance(reply, Holders)
    return reply.listed


def test_says_whether_the_asker_is_listed_too() -> None:
    scene = Scene(EXAMPLE)
    assert listed(scene, "seeds.txt", "n2")  # By the cluster file.
    assert not listed(scene, "seeds.txt", "n1")
    assert not listed(scene, "seeds.txt", None)
    assert not listed(scene, "seeds.txt", "n2", partial=False)  # It asked, and so has it not.
    scene.update("n1", "a=1!1 a=2!2 b=2")
    scene.update("n2", "a=1~:1/n1 a=2~:2/n1")
    scene.update("n3", "a=1:1/n1")
    assert listed(scene, "a", "n2")
    assert not listed(scene, "a", "n3")  # Of an older version.
    assert listed(scene, content_id(1), "n3")
    assert listed(scene, content_id(2), "n1")


def versions(scene: Scene, what: str, node: str | None = None, prefix: str = "") -> list[str]:
    reply = scene.send(Query(what, node, partial=True, prefix=prefix))
    assert isinstance(reply, Holders)
    shown = (f"v{each.version} {each.publisher} {each.holders}" for each in reply.versions)
    return [f"v{reply.version} {reply.publisher}", *shown]


def test_versions_that_only_the_asker_holds_are_told_too() -> None:
    scene = Scene({"a": ("n5",)}, nodes=("n1", "n2", "n5"))
    scene.update("n1", "a=1!1")
    assert versions(scene, "a", "n1") == ["v0 None", "v1 n1 0"]
    scene.update("n2", "a=2!2 a=1:1/n1")
    scene.update("n1", "a=3!3")
    assert versions(scene, "a", "n1") == ["v2 n2", "v3 n1 0", "v1 n1 1"]
    assert versions(scene, "a", "n2") == ["v3 n1", "v2 n2 0", "v1 n1 1"]
    assert versions(scene, "a") == ["v3 n1", "v2 n2 1", "v1 n1 2"]


def test_a_prefix_chooses_among_the_versions_of_a_name() -> None:
    scene = Scene({"a": ("n5",)}, nodes=("n1", "n2", "n5"))
    start = "b3:" + 8 * "0"
    scene.update("n1", f"a={int('1' + 63 * '0', 16)}!1 a=2!2 a=3!3")
    scene.update("n2", "a=2:2/n1")
    assert versions(scene, "a", prefix="1") == ["v1 n1"]
    assert versions(scene, "a", prefix=start[3:]) == ["v3 n1", "v2 n1 2"]
    assert versions(scene, "a", "n1", prefix=start[3:]) == ["v2 n1", "v3 n1 0"]
    assert scene.ask("a", prefix="12") == "NOT_FOUND no such file: a@12"
    assert scene.ask("b", prefix="1") == "NOT_FOUND no such file: b@1"
    assert versions(scene, content_id(2), prefix="1") == ["v2 n1", "v3 n1 1", "v1 n1 1"]


def test_an_asker_for_one_version_is_taken_off_that_one_alone() -> None:
    scene = Scene({"a": ("n5", "n6")}, nodes=("n1", "n2", "n5", "n6"))
    scene.update("n1", "a=1!1 a=2!2")
    scene.update("n2", "a=1:1/n1 a=2:2/n1")
    assert scene.ask("a", "n2", prefix=content_id(1)[3:]) == "=1:1/n1 n1"
    assert scene.files() == "a=2:2/n1: n1 n2 n5? n6?\na=1:1/n1 (older): n1"
    scene.ask("a", "n5", prefix=content_id(1)[3:])
    assert "n5?" in scene.files()  # Nobody said which version it has.


def test_a_listing_says_who_published_what() -> None:
    scene = Scene()
    scene.update("n1", "a=1!1 b=1")
    scene.update("n2", "a=2!2")
    assert scene.files() == "a=2:2/n2: n2\na=1:1/n1 (older): n1\nb=1: n1"


def ask(scene: Scene, node: str) -> Holders:
    reply = scene.send(Query("a", node, partial=True))
    assert isinstance(reply, Holders)
    return reply


def test_many_holders_are_sampled_evenly() -> None:
    scene = Scene(settings=TrackerSettings(max_handout=5, max_strangers_per_host=100))
    for index in range(100, 200):
        scene.update(f"n{index}", "a=1")
    count = Counter(holder.node for _ in range(400) for holder in ask(scene, "n1").holders)
    assert count.total() == 2000
    assert len(count) == 100
    assert max(count.values()) < 60


def test_the_one_seed_among_many_partial_holders_is_always_named() -> None:
    scene = Scene(settings=TrackerSettings(max_handout=5, max_strangers_per_host=100))
    for index in range(100, 200):
        scene.update(f"n{index}", "a=1~" if index != 150 else "a=1")
    for _ in range(50):
        holders = ask(scene, "n1").holders
        assert len(holders) == 5
        assert holders[0].node == "n150"


def test_those_alive_are_found_among_many_silent_ones() -> None:
    scene = Scene(settings=TrackerSettings(max_handout=5, max_strangers_per_host=100))
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
