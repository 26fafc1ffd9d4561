"""What a node tells another tracker that it goes on with."""

from shoal.node.serving.announcer import MOST_CATCH_UPS
from shoal.protocol.errors import WireCode

from tests.unit.node.serving.test_announcer import in_step


def test_another_tracker_hears_at_once_that_we_are_here_and_nothing_twice() -> None:
    scene = in_step("a=1 b=1")
    scene.announcer.moved(scene.now)
    assert scene.says() == "renew 2"
    scene.refused(WireCode.NOT_FOUND)  # What the other one knew is on its way.
    assert scene.says() == ""
    assert scene.jump() == "renew 2"
    scene.ok(1)
    assert scene.jump() == "renew 2"
    scene.ok(2)
    assert scene.announcer.is_in_step
    assert scene.jump() == "renew 2"
    scene.ok(1)  # Now it has lost something.
    assert scene.jump() == "! +a=1 +b=1"


def test_another_tracker_that_knows_less_for_long_is_told_everything() -> None:
    scene = in_step("a=1")
    scene.announcer.moved(scene.now)
    assert scene.says() == "renew 1"
    for _ in range(MOST_CATCH_UPS):
        scene.refused(WireCode.NOT_FOUND)
        assert scene.jump() == "renew 1"
    scene.refused(WireCode.NOT_FOUND)
    assert scene.jump() == "! +a=1"


def test_another_tracker_hears_first_what_the_one_before_did_not_confirm() -> None:
    scene = in_step("")
    scene.hold("a=1")
    assert scene.says() == "+a=1"
    scene.announcer.moved(scene.now)  # It gets the same message.
    assert scene.says() == ""
    scene.ok(1)
    assert scene.jump() == "renew 1"
