"""When a tree counts as another one; and that nothing leaves of what has changed."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from shoal.node.files.signature import GoneError
from shoal.node.files.states import FileStates
from shoal.node.folder.tree import Tree
from shoal.node.folder.whole import Whole
from shoal.protocol.listing import decode

from tests.unit.node.sample_trees import (
    TREE,
    Items,
    Model,
    file,
    files_in_order,
    look,
    make,
    open_descriptors,
    shared,
)

FILES = files_in_order(TREE)
Change = Callable[[Path], object]


def replace(path: Path, make_one: Change) -> None:
    path.unlink()
    make_one(path)


def grow(path: Path) -> None:
    with path.open("ab") as one:
        one.write(b"x")


CHANGES: dict[str, Change] = {
    "a file grows": lambda root: grow(root / "b.txt"),
    "a file shrinks": lambda root: os.truncate(root / "b.txt", 1),
    "an empty file gets a byte": lambda root: grow(root / "c/none"),
    "a file is rewritten": lambda root: (root / "b.txt").write_bytes(bytes(100)),
    "a file is touched": lambda root: os.utime(root / "b.txt"),
    "a file gets older": lambda root: os.utime(root / "b.txt", ns=(0, 0)),
    "a file may be run": lambda root: (root / "b.txt").chmod(0o755),
    "a file may no longer be run": lambda root: (root / "a/run.sh").chmod(0o644),
    "a file is replaced": lambda root: (root / "b.txt").replace(root / "d/e/f/data"),
    "a file is renamed": lambda root: (root / "b.txt").rename(root / "c.txt"),
    "a file is moved": lambda root: (root / "b.txt").rename(root / "a/b.txt"),
    "a file comes": lambda root: (root / "new").touch(),
    "a file goes": lambda root: (root / "b.txt").unlink(),
    "an empty file goes": lambda root: (root / "c/none").unlink(),
    "two files change places": lambda root: exchange(root / "c/none", root / "c/none at all"),
    "a link leads elsewhere": lambda root: replace(root / "a/up", lambda at: at.symlink_to("x")),
    "a link becomes a file": lambda root: replace(root / "a/up", Path.touch),
    "a link goes": lambda root: (root / "a/up").unlink(),
    "an empty directory goes": lambda root: (root / "a/empty").rmdir(),
    "an empty directory comes": lambda root: (root / "a/empty/another").mkdir(),
    "a directory is renamed": lambda root: (root / "d/e").rename(root / "d/g"),
    "a name changes its case": lambda root: (root / "b.txt").rename(root / "B.txt"),
}


def exchange(one: Path, two: Path) -> None:
    aside = one.with_name("aside")
    one.rename(aside)
    two.rename(one)
    aside.rename(two)


def link_up(path: Path) -> None:
    path.symlink_to("../b.txt")


NO_CHANGES: dict[str, Change] = {
    "nothing": Path.exists,
    "a file is read": lambda root: (root / "b.txt").read_bytes(),
    "the group may write": lambda root: (root / "b.txt").chmod(0o664),
    "it is moved": lambda root: root.rename(root.with_name("u")).rename(root),
    "a directory is touched": lambda root: os.utime(root / "a"),
    "a link is made anew": lambda root: replace(root / "a/up", link_up),
    "a FIFO comes": lambda root: os.mkfifo(root / "fifo"),
    "a name comes that cannot be shared": lambda root: (root / "a\\b").touch(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_shows_in_the_signature(tmp_path: Path, change: str) -> None:
    root = make(tmp_path / "t", TREE)
    was = look(root).signature
    CHANGES[change](root)
    assert look(root).signature != was


@pytest.mark.parametrize("change", NO_CHANGES)
def test_nothing_else_does(tmp_path: Path, change: str) -> None:
    root = make(tmp_path / "t", TREE)
    tree = look(root)
    NO_CHANGES[change](root)
    assert look(root).signature == tree.signature
    assert tree.read(0, tree.size_bytes) == Model(TREE).bytes


# What leaves of it.

THREE: Items = {name: file(name[-1:].encode() * 700) for name in ("a", "d/b", "d/e/c")}


def unreadable(whole: Whole) -> str:
    """Return the files of THREE that nothing can be read of; all of the others must be right."""
    lost = ""
    for index in range(1, whole.chunk_count):
        name = "abc"[(index - 1) // 3]  # Each has three chunks of its own.
        try:
            assert whole.read(index) == name.encode() * whole.manifest.chunk_size(index)
        except GoneError:
            lost += name
    assert all(lost.count(name) in {0, 3} for name in "abc")
    return "".join(sorted(set(lost)))


def move_behind_a_link(root: Path) -> None:
    shutil.copytree(root / "d", root / "f")  # The same bytes, but other files.
    shutil.rmtree(root / "d")
    (root / "d").symlink_to("f")


READ_AFTER: dict[str, tuple[Change, str]] = {
    "nothing": (Path.exists, ""),
    "one truncated": (lambda root: os.truncate(root / "d/b", 100), "b"),
    "one emptied": (lambda root: os.truncate(root / "d/b", 0), "b"),
    "one appended to": (lambda root: grow(root / "d/b"), "b"),
    "one rewritten": (lambda root: (root / "a").write_bytes(b"a" * 700), "a"),
    "one touched": (lambda root: os.utime(root / "d/e/c"), "c"),
    "one made executable": (lambda root: (root / "a").chmod(0o755), "a"),
    "one copied": (lambda root: shutil.copy(root / "a", root / "b"), ""),
    "one deleted": (lambda root: (root / "d/b").unlink(), "b"),
    "one moved": (lambda root: (root / "d/b").rename(root / "d/c"), "b"),
    "one that is a FIFO": (lambda root: replace(root / "a", os.mkfifo), "a"),
    "one that is a directory": (lambda root: replace(root / "a", Path.mkdir), "a"),
    "one that is a link to another": (
        lambda root: replace(root / "a", lambda at: at.symlink_to("d/b")),
        "a",
    ),
    "two that changed places": (lambda root: exchange(root / "a", root / "d/b"), "ab"),
    "a directory moved": (lambda root: (root / "d").rename(root / "f"), "bc"),
    "a directory behind a link": (move_behind_a_link, "bc"),
    "all deleted": (shutil.rmtree, "abc"),
    "one more": (lambda root: (root / "d/new").touch(), ""),
}


@pytest.mark.parametrize("what", READ_AFTER)
def test_nothing_leaves_of_what_has_changed(tmp_path: Path, what: str) -> None:
    change, expected = READ_AFTER[what]
    whole = shared(make(tmp_path / "t", THREE))
    before = open_descriptors()
    change(tmp_path / "t")
    assert unreadable(whole) == expected
    assert whole.read(0) == Model(THREE).listing  # It is in memory.
    assert open_descriptors() == before


def test_a_chunk_of_many_files_is_gone_if_one_of_them_is(tmp_path: Path) -> None:
    items: Items = {f"{number:02}": file(b"%02d" % number) for number in range(50)}
    whole = shared(make(tmp_path / "t", items))
    assert whole.read(1) == Model(items, 50).chunks[-2][:50]
    (tmp_path / "t/07").unlink()
    with pytest.raises(GoneError, match="No such file"):
        whole.read(1)


# A tree that was just made, of which it is known what is in it.


@pytest.mark.parametrize("noted", [0, 1, len(FILES)])
def test_a_tree_that_was_just_made_is_what_would_be_found(tmp_path: Path, noted: int) -> None:
    root, model = make(tmp_path / "t", TREE), Model(TREE)
    listing = decode(model.listing)
    states = FileStates(listing.sizes, listing.are_executable())
    for number, path in enumerate(FILES[:noted]):
        states.note(number, (root / path).lstat())
    made, found = Tree.made(root, model.listing, listing, states), look(root)
    assert made.signature == found.signature
    assert made.file_paths() == found.file_paths() == FILES
    assert made.read(0, made.size_bytes) == model.bytes


def test_what_has_gone_of_a_tree_that_was_just_made_is_missed(tmp_path: Path) -> None:
    root, model = make(tmp_path / "t", TREE), Model(TREE)
    listing = decode(model.listing)
    (root / "b.txt").unlink()
    with pytest.raises(FileNotFoundError):
        Tree.made(root, model.listing, listing, FileStates(listing.sizes, b""))
