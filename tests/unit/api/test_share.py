"""What of a path is shared, and under which name."""

import os
from pathlib import Path

import pytest
from shoal.api import share
from shoal.api.local_node import LocalNode, ignore
from shoal.api.share import ShareOptions
from shoal.config.cluster import Cluster, NodeEntry, TrackerEntry
from shoal.node.trees.left_out import LEADS_OUT
from shoal.protocol.errors import DiskError, OperatorError, StoppedError

from tests.unit.node.sample_trees import TREE, file, link, make, seen

SOME = ShareOptions(include=("a", "d"), exclude=("*.sh",))


@pytest.fixture
def entry(tmp_path: Path) -> NodeEntry:
    folder = tmp_path / "n1"
    (folder / ".shoal").mkdir(parents=True)
    return NodeEntry("n1", "tcp://127.0.0.1:11001", folder)


def closed(entry: NodeEntry) -> LocalNode:
    """Return a node that is not opened: the copying only asks whether to go on."""
    tracker = TrackerEntry("tcp://127.0.0.1:1", entry.folder)
    return LocalNode(Cluster(entry.folder / "lan.yaml", (tracker,), {"n1": entry}, {}), entry)


def copying(
    path: Path, entry: NodeEntry, options: ShareOptions | None = None, node: LocalNode | None = None
) -> share._Copying:
    return share._Copying(node or closed(entry), path, options or ShareOptions(), ignore)


def put_there(path: Path, entry: NodeEntry, options: ShareOptions | None = None) -> str:
    return copying(path, entry, options).put_there()[0]


def refused(path: Path, entry: NodeEntry) -> OperatorError:
    with pytest.raises(OperatorError) as caught:
        put_there(path, entry)
    assert not [*(entry.folder / ".shoal").iterdir()]
    return caught.value


def test_what_lies_elsewhere_is_copied_in(tmp_path: Path, entry: NodeEntry) -> None:
    (tmp_path / "f").write_bytes(b"new")
    (tmp_path / "l").symlink_to("f")
    assert [put_there(tmp_path / name, entry) for name in ("f", "l")] == ["f", "l"]
    assert put_there(make(tmp_path / "tree", TREE), entry) == "tree"
    assert seen(entry.folder / "tree") == TREE
    assert (entry.folder / "f").read_bytes() == (entry.folder / "l").read_bytes() == b"new"
    assert not (entry.folder / "l").is_symlink()
    assert (tmp_path / "f").exists()


def test_what_lies_there_is_left_there(tmp_path: Path, entry: NodeEntry) -> None:
    make(entry.folder / "tree", TREE)
    (tmp_path / "way").symlink_to(entry.folder)
    for path in (entry.folder / "tree", tmp_path / "way" / "tree"):
        assert put_there(path, entry) == "tree"


def test_a_part_of_a_directory_is_copied(tmp_path: Path, entry: NodeEntry) -> None:
    put_there(make(tmp_path / "tree", TREE), entry, SOME)
    assert sorted(seen(entry.folder / "tree")) == ["a/empty", "a/up", "d/e/f/data"]
    assert put_there(tmp_path / "tree", entry, SOME) == "tree"  # It has the same in it.


def test_what_is_not_copied_is_told(tmp_path: Path, entry: NodeEntry) -> None:
    path = make(tmp_path / "tree", {**TREE, "away": link("../../etc"), "in": link("b.txt")})
    for _ in range(2):  # The second time it is there already.
        name, left_out = copying(path, entry).put_there()
        assert (name, left_out.named) == ("tree", [("away", LEADS_OUT)])
    assert "away" not in seen(entry.folder / "tree")
    assert "in" in seen(entry.folder / "tree")


def test_another_of_that_name_is_not_replaced(tmp_path: Path, entry: NodeEntry) -> None:
    make(entry.folder / "tree", TREE)
    new = make(tmp_path / "tree", {"b.txt": file(b"new")})
    assert "already has a different tree" in str(refused(new, entry))
    assert "--force publishes this as the next version in its place" in str(refused(new, entry))
    assert put_there(new, entry, ShareOptions(force=True)) == "tree"
    assert seen(entry.folder / "tree") == {"b.txt": file(b"new")}


def test_parts_of_a_directory_and_the_folder_itself_are_refused(
    tmp_path: Path, entry: NodeEntry
) -> None:
    make(entry.folder / "tree", TREE)
    part = str(refused(entry.folder / "tree" / "a", entry))
    assert f"tree/a is in tree, which is shared as a whole; share {entry.folder}/tree" in part
    assert "is the node's folder" in str(refused(entry.folder, entry))
    for above in (tmp_path, Path("/")):
        assert "has the node's folder in it" in str(refused(above, entry))


@pytest.mark.parametrize("name", ["a\nb", ".shoal", "C:x", "a\\b"])
def test_what_cannot_be_a_name_is_refused(tmp_path: Path, entry: NodeEntry, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"")
    assert "cannot be shared: its name" in str(refused(path, entry))


def test_a_quota_counts_what_is_selected(tmp_path: Path, entry: NodeEntry) -> None:
    small = NodeEntry("n1", entry.address, entry.folder, None, 90)
    make(tmp_path / "tree", TREE)  # Some 190 bytes, of which 70 are selected.
    error = refused(tmp_path / "tree", small)
    assert isinstance(error, DiskError)
    assert "is more than the quota of n1 leaves" in str(error)
    assert put_there(tmp_path / "tree", small, SOME) == "tree"
    (tmp_path / "link").symlink_to("tree/b.txt")  # 100 bytes.
    assert isinstance(refused(tmp_path / "link", small), DiskError)


def test_copying_stops_when_it_is_cancelled(tmp_path: Path, entry: NodeEntry) -> None:
    (tmp_path / "f").write_bytes(bytes(100))
    node = closed(entry)
    node.cancel(StoppedError)
    for path in (tmp_path / "f", make(tmp_path / "tree", TREE)):
        with pytest.raises(StoppedError, match="interrupted; run it again"):
            copying(path, entry, node=node).put_there()
    assert [one.name for one in entry.folder.iterdir()] == [".shoal"]
    assert not [*(entry.folder / ".shoal").iterdir()]


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("missing", ShareOptions(), "no such file or directory: .*missing; check the path"),
        ("pipe", ShareOptions(), "is neither a file nor a directory; give the path of one"),
        ("f", ShareOptions(exclude=("*",)), "is a file, and can only be shared as a whole"),
        ("tree", ShareOptions(include=("[",)), "--include '\\[' is not a valid pattern"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_done(
    tmp_path: Path, name: str, options: ShareOptions, words: str
) -> None:
    (tmp_path / "f").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    make(tmp_path / "tree", TREE)
    with pytest.raises(OperatorError, match=words):
        share.check(tmp_path / name, options)
