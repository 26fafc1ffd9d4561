"""What interrupted fetches have left, in the folders that are here."""

from pathlib import Path

from shoal.api.unfinished import unfinished
from shoal.config.cluster import Cluster, NodeEntry, TrackerEntry


def test_only_nodes_with_something_unfinished_are_told(tmp_path: Path) -> None:
    place = tmp_path / "n1/.shoal/partial" / (64 * "0")
    place.mkdir(parents=True)
    (place / "name").write_text("big.iso")
    (place / "data").write_bytes(bytes(5000))
    (tmp_path / "n2").mkdir()
    nodes = {
        name: NodeEntry(name, f"tcp://127.0.0.1:1100{number}", tmp_path / name)
        for number, name in enumerate(("n1", "n2", "elsewhere"), start=1)
    }
    tracker = TrackerEntry("tcp://127.0.0.1:12000", tmp_path)
    left = unfinished(Cluster(tmp_path / "lan.yaml", (tracker,), nodes, {}))
    assert list(left) == ["n1"]
    (one,) = left["n1"]
    assert (one.name, one.id) == ("big.iso", "b3:" + 64 * "0")
    assert one.size_bytes >= 5000
