"""What a finished download reports."""

from node import steps, summary
from node.download import Download
from tests.unit.node.test_download import Scene


def finished() -> Download:
    scene = Scene()
    scene.wait()
    scene.found("n1 n2")
    scene.send_manifest("n1")
    scene.feed(steps.StagingOpened(0b0001))
    for node in ("n1", "n2", "n1"):
        scene.send(node)
    return scene.download


def test_tells_bytes_by_where_they_came_from() -> None:
    fetched = summary.of(finished(), "/f/a.bin", 1.23456789)
    assert (fetched.name, fetched.path, fetched.elapsed_s) == ("a.bin", "/f/a.bin", 1.234568)
    assert (fetched.size_bytes, fetched.reused_bytes, fetched.fetched_bytes) == (40, 10, 30)
    assert fetched.holders == {"n1": 20, "n2": 10}
    assert (fetched.duplicate_bytes, fetched.wrong_chunks, fetched.lost_holders) == (0, 0, 0)
