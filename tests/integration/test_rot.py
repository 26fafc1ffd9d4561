"""Disks that rot without a sign: fetches go on, and the holder notices (node/orders/healer.py)."""

from pathlib import Path

from tests.integration.cluster import Cluster, cluster_in, fails, noise
from tests.unit.node.disks import rot

DATA = noise(4 << 20)
CHUNK = 128 << 10


def cluster_with_rot(cluster: Cluster, *nodes: str, each: int) -> None:
    """Have nodes share a file, of which one chunk in `each` rots, others at each node."""
    cluster.put("a.bin", DATA, *nodes)
    cluster.start(*nodes)
    for number, node in enumerate(nodes):
        for chunk in range(number, 32, each):
            rot(cluster.folder(node) / "a.bin", chunk * CHUNK)


def test_two_that_rotted_in_different_places_are_enough_and_heal(tmp_path: Path) -> None:
    with cluster_in(tmp_path / "cluster") as cluster:
        cluster_with_rot(cluster, "n1", "n2", each=2)  # Both are asked for some of these.
        assert cluster.fetch("a.bin", node="n3").exit_code == 0
        assert cluster.files("n3")["a.bin"] == DATA
        cluster.start_node("n3")

        def told() -> bool:
            return any("is corrupt on this disk" in cluster.log("node", n) for n in ("n1", "n2"))

        cluster.wait(told, "the holders are told")
        healed = "a.bin: healed; sharing it again"
        cluster.wait(lambda: healed in cluster.log("node", "n1"), "n1 heals")
        assert cluster.files("n1")["a.bin"] == DATA


def test_the_only_holder_withdraws_it_and_verify_heals_it_later(tmp_path: Path) -> None:
    with cluster_in(tmp_path / "cluster") as cluster:
        cluster_with_rot(cluster, "n1", each=8)
        fails(cluster.fetch("a.bin", node="n3"), 5, "n1 sent wrong bytes of chunk 1;")
        cluster.wait(lambda: not cluster.holders("a.bin"), "n1 withdraws it")
        said = cluster.log("node", "n1")
        assert "a.bin: chunk 1 of 32 is corrupt on this disk" in said
        assert (
            said.count(
                "a.bin: cannot heal it, 4 of 32 chunks corrupt: no other node has a good copy"
            )
            == 1
        )
        cluster.stop("node", "n1")
        cluster.put("a.bin", DATA, "n2")
        cluster.start_node("n2")
        cluster.launch("node", "n1")
        cluster.wait(lambda: "0 things are ready" in cluster.log("node", "n1"), "n1 is back")
        assert cluster.run("verify", "a.bin", "--as", "n1").exit_code == 0
        assert cluster.files("n1")["a.bin"] == DATA
        assert cluster.holders("a.bin") == {"n1": True, "n2": True}
