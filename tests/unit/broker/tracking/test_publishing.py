"""Who may publish under a name, as `publish` in the cluster file has it."""

import pytest
from shoal.broker.tracking.publishing import ALLOWED_S, MOST_ALLOWED, Publishing
from shoal.broker.tracking.state import State
from shoal.protocol.permits import Publish, Role, Who

from tests.unit.broker.scene import Scene

READER = Who("laptop", Role.READER)


@pytest.fixture
def scene() -> Scene:
    """A tracker where a name belongs to whoever published it first."""
    return Scene(publish=Publish.FIRST)


@pytest.fixture
def strict() -> Scene:
    """A tracker where admins alone publish."""
    return Scene(publish=Publish.ADMINS)


def test_whoever_was_first_publishes_the_next_version(scene: Scene) -> None:
    assert scene.update("n1", "a=1!1") == "ok 1"
    assert scene.update("n1", "a=2!2", without="a=1") == "ok 1"
    assert scene.ask("a") == "=2:2/n1 n1"


def test_others_do_not(scene: Scene) -> None:
    scene.update("n1", "a=1!1")
    scene.told()
    assert scene.update("n2", "a=2!2") == "ok 0 may not a=2:1/n1"
    assert scene.told()[-1] == "n2 may not publish a: see `publish` in the cluster file"
    assert scene.ask("a") == "=1:1/n1 n1"


def test_others_do_not_make_an_older_version_the_newest_again(scene: Scene) -> None:
    scene.update("n1", "a=1!1")
    scene.update("n3", "a=1:1/n1")
    scene.update("n1", "a=2!2", without="a=1")
    assert scene.update("n2", "a=1!9") == "ok 1 a=1:1/n1"
    assert scene.ask("a") == "=2:2/n1 n1 other =1:1/n1"


def test_the_publisher_makes_an_older_version_the_newest_again(scene: Scene) -> None:
    scene.update("n1", "a=1!1")
    scene.update("n3", "a=1:1/n1")
    scene.update("n1", "a=2!2", without="a=1")
    assert scene.update("n1", "a=1!3") == "ok 2"
    assert scene.ask("a") == "=1:3/n1 n1 n3 other =2:2/n1"


@pytest.mark.parametrize("said", ["a=2:7/n2", "a=2:7/n1", "a=2:7", "a=1:7/n1", "a=1:7/n2"])
def test_nobody_is_believed_who_tells_of_newer_versions_of_another_s_name(
    scene: Scene, said: str
) -> None:
    scene.update("n1", "a=1!1")
    scene.update("n2", said)
    assert scene.ask("a").startswith("=1:1/n1 n1")


def test_a_tracker_that_lost_everything_believes_what_holders_were_told(scene: Scene) -> None:
    for order in (("n1", "n2", "n3"), ("n3", "n2", "n1"), ("n2", "n3", "n1")):
        fresh = Scene(publish=Publish.FIRST)
        said = {"n1": "a=2:2/n1", "n2": "a=1:1/n1", "n3": "a=2:2/n1"}
        for node in order:
            fresh.update(node, said[node], replace=True)
        assert fresh.ask("a") == "=2:2/n1 n1 n3 other =1:1/n1"


def test_after_its_publisher_has_spoken_others_are_no_longer_believed(scene: Scene) -> None:
    scene.update("n2", "a=1:1/n1")
    scene.update("n1", "a=1:1/n1")  # Says nothing new, but it is the publisher that says it.
    scene.update("n3", "a=3:3/n1")
    assert scene.ask("a") == "=1:1/n1 n1 n2 other =3"


def test_what_the_log_has_is_known_first_hand(scene: Scene) -> None:
    scene.update("n1", "a=1!1")
    scene.restart()
    scene.update("n2", "a=2:2/n2")
    assert scene.ask("a").startswith("=1:1/n1 n1")


def test_what_nobody_has_published_anybody_may(scene: Scene) -> None:
    scene.update("n1", "a=1")
    assert scene.update("n2", "a=2!1") == "ok 1"
    assert scene.ask("a") == "=2:1/n2 n2 other =1"


def test_a_name_is_kept_while_its_publisher_announces_everything_anew(scene: Scene) -> None:
    scene.update("n1", "a=1!1")
    scene.update("n1", "b=2!1", replace=True)
    assert scene.update("n2", "a=3!1") == "ok 0 may not a=3"


def test_an_admin_lets_a_node_publish_once(scene: Scene) -> None:
    scene.update("n1", "a=1!1")
    assert scene.allow("a", "n2") == "ok 0"
    assert scene.told()[-1] == "admin lets n2 publish the next a"
    assert scene.update("n3", "a=3!2") == "ok 0 may not a=3:1/n1"
    assert scene.update("n2", "a=2!2") == "ok 1"
    assert scene.ask("a") == "=2:2/n2 n2 other =1:1/n1"
    assert scene.update("n2", "a=4!3") == "ok 2"  # It has published one before, now.


def test_what_an_admin_allowed_is_used_up(strict: Scene) -> None:
    strict.allow("a", "n1")
    assert strict.update("n1", "a=1!1") == "ok 1"
    assert strict.update("n1", "a=2!2") == "ok 1 may not a=2:1/n1"


def test_what_an_admin_allowed_lasts_a_day(strict: Scene) -> None:
    strict.allow("a", "n1")
    strict.wait(ALLOWED_S)
    assert strict.update("n1", "a=1!1") == "ok 0 may not a=1"


def test_where_admins_publish_nobody_else_has_a_new_name_either(strict: Scene) -> None:
    assert strict.update("n1", "a=1!1") == "ok 0 may not a=1"
    assert strict.update("n1", "a=1") == "ok 1"  # Holding it is not publishing it.


def test_nobody_but_admins_allows_anything(scene: Scene) -> None:
    assert scene.allow("a", "n2", READER).startswith("NOT_ALLOWED laptop is a reader")
    assert scene.allow("a", "n2", None).startswith("NOT_ALLOWED without keys")


def test_what_is_allowed_is_bounded(scene: Scene) -> None:
    publishing = Publishing(State(Scene(publish=Publish.ADMINS).initial, scene.settings))
    for number in range(MOST_ALLOWED + 1):
        publishing.allow(f"name {number}", "n1", 0.0)
    assert not publishing.permit("name 0", "n1", 1.0).publishes
    assert publishing.permit("name 1", "n1", 1.0).publishes
