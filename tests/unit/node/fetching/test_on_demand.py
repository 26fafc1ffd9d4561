"""A fetch of which only some is wanted, for now."""

from shoal.node.fetching import steps

from tests.unit.node.fetching.scene import Scene


def test_on_demand_nothing_else_comes_and_nobody_is_to_blame_for_that() -> None:
    scene = Scene()
    scene.download.urged = steps.ChunksUrged(only=())
    assert scene.begin("n1") == ""
    assert scene.feed(steps.ChunksUrged(((2, 3),), ((2, 4),))) == "n1:2"
    assert scene.send("n1") == "store 2; n1:3"
    assert scene.send("n1") == "store 3"
    scene.feed(steps.HolderLost("n1", "is gone"))
    for _ in range(10):
        scene.found("")
        assert "fail" not in scene.wait(100)
    assert scene.download.tally.starved_s == 0
    assert scene.feed(steps.ChunksUrged()) == "n1:0"  # It was tried again meanwhile.
    assert scene.send("n1") == "store 0; n1:1"
    assert scene.send("n1") == "store 1; publish"
