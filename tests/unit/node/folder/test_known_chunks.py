"""What has not changed in a tree is not read again when it is hashed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from shoal.node.folder.hashing import hash_source
from shoal.node.folder.tree import everything_in
from shoal.node.folder.whole import Whole
from shoal.protocol import manifest
from shoal.protocol.control import Chunking

from tests.unit.node.sample_trees import shared
from tests.unit.node.things import whole

MIB = 1 << 20
SIZES = {"a/1": 3 * MIB, "a/2": 10, "b": 2 * MIB, "c/1": 7, "c/2": 8, "d": MIB, "e": 0}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "t"
    for path, size_bytes in SIZES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(os.urandom(size_bytes))
    return root


def hashed_again(root: Path, before: Whole, chunking: Chunking = "fixed") -> int:
    """Hash a tree with what is known from before; return how many bytes of files were read."""
    tree, read_bytes, told_bytes = everything_in(root), [0], [0]

    def read(offset: int, size_bytes: int) -> bytes:
        read_bytes[0] += size_bytes * (offset >= tree.listing_bytes)
        return real(offset, size_bytes)

    def tell(size_bytes: int) -> None:
        told_bytes[0] += size_bytes

    real, tree.read = tree.read, read  # type: ignore[method-assign]
    known = hash_source(tree, tell, lambda: False, chunking, before)
    assert told_bytes == [tree.size_bytes]
    anew = hash_source(everything_in(root), lambda _: None, lambda: False, chunking)
    assert manifest.encode(known) == manifest.encode(anew)
    return read_bytes[0]


CHANGES: dict[str, tuple[Callable[[Path], object], int]] = {
    "nothing": (lambda _: None, 0),
    "a file is written to": (lambda root: (root / "b").write_bytes(bytes(2 * MIB)), 2 * MIB),
    "a file is touched": (lambda root: os.utime(root / "d"), MIB),
    "a small file shares a chunk": (lambda root: (root / "c/1").write_bytes(bytes(7)), 15),
    "a file goes": (lambda root: (root / "a/1").unlink(), 0),
    "an empty file comes": (lambda root: (root / "c/0").touch(), 15),
    "a small file comes": (lambda root: (root / "a/3").write_bytes(bytes(3)), 13),
    "a file is moved": (lambda root: (root / "d").rename(root / "z"), 0),
    "a small file is moved": (lambda root: (root / "c/1").rename(root / "c/3"), 15),
    "a file is replaced": (lambda root: (root / "d").replace(root / "b"), MIB),
}


@pytest.mark.parametrize("what", CHANGES)
def test_reads_only_what_has_changed(root: Path, what: str) -> None:
    before = shared(root)
    change, most_bytes = CHANGES[what]
    change(root)
    assert hashed_again(root, before) <= most_bytes


def test_of_another_cut_nothing_is_known(root: Path, tmp_path: Path) -> None:
    before = shared(root)
    assert hashed_again(root, before, "content") == 0  # It reads in another way, all of it.
    (tmp_path / "file").write_bytes(bytes(10))
    assert hashed_again(root, whole(tmp_path / "file", "file")) == sum(SIZES.values())
    by_content = Whole("t", manifest.encode(_by_content(root)), everything_in(root))
    assert 0 < hashed_again(root, by_content) <= sum(SIZES.values())


def _by_content(root: Path) -> manifest.Manifest:
    return hash_source(everything_in(root), lambda _: None, lambda: False, "content")
