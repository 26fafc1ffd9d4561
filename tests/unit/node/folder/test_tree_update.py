"""A tree that is looked at again where it changed is what a look through all of it finds."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from shoal.node.files.signature import GoneError
from shoal.node.files.unreadable import Unreadable
from shoal.node.folder import tree_update
from shoal.node.folder.tree import Tree, look_through
from shoal.node.folder.tree_update import Looking, look_again
from shoal.node.trees.selection import EVERYTHING, Selection

from tests.unit.node.sample_trees import TREE, make


def looking_for(selection: Selection = EVERYTHING) -> Looking:
    return Looking(selection, lambda: False, Unreadable())


def look(root: Path, selection: Selection = EVERYTHING) -> Tree:
    return look_through(root, selection, lambda _, __: None, lambda: False)


def drawn(tree: Tree) -> tuple[object, ...]:
    left_out = tree.left_out
    return (
        tree.listing_data,
        tree.file_paths(),
        tree.signature,
        left_out.count,
        sorted(left_out.named),
    )


def check(root: Path, tree: Tree, changed: set[str], selection: Selection = EVERYTHING) -> Tree:
    again = look_again(tree, changed, looking_for(selection))
    assert again is not None
    assert drawn(again) == drawn(look(root, selection))
    return again


def become_directory(path: Path) -> None:
    path.unlink()
    (path / "x").mkdir(parents=True)


def become_file(path: Path) -> None:
    path.rmdir()
    path.touch()


def replace(path: Path, by: Path) -> None:
    shutil.rmtree(path)
    by.rename(path)


def lead(link: Path, target: str) -> None:
    link.unlink()
    link.symlink_to(target)


Change = Callable[[Path], object]
CHANGES: dict[str, tuple[str, Change]] = {
    "a file is touched": ("b.txt", lambda root: os.utime(root / "b.txt")),
    "a file grows": ("b.txt", lambda root: (root / "b.txt").write_bytes(bytes(200))),
    "a file may be run": ("b.txt", lambda root: (root / "b.txt").chmod(0o755)),
    "a file comes": ("a/new", lambda root: (root / "a/new").touch()),
    "a file goes": ("b.txt", lambda root: (root / "b.txt").unlink()),
    "the last of a directory goes": ("d/e/f/data", lambda root: (root / "d/e/f/data").unlink()),
    "the first of a directory comes": ("a/empty/x", lambda root: (root / "a/empty/x").touch()),
    "a file is moved": ("b.txt a/b", lambda root: (root / "b.txt").rename(root / "a/b")),
    "a file becomes a directory": ("b.txt", lambda root: become_directory(root / "b.txt")),
    "a directory becomes a file": ("a/empty", lambda root: become_file(root / "a/empty")),
    "a directory comes": ("new", lambda root: (root / "new/x/y").mkdir(parents=True)),
    "a directory goes": ("d", lambda root: shutil.rmtree(root / "d")),
    "a directory is moved": ("d a/d", lambda root: (root / "d").rename(root / "a/d")),
    "a directory is another": ("c d", lambda root: replace(root / "c", root / "d")),
    "a link leads elsewhere": ("a/up", lambda root: lead(root / "a/up", "run.sh")),
    "a link leads out": ("a/up", lambda root: lead(root / "a/up", "/etc")),
    "what came has gone again": ("x a/y/z", lambda _: None),
}


@pytest.mark.parametrize("what", CHANGES)
def test_finds_what_a_whole_look_finds(tmp_path: Path, what: str) -> None:
    root = make(tmp_path / "t", TREE)
    tree, (changed, change) = look(root), CHANGES[what]
    change(root)
    before = drawn(tree)
    check(root, tree, set(changed.split()))
    assert drawn(tree) == before  # Others may be reading it.


def test_what_is_left_out_is_counted_anew_where_something_changed(tmp_path: Path) -> None:
    root = make(tmp_path / "t", TREE)
    for path in ("a/out", "d/out", "out"):
        (root / path).symlink_to("/etc")
    tree = look(root)
    (root / "a/out").unlink()
    (root / "a/other").symlink_to("/etc")
    tree = check(root, tree, {"a/out", "a/other"})
    shutil.rmtree(root / "d")
    tree = check(root, tree, {"d", "d/out"})
    (root / "c/none").unlink()
    (root / "c/none at all").unlink()
    os.mkfifo(root / "c/pipe")
    tree = check(root, tree, {"c/none", "c/none at all", "c/pipe"})
    (root / "c/pipe").unlink()
    check(root, tree, {"c/pipe"})


def test_patterns_hold_here_too(tmp_path: Path) -> None:
    root = make(tmp_path / "t", TREE)
    selection = Selection(exclude=("*.txt",))
    (root / "c/out").symlink_to("/etc")
    tree = look(root, selection)
    (root / "d/e/f/data").rename(root / "d/e/f/data.txt")
    tree = check(root, tree, {"d/e/f/data", "d/e/f/data.txt"}, selection)
    (root / "d/e/f/more").touch()
    check(root, tree, {"d/e/f/more"}, selection)


def test_looks_only_where_something_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make(tmp_path / "t", TREE)
    tree = look(root)
    (root / "d/e/f/data").write_bytes(b"more than before")
    (root / "c/new").touch()
    listed: list[str] = []
    real = os.scandir

    def note(path: str) -> object:
        listed.append(path)
        return real(path)

    monkeypatch.setattr(os, "scandir", note)
    assert look_again(tree, {"d/e/f/data", "c/new"}, looking_for()) is not None
    assert listed == [f"{root}/c"]


def test_leaves_to_a_whole_look_what_it_cannot_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make(tmp_path / "t", TREE)
    follows = Selection(follow_links=True)
    assert look_again(look(root, follows), {"b.txt"}, looking_for(follows)) is None
    tree = look(root)
    tree.left_out.count = 1
    assert look_again(tree, {"b.txt"}, looking_for()) is None
    tree.left_out.count = 0
    monkeypatch.setattr(tree_update, "MOST_DIRECTORIES", 1)
    for path in ("a/x", "c/x"):
        (root / path).touch()
    assert look_again(tree, {"a/x"}, looking_for()) is not None
    assert look_again(tree, {"a/x", "c/x"}, looking_for()) is None


def test_stops_when_told_to(tmp_path: Path) -> None:
    root = make(tmp_path / "t", TREE)
    (root / "a/x/y").mkdir(parents=True)
    with pytest.raises(GoneError):
        look_again(look(root), {"a/new", "a"}, Looking(EVERYTHING, lambda: True, Unreadable()))


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    root = make(tmp_path / "t", TREE)
    tree, unreadable = look(root), Unreadable()
    unreadable.note(str(root / "b.txt"), OSError(5, "Input/output error"))
    again = look_again(tree, {"b.txt"}, Looking(EVERYTHING, lambda: False, unreadable))
    assert again is not None
    assert "b.txt" not in again.file_paths()
    assert again.left_out.named == [("b.txt", "it cannot be read: Input/output error")]


PARTS = st.sampled_from("abc")
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
ACTS = st.tuples(st.sampled_from(["write", "mkdir", "remove", "move", "link"]), PATHS, PATHS)


def act(root: Path, what: str, path: str, other: str) -> set[str]:
    """Do something in a tree, as far as it can be done; return where inotify would report it."""
    place, changed = root / path, {path}
    if any(at.is_symlink() for one in (place, root / other) for at in (one, *one.parents)):
        return set()  # What is done through a link is done elsewhere.
    with contextlib.suppress(OSError, shutil.Error):
        match what:
            case "write":
                place.write_bytes(os.urandom(3))
            case "mkdir":
                place.mkdir()
            case "link":
                place.symlink_to("../" * path.count("/") + other)
            case "move":
                place.rename(root / other)
                changed.add(other)
            case "remove" if place.is_dir() and not place.is_symlink():
                changed |= {str(one.relative_to(root)) for one in place.rglob("*")}
                shutil.rmtree(place)
            case _:
                place.unlink()
    return changed


@given(st.lists(ACTS, max_size=12), st.lists(st.lists(ACTS, max_size=4), max_size=4))
@settings(max_examples=150, deadline=None)
def test_whatever_happens_it_is_what_a_whole_look_finds(
    before: list[tuple[str, str, str]], then: list[list[tuple[str, str, str]]]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for one in before:
            act(root, *one)
        tree = look(root)
        for acts in then:
            changed = set().union(*(act(root, *one) for one in acts))
            tree = check(root, tree, changed)
