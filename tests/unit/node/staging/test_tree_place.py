"""Where a tree lies while it is fetched: nothing that was put there leads elsewhere, or stays."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from shoal.node.staging.tree_place import TreePlace
from shoal.node.trees.plan import TreePlan
from shoal.node.trees.selection import EVERYTHING, Selection
from shoal.protocol import listing

from tests.unit.node.sample_trees import FOLDER, TREE, Items, Model, file, link, make, run, seen

MANIFEST = b"the manifest"
MODEL = Model(TREE)
VICTIM: Items = {"a": file(b"mine"), "d/e": file(b"mine too")}


def plan(selection: Selection = EVERYTHING) -> TreePlan:
    return TreePlan(MODEL.manifest, listing.decode(MODEL.listing), selection)


def opened(path: Path) -> TreePlace:
    place = TreePlace(path / "place")
    place.open(MANIFEST)
    return place


def laid_out(path: Path, selection: Selection = EVERYTHING) -> bool:
    return opened(path).lay_out(plan(selection))


def test_makes_room_and_notes_what_it_is_for(tmp_path: Path) -> None:
    place = opened(tmp_path / "above" / "it")
    assert list(place.path.iterdir()) == [place.path / "manifest"]
    assert (place.path / "manifest").read_bytes() == MANIFEST


def test_makes_the_directories_of_the_files_that_are_wanted(tmp_path: Path) -> None:
    place = opened(tmp_path)
    assert place.lay_out(plan(Selection(exclude=("c",))))
    assert seen(place.tree) == {"a": FOLDER, "d/e/f": FOLDER}
    place.make_directory(b"x/y/z")
    place.make_directory(b"x/y")
    assert place.file(b"x/y") == os.fsencode(place.tree / "x/y")
    assert (place.tree / "x/y/z").is_dir()


def test_a_tree_is_new_once(tmp_path: Path) -> None:
    assert laid_out(tmp_path)
    assert not laid_out(tmp_path)


def test_the_listing_is_as_long_as_was_said(tmp_path: Path) -> None:
    place = opened(tmp_path)
    (place.path / "listing").write_bytes(b"0123456789, and more")
    assert place.read_listing(10) == b"0123456789"
    opened(tmp_path)
    assert place.read_listing(99) == b"0123456789, and more"


def test_what_an_earlier_try_wrote_stays(tmp_path: Path) -> None:
    laid_out(tmp_path)
    kept = {path: item for path, item in TREE.items() if item[0] in "fx"}
    make(tmp_path / "place/tree", kept)
    os.truncate(tmp_path / "place/tree/b.txt", 10)
    laid_out(tmp_path)
    assert seen(tmp_path / "place/tree") == kept | {"b.txt": file(TREE["b.txt"][1][:10])}


def test_what_is_not_wanted_now_goes(tmp_path: Path) -> None:
    """The bytes of a file that only another try wanted may be half there."""
    laid_out(tmp_path)
    make(tmp_path / "place/tree", {"b.txt": file(b"half"), "d/e/f/data": file(b"half")})
    laid_out(tmp_path, Selection(include=("d",)))
    assert seen(tmp_path / "place/tree") == {"d/e/f/data": file(b"half")}


def replace(path: Path, make_one: Callable[[Path], object]) -> None:
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
    make_one(path)


FOREIGN: dict[str, Callable[[Path], object]] = {
    "a file that is not in the tree": lambda tree: (tree / "b.txt~").write_bytes(b"x"),
    "a directory that is not in it": lambda tree: (tree / "x/y").mkdir(parents=True),
    "a file for an empty directory": lambda tree: replace(tree / "a/empty", Path.touch),
    "a file for a directory": lambda tree: replace(tree / "c", Path.touch),
    "a directory for a file": lambda tree: (tree / "b.txt/x").mkdir(parents=True),
    "a file that is too long": lambda tree: (tree / "b.txt").write_bytes(bytes(101)),
    "a FIFO for a file": lambda tree: os.mkfifo(tree / "b.txt"),
    "a link for a file": lambda tree: (tree / "b.txt").symlink_to("../../victim/a"),
    "a link for a directory": lambda tree: replace(
        tree / "c", lambda at: at.symlink_to("../../victim")
    ),
    "a link that is in the tree": lambda tree: (tree / "a/up").symlink_to("../b.txt"),
    "a second name of another file": lambda tree: (tree / "b.txt").hardlink_to(
        tree.parent.parent / "victim/a"
    ),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_what_somebody_else_put_there_goes(tmp_path: Path, what: str) -> None:  # fault 83
    make(tmp_path / "victim", VICTIM)
    laid_out(tmp_path)
    before = seen(tmp_path / "place/tree")
    FOREIGN[what](tmp_path / "place/tree")
    assert seen(tmp_path / "place/tree") != before
    assert not laid_out(tmp_path)
    assert seen(tmp_path / "place/tree") == before
    assert seen(tmp_path / "victim") == VICTIM


@pytest.mark.parametrize("name", [".", "tree", "listing", "rest", "manifest"])
@pytest.mark.parametrize("target", ["../victim", "../victim/a", "victim", "nowhere", "fifo"])
def test_nothing_is_written_to_where_a_link_leads(tmp_path: Path, name: str, target: str) -> None:
    make(tmp_path / "victim", VICTIM)
    path = tmp_path / "place" / name
    path.parent.mkdir(exist_ok=True)
    if target == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(target)
    place = opened(tmp_path)
    assert place.lay_out(plan())
    for one in (place.listing, place.rest):
        Path(os.fsdecode(one)).write_bytes(b"theirs")
    assert seen(tmp_path / "victim") == VICTIM
    assert not (tmp_path / "place").is_symlink()
    assert seen(place.tree) == {"a": FOLDER, "c": FOLDER, "d/e/f": FOLDER}
    assert (place.path / "manifest").read_bytes() == MANIFEST


def test_a_manifest_of_another_length_is_overwritten(tmp_path: Path) -> None:  # fault 101
    make(tmp_path / "place", {"manifest": file(b"x" * 1000), "listing": run(b"kept")})
    place = opened(tmp_path)
    assert (place.path / "manifest").read_bytes() == MANIFEST
    assert place.read_listing(4) == b"kept"


def test_a_directory_in_the_way_of_a_file_goes(tmp_path: Path) -> None:
    make(tmp_path / "place", {f"{name}/x": link("y") for name in ("manifest", "listing", "rest")})
    assert sorted(os.listdir(opened(tmp_path).path)) == ["manifest"]  # noqa: PTH208
