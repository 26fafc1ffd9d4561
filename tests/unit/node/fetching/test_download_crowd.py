"""One fetch among many: it asks the nearest few, and not all of them the same one."""

import msgspec
from shoal.protocol.errors import WireCode

from tests.unit.node.fetching.test_download import SETTINGS, Scene


def test_one_that_would_have_us_ask_others_is_not_left() -> None:
    scene = Scene()
    scene.wait()
    scene.found("n1")
    assert scene.refuse("n1", WireCode.BUSY) == ""
    assert scene.found("n1 n2~") == "connect n2; n2:manifest"
    assert scene.jump() == "n1:manifest"
    assert scene.send_manifest("n1") == "openstaging"


def test_leaves_far_holders_alone_when_nearer_ones_are_known() -> None:
    scene = Scene(settings=msgspec.structs.replace(SETTINGS, most_holders=2))
    scene.begin("n2~ n3")
    assert scene.found("n1~ n4~") == "leave n2; connect n1; n1:0"
    assert scene.download.tally.lost_holders == 0


def test_asks_more_holders_when_those_it_asks_bring_nothing() -> None:
    scene = Scene(settings=msgspec.structs.replace(SETTINGS, most_holders=1, widened_holders=2))
    scene.begin("n1~ n2~")
    scene.wait(2.9)
    assert scene.download.roster.connected == ["n1"]
    scene.wait(0.1)
    assert scene.found("n3~").startswith("connect n2")
    assert scene.download.roster.connected == ["n1", "n2"]
