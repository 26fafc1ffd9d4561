"""With which keys a process speaks, and whom it knows."""

from pathlib import Path

import pytest
from shoal.api.keys import KeyWishes, make_keys
from shoal.api.security import asking_ring, ring_of
from shoal.config.cluster import Cluster, load
from shoal.protocol.permits import Role, Who

TEXT = """\
tracker: {address: tcp://10.0.0.1:1}
nodes: {n1: {address: tcp://10.0.0.2:11001, folder: a}}
"""


@pytest.fixture
def lab(tmp_path: Path) -> Cluster:
    path = tmp_path / "lab.yaml"
    path.write_text(TEXT)
    make_keys(path, KeyWishes(readers=("laptop",)))
    return load(path)


def test_the_tracker_may_ask_itself_and_no_node_lets_it_in(lab: Cluster) -> None:
    tracker, node = ring_of(lab, "tracker"), ring_of(lab, "n1")
    assert lab.keys is not None
    assert tracker is not None
    assert node is not None
    assert tracker.who(lab.keys.tracker) == Who("tracker", Role.READER)
    assert node.who(lab.keys.tracker) is None
    for ring in (tracker, node):
        assert ring.who(lab.keys.nodes["n1"]) == Who("n1", Role.NODE)


def test_who_has_only_the_tracker_s_secret_asks_with_it(lab: Cluster) -> None:
    for name in ("admin", "laptop", "n1"):
        ring = asking_ring(lab)
        assert ring is not None
        assert ring.name == name
        (lab.path.parent / "lab.keys" / f"{name}.key").unlink()
    ring = asking_ring(lab)
    assert ring is not None
    assert ring.name == "tracker"


def test_without_keys_there_is_no_ring(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(TEXT)
    assert (ring_of(load(path), "n1"), asking_ring(load(path))) == (None, None)
