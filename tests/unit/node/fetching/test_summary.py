"""What a finished download reports."""

from shoal.node.fetching import steps, summary
from shoal.node.fetching.download import Download

from tests.unit.node.fetching.test_download import Scene

COSTS = summary.Costs(
    elapsed_s=1.23456789, best_rate=30.0, working_s=0.1, disk_s=0.1, link_rate=None
)


def finished() -> Download:
    scene = Scene()
    scene.wait()
    scene.found("n1 n2")
    scene.send_manifest("n1")
    scene.feed(steps.StagingOpened(0b0001, 0b1111))
    for node in ("n1", "n2", "n1"):
        scene.send(node)
    return scene.download


def test_tells_bytes_by_where_they_came_from() -> None:
    fetched = summary.of(finished(), "me", "/f/a.bin", COSTS)
    assert (fetched.name, fetched.path, fetched.elapsed_s) == ("a.bin", "/f/a.bin", 1.234568)
    assert (fetched.size_bytes, fetched.reused_bytes, fetched.fetched_bytes) == (40, 10, 30)
    assert fetched.holders == {"n1": 20, "n2": 10}
    assert (fetched.duplicate_bytes, fetched.wrong_chunks, fetched.lost_holders) == (0, 0, 0)
    assert fetched.retries == 0


def test_says_what_bounded_it() -> None:
    fetched = summary.of(finished(), "me", "/f/a.bin", COSTS)
    assert (fetched.bound_s, fetched.ratio, fetched.bound_by) == (1.0, 0.81, "path")
    assert fetched.bound_reason.startswith("its holders' uplinks or the link of me")
