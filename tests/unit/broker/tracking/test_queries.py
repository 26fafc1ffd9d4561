"""What queries are answered, and what they change."""

from random import Random
from typing import NoReturn

import pytest
from shoal.broker.tracking.changes import Withdrawn
from shoal.broker.tracking.settings import TrackerSettings
from shoal.broker.tracking.tracker import Tracker
from shoal.protocol import messages
from shoal.protocol.errors import WireCode
from shoal.protocol.permits import Asker

from tests.unit.broker.scene import EXAMPLE, Scene, content_id


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_knows_the_holders_that_the_cluster_file_gives() -> None:
    scene = Scene(EXAMPLE)
    assert scene.ask("net.txt") == "=? n1? n2?"
    assert scene.ask("network.txt") == "=? n1? n3?"
    assert scene.ask("seeds.txt", "n1") == "=? n2? n3?"
    assert scene.files() == "net.txt: n1? n2?\nnetwork.txt: n1? n3?\nseeds.txt: n2? n3?"


def test_adds_the_sender_of_an_update(scene: Scene) -> None:
    assert scene.update("n1", "seeds.txt=1") == "ok 1"
    assert scene.ask("seeds.txt", "n2") == "=1 n1"
    assert scene.told() == [
        "n1 joined at tcp://127.0.0.1:11001",
        "n1 holds seeds.txt",
        "n2 asked for seeds.txt: sent to n1",
    ]


def test_answers_404_for_a_name_without_holders(scene: Scene) -> None:
    assert scene.ask("nosuch.txt", "n1") == "NOT_FOUND no such file: nosuch.txt"
    assert scene.told() == ["n1 asked for nosuch.txt: no holders"]


def test_an_error_about_a_long_name_is_short(scene: Scene) -> None:
    name = "/".join(["ü" * 100] * 20)
    reply = scene.send(messages.Query(name))
    assert isinstance(reply, messages.Error)
    assert messages.decode(messages.encode(reply), messages.TrackerReply) == reply


def test_takes_a_holder_that_asks_off_the_list(scene: Scene) -> None:
    scene.update("n2", "seeds.txt=1")
    scene.update("n3", "seeds.txt=1")
    scene.told()
    assert scene.ask("seeds.txt", "n2") == "=1 n3"
    assert scene.ask("seeds.txt") == "=1 n3"
    assert scene.told() == [
        "n2 no longer holds seeds.txt (it requested it)",
        "n2 asked for seeds.txt: sent to n3",
        "someone asked for seeds.txt: sent to n3",
    ]


def test_takes_a_holder_of_the_cluster_file_that_asks_off_the_list() -> None:
    scene = Scene(EXAMPLE)
    assert scene.ask("seeds.txt", "n2") == "=? n3?"
    assert scene.ask("seeds.txt", "n3") == "NOT_FOUND no such file: seeds.txt"
    assert scene.ask("net.txt") == "=? n1? n2?"
    assert scene.files() == "net.txt: n1? n2?\nnetwork.txt: n1? n3?"
    scene.restart()
    assert scene.ask("seeds.txt") == "NOT_FOUND no such file: seeds.txt"


def test_the_last_holder_that_asks_is_told_that_there_is_none(scene: Scene) -> None:
    scene.update("n1", "seeds.txt=1")
    assert scene.ask("seeds.txt", "n1") == "NOT_FOUND no such file: seeds.txt"
    assert scene.ask("seeds.txt") == "NOT_FOUND no such file: seeds.txt"


def test_a_holder_that_asks_is_sent_to_the_version_that_others_have(scene: Scene) -> None:
    scene.update("n1", "seeds.txt=1!1")
    scene.update("n2", "seeds.txt=2!2")
    assert scene.ask("seeds.txt", "n2") == "=1:1/n1 n1"
    assert scene.ask("seeds.txt") == "=1:1/n1 n1"


def test_a_holder_of_an_older_version_may_ask_for_the_new_one(scene: Scene) -> None:
    scene.update("n1", "seeds.txt=1!1")
    scene.update("n2", "seeds.txt=2!2")
    assert scene.ask("seeds.txt", "n1") == "=2:2/n2 n2 other =1:1/n1"
    assert scene.ask(content_id(1)) == "=1:1/n1 n1 other =2:2/n2"


def test_a_mere_question_changes_nothing() -> None:
    scene = Scene(EXAMPLE)
    scene.update("n1", "seeds.txt=1")
    before = scene.files()
    scene.ask("seeds.txt")
    scene.ask(content_id(1))
    assert scene.files() == before


def test_a_partial_holder_that_asks_stays_listed_but_is_not_sent_to_itself(scene: Scene) -> None:
    scene.update("n1", "seeds.txt=1")
    scene.update("n2", "seeds.txt=1~")
    assert scene.ask("seeds.txt", "n2", partial=True) == "=1 n1"
    assert scene.ask(content_id(1), "n2", partial=True) == "=1 n1"
    assert scene.ask("seeds.txt") == "=1 n1 n2~"


def test_a_partial_holder_of_the_cluster_file_stays_listed() -> None:
    scene = Scene(EXAMPLE)
    assert scene.ask("seeds.txt", "n2", partial=True) == "=? n3?"
    assert scene.ask("seeds.txt") == "=? n2? n3?"


def test_a_name_means_the_version_with_the_highest_number(scene: Scene) -> None:
    scene.update("n1", "seeds.txt=1!1")
    scene.update("n2", "seeds.txt=2!2")
    assert scene.ask("seeds.txt") == "=2:2/n2 n2 other =1:1/n1"


def test_of_versions_without_numbers_a_name_means_the_one_announced_first(scene: Scene) -> None:
    scene.update("n1", "seeds.txt=1")
    scene.update("n2", "seeds.txt=2")
    scene.update("n3", "seeds.txt=1")
    scene.update("n1", "seeds.txt=1", replace=True)
    assert scene.ask("seeds.txt") == "=1 n1 n3 other =2"
    scene.restart()
    assert scene.ask("seeds.txt") == "=1 n1? n3? other =2"
    scene.update("n3", "seeds.txt=3", replace=True)
    assert scene.ask("seeds.txt") == "=1 n1? other =2 =3"


def test_a_version_without_holders_is_forgotten(scene: Scene) -> None:
    scene.update("n1", "seeds.txt=1")
    scene.update("n2", "seeds.txt=2")
    scene.update("n2", without="seeds.txt=2")
    assert scene.ask("seeds.txt") == "=1 n1"
    assert scene.ask(content_id(2)) == f"NOT_FOUND no such file: {content_id(2)}"


def test_a_version_keeps_its_place_while_its_only_holder_announces_anew(scene: Scene) -> None:
    scene.update("n1", "seeds.txt=1")
    scene.update("n2", "seeds.txt=2")
    scene.update("n1", "other.txt=9", replace=True)  # The first page of two.
    scene.update("n1", "seeds.txt=1")
    assert scene.ask("seeds.txt") == "=1 n1 other =2"


def test_a_version_that_comes_back_much_later_is_new(scene: Scene) -> None:
    scene.update("n1", "seeds.txt=1")
    scene.update("n2", "seeds.txt=2")
    scene.update("n1", without="seeds.txt=1")
    for _ in range(3):
        scene.wait(10)
        scene.renew("n2")
    scene.update("n1", "seeds.txt=1")
    assert scene.ask("seeds.txt") == "=2 n2 other =1"


def test_an_id_means_its_content_under_all_names(scene: Scene) -> None:
    scene.update("n1", "seeds.txt=1:1/n1")
    scene.update("n2", "copy.txt=1~ seeds.txt=2:2/n2")
    scene.update("n3", "copy.txt=1~ seeds.txt=1:1/n1")
    reply = scene.send(messages.Query(content_id(1)))
    assert isinstance(reply, messages.Holders)
    assert reply.name == "seeds.txt"
    assert scene.ask(content_id(1)) == "=1:1/n1 n1 n2~ n3 other =2:2/n2"
    assert scene.ask(content_id(1), "n3") == "=1:1/n1 n1 n2~ other =2:2/n2"
    assert scene.files() == "copy.txt=1: n2~\nseeds.txt=2:2/n2: n2\nseeds.txt=1:1/n1 (older): n1"


def test_initial_and_announced_holders_are_handed_out_together() -> None:
    scene = Scene(EXAMPLE)
    scene.update("n2", "seeds.txt=1")
    assert scene.ask("seeds.txt", "n1") == "=1 n2 n3?"
    assert scene.ask("seeds.txt", "n3") == "=1 n2"
    assert scene.ask("seeds.txt") == "=1 n2"


def test_a_node_that_speaks_is_taken_at_its_own_word() -> None:
    scene = Scene(EXAMPLE)
    scene.update("n2", "seeds.txt=1")
    assert scene.ask("net.txt") == "=? n1?"
    scene.restart()
    assert scene.ask("net.txt") == "=? n1?"


def test_status_tells_who_is_there() -> None:
    scene = Scene(EXAMPLE)
    scene.update("n2", "seeds.txt=1")
    scene.wait(5)
    scene.update("n4", "seeds.txt=1 net.txt=2")
    assert scene.nodes() == "n1 silent 2\nn2 alive 1\nn3 silent 2\nn4 alive 2"
    reply = scene.send(messages.Status())
    assert isinstance(reply, messages.TrackerStatus)
    assert reply.uptime_ms == 5000
    assert [each.silent_ms for each in reply.nodes] == [None, 5000, None, 0]
    assert [each.spoke for each in reply.nodes] == [False, True, False, True]


def test_not_found_is_404() -> None:
    reply = Scene().send(messages.Query("nosuch.txt"))
    assert isinstance(reply, messages.Error)
    assert (reply.code, int(reply.code)) == (WireCode.NOT_FOUND, 404)


class NoDice(Random):
    """A random number generator with a bug."""

    def sample(self, *_: object, **__: object) -> NoReturn:
        raise ZeroDivisionError


def test_decisions_made_before_a_bug_are_saved(scene: Scene) -> None:
    initial, settings = scene.initial, TrackerSettings(max_handout=1)
    for node in ("n1", "n2", "n3"):
        scene.update(node, "a=1")
    tracker = Tracker(initial, NoDice(), scene.now, scene.changes(), settings)
    with pytest.raises(ZeroDivisionError):
        tracker.handle(messages.Query("a", "n1"), scene.now, Asker("127.0.0.1"))
    assert tracker.expire(scene.now).changes == (Withdrawn("a", content_id(1), "n1"),)
