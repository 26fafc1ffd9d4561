"""Who publishes, with real processes and keys."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cluster import Cluster, cluster_in, fails, noise

NAME, DATA = "some.bin", noise(300_000)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Cluster]:
    """Two nodes and the tracker, with keys; nothing runs yet."""
    with cluster_in(tmp_path, nodes=("n1", "n2")) as lab:
        lab.secure()
        yield lab


def without_admin(lab: Cluster) -> Path:
    """Take the admin's secret away, as on a machine of nobody who is one; return where it is."""
    secret = lab.path / "cluster.keys/admin.key"
    return secret.rename(lab.path / "admin.key")


def bring_back(secret: Path, lab: Cluster) -> None:
    secret.rename(lab.path / "cluster.keys/admin.key")


def test_a_name_belongs_to_whoever_published_it_first(lab: Cluster) -> None:
    lab.start("n1", "n2")
    secret = without_admin(lab)
    mine = lab.path / "mine" / NAME
    mine.parent.mkdir()
    mine.write_bytes(DATA)
    assert lab.run("share", str(mine), "--as", "n1").exit_code == 0
    mine.write_bytes(DATA[::-1])
    refused = lab.run("share", str(mine), "--as", "n2", "--force")
    fails(refused, 10, f"n2 may not publish {NAME} (v1, published by n1)", "as an admin")
    bring_back(secret, lab)
    shared = lab.run("share", str(mine), "--as", "n2", "--force", "--json")
    assert (shared.exit_code, shared.json["version"]) == (0, 2), shared.stderr
    assert lab.holders(NAME)["n2"]


def test_where_admins_publish_a_node_alone_does_not(lab: Cluster) -> None:
    lab.file.write_text(f"publish: admins\n{lab.file.read_text()}")
    lab.start("n1", "n2")
    secret = without_admin(lab)
    lab.put(NAME, DATA, "n1")
    refused = lab.run("share", str(lab.folder("n1") / NAME), "--as", "n1")
    fails(refused, 10, f"n1 may not publish {NAME}", "as an admin")
    assert lab.run("ls", "--json").json == []
    bring_back(secret, lab)
    shared = lab.run("share", str(lab.folder("n1") / NAME), "--as", "n1", "--json")
    assert (shared.exit_code, shared.json["version"]) == (0, 1), shared.stderr
