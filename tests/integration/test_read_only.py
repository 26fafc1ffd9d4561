"""A folder that is only read: it is served, its state is elsewhere, and nothing comes into it."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cluster import Cluster, cluster_in, fails, noise
from tests.unit.node.disks import rot

DATA, NEXT = noise(3_000_000), noise(200_000, seed=2)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """What the owner of the folder has in it."""
    folder = tmp_path / "data"
    (folder / "tree").mkdir(parents=True)
    (folder / "a.bin").write_bytes(DATA)
    (folder / "tree/b.bin").write_bytes(NEXT)
    return folder


@pytest.fixture
def lab(tmp_path: Path, data: Path) -> Iterator[Cluster]:
    own = f"folder: {data}, state_folder: {tmp_path / 'state'}, read_only: true"
    with cluster_in(tmp_path / "lab", nodes=("n1", "n2")) as lab:
        lab.file.write_text(lab.file.read_text().replace("folder: n1", own))
        lab.start_tracker()
        yield lab


def serve(lab: Cluster) -> None:
    process = lab.launch("node", "n1")
    lab.wait(lambda: "ready to serve" in process.stderr, "n1 is ready")


def states(folder: Path) -> dict[Path, tuple[int, int]]:
    found = {path: path.lstat() for path in (folder, *folder.rglob("*"))}
    return {path: (one.st_mtime_ns, one.st_ctime_ns) for path, one in found.items()}


def test_a_folder_that_is_only_read_is_served(lab: Cluster, data: Path, tmp_path: Path) -> None:
    before = states(data)
    serve(lab)
    lab.wait(lambda: lab.announced("n1") == {"a.bin", "tree"}, "both are served")
    assert lab.fetch("a.bin", "tree", node="n2").exit_code == 0
    assert lab.files("n2") == {"a.bin": DATA, "tree/b.bin": NEXT}
    lab.put("c.bin", NEXT, "n2")
    lab.start_node("n2")
    fails(lab.run("fetch", "c.bin", "--as", "n1"), 8, "is read-only", "--to PATH")
    fails(lab.run("share", str(lab.file), "--as", "n1"), 8, "is read-only", "--link")
    fails(lab.run("forget", "tree", "--delete", "--as", "n1"), 8, "is read-only")
    to = tmp_path / "c.bin"
    assert lab.run("fetch", "a.bin", "c.bin", "--as", "n1").exit_code == 6  # One is here.
    assert lab.run("fetch", "c.bin", "--as", "n1", "--to", str(to)).exit_code == 0
    lab.stop("node", "n1")
    serve(lab)
    lab.wait(lambda: lab.announced("n1") == {"a.bin", "tree", "c.bin"}, "all are served again")
    assert lab.run("forget", "c.bin", "--delete", "--as", "n1").exit_code == 0
    assert (states(data), to.read_bytes()) == (before, NEXT)
    (data / "a.bin").write_bytes(NEXT)  # Its owner may write.
    lab.wait(lambda: "v2" in lab.run("ls").stdout, "there is a next version")


def test_what_has_rotted_there_is_left_to_its_owner(
    lab: Cluster, data: Path, tmp_path: Path
) -> None:
    serve(lab)
    lab.wait(lambda: lab.announced("n1") == {"a.bin", "tree"}, "both are served")
    assert lab.fetch("a.bin", "tree", node="n2").exit_code == 0  # Others could heal it.
    lab.start_node("n2")
    lab.stop("node", "n1")
    for path in data / "a.bin", data / "tree/b.bin":
        rot(path, 5)
    rotten = (data / "a.bin").read_bytes(), (data / "tree/b.bin").read_bytes()
    with contextlib.closing(sqlite3.connect(tmp_path / "state/.shoal/cache.db")) as cache:
        cache.execute("UPDATE manifests SET ctime = ''")  # A disk that rots tells nothing of it.
        cache.commit()
    serve(lab)
    for name in ("a.bin", "tree"):
        (found,) = lab.run("verify", name, "--as", "n1", "--json").json
        assert (found["damaged"], found["healed"]) == (1, False)
        assert "it is read-only; restore " in found["trouble"]
    assert ((data / "a.bin").read_bytes(), (data / "tree/b.bin").read_bytes()) == rotten
