"""The files of a tree while they come: parts of them, and that nothing leads elsewhere."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from shoal.node.staging.tree_files import TreeFiles, TreePlace
from shoal.node.staging.tree_in_place import TreeInPlace
from shoal.node.trees.plan import TreePlan
from shoal.node.trees.selection import EVERYTHING, Selection
from shoal.protocol import listing
from shoal.protocol.errors import DiskError
from shoal.protocol.listing import decode
from shoal.protocol.manifest import encode

from tests.unit.node.disks import ignore_case
from tests.unit.node.sample_trees import (
    FOLDER,
    TREE,
    Item,
    Items,
    Model,
    file,
    files_in_order,
    link,
    make,
    run,
    seen,
)

MODEL = Model(TREE, 50)
FILES = range(MODEL.manifest.listing_chunks, MODEL.manifest.chunk_count)
NAMES = files_in_order(TREE)
PLACED = Model(TREE)
VICTIM: Items = {"a": file(b"mine"), "d/e": file(b"mine too")}


def laid_out(folder: Path, selection: Selection = EVERYTHING) -> TreeFiles:
    place = TreePlace(folder)
    plan = TreePlan(MODEL.manifest, decode(MODEL.listing), selection)
    place.open(encode(MODEL.manifest))
    return TreeFiles(place, plan, None, is_new=place.lay_out(plan))


def write(files: TreeFiles, index: int) -> None:
    files.write(index, memoryview(MODEL.chunks[index]))


def noted(files: TreeFiles) -> set[str]:
    return {name for number, name in enumerate(NAMES) if files.states.is_noted(number)}


def test_all_chunks_make_the_tree(tmp_path: Path) -> None:
    files = laid_out(tmp_path)
    for index in reversed(FILES):
        write(files, index)
        assert files.read(index) == MODEL.chunks[index]
    files.complete()
    assert seen(tmp_path / "tree") == TREE


def test_what_came_in_one_piece_is_known_without_another_look(tmp_path: Path) -> None:
    files = laid_out(tmp_path)
    for index in FILES:
        write(files, index)
    assert noted(files) == {"a/run.sh", "ü 🐟"}  # The others are longer than a chunk, or empty.
    status = (tmp_path / "tree/a/run.sh").lstat()
    assert files.states.fits(NAMES.index("a/run.sh"))(status)


def test_what_is_written_again_is_looked_at_again(tmp_path: Path) -> None:
    files = laid_out(tmp_path)
    write(files, FILES[0])
    assert noted(files) == {"a/run.sh"}
    write(files, FILES[0])
    assert noted(files) == set()
    assert files.read(FILES[0]) == MODEL.chunks[FILES[0]]


def test_what_an_earlier_try_made_gets_its_mode(tmp_path: Path) -> None:
    make(tmp_path / "tree", {path: item for path, item in TREE.items() if item[0] in "fx"})
    for path in NAMES:
        (tmp_path / "tree" / path).chmod(0o600)
    files = laid_out(tmp_path)
    assert [files.read(index) for index in FILES] == MODEL.chunks[FILES[0] :]
    files.complete()
    assert seen(tmp_path / "tree") == TREE


def test_what_nobody_asked_for_lies_aside(tmp_path: Path) -> None:
    files = laid_out(tmp_path, Selection(("/b.txt",)))
    for index in FILES:
        write(files, index)
        assert files.read(index) == MODEL.chunks[index]
    files.complete()
    assert seen(tmp_path / "tree") == {"b.txt": TREE["b.txt"]}


@pytest.mark.parametrize(("count", "pauses"), [(2, 2), (40, 0)])
def test_many_files_are_made_durable_at_once(
    tmp_path: Path, count: int, pauses: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = {f"{number:02}": run(b"%02d" % number) for number in range(count)}
    model = Model(items, 5000)
    synced: list[int] = []
    plan = TreePlan(model.manifest, decode(model.listing), EVERYTHING)
    place, appearing = TreePlace(tmp_path / "aside"), TreeInPlace(tmp_path, "t")
    place.open(encode(model.manifest))
    files = TreeFiles(place, plan, appearing, is_new=place.lay_out(plan))
    appearing.begin(plan.chosen_files(), plan.listing, plan.mode)
    monkeypatch.setattr(os, "fsync", synced.append)
    files.write(1, memoryview(model.chunks[1]))
    assert seen(tmp_path / "t") == items
    assert len(synced) == pauses


# Where they are.


def plan(selection: Selection = EVERYTHING) -> TreePlan:
    return TreePlan(PLACED.manifest, listing.decode(PLACED.listing), selection)


def opened(path: Path) -> TreePlace:
    place = TreePlace(path / "place")
    place.open(b"the manifest")
    return place


def place_laid_out(path: Path, selection: Selection = EVERYTHING) -> bool:
    return opened(path).lay_out(plan(selection))


def test_makes_room_and_notes_what_it_is_for(tmp_path: Path) -> None:
    place = opened(tmp_path / "above" / "it")
    assert list(place.path.iterdir()) == [place.path / "manifest"]
    assert (place.path / "manifest").read_bytes() == b"the manifest"


def test_makes_the_directories_of_the_files_that_are_wanted(tmp_path: Path) -> None:
    place = opened(tmp_path)
    assert place.lay_out(plan(Selection(exclude=("c",))))
    assert seen(place.tree) == {"a": FOLDER, "d/e/f": FOLDER}
    place.make_directory(b"x/y/z")
    place.make_directory(b"x/y")
    assert place.file(b"x/y") == os.fsencode(place.tree / "x/y")
    assert (place.tree / "x/y/z").is_dir()


def test_a_tree_is_new_once(tmp_path: Path) -> None:
    assert place_laid_out(tmp_path)
    assert not place_laid_out(tmp_path)


def test_the_listing_is_as_long_as_was_said(tmp_path: Path) -> None:
    place = opened(tmp_path)
    (place.path / "listing").write_bytes(b"0123456789, and more")
    assert place.read_listing(10) == b"0123456789"
    opened(tmp_path)
    assert place.read_listing(99) == b"0123456789, and more"


def test_what_an_earlier_try_wrote_stays(tmp_path: Path) -> None:
    place_laid_out(tmp_path)
    kept = {path: item for path, item in TREE.items() if item[0] in "fx"}
    make(tmp_path / "place/tree", kept)
    os.truncate(tmp_path / "place/tree/b.txt", 10)
    place_laid_out(tmp_path)
    assert seen(tmp_path / "place/tree") == kept | {"b.txt": file(TREE["b.txt"][1][:10])}


def test_what_is_not_wanted_now_goes(tmp_path: Path) -> None:
    """The bytes of a file that only another try wanted may be half there."""
    place_laid_out(tmp_path)
    make(tmp_path / "place/tree", {"b.txt": file(b"half"), "d/e/f/data": file(b"half")})
    place_laid_out(tmp_path, Selection(include=("d",)))
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
def test_what_somebody_else_put_there_goes(tmp_path: Path, what: str) -> None:
    make(tmp_path / "victim", VICTIM)
    place_laid_out(tmp_path)
    before = seen(tmp_path / "place/tree")
    FOREIGN[what](tmp_path / "place/tree")
    assert seen(tmp_path / "place/tree") != before
    assert not place_laid_out(tmp_path)
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
    assert (place.path / "manifest").read_bytes() == b"the manifest"


def test_a_manifest_of_another_length_is_overwritten(tmp_path: Path) -> None:
    make(tmp_path / "place", {"manifest": file(b"x" * 1000), "listing": run(b"kept")})
    place = opened(tmp_path)
    assert (place.path / "manifest").read_bytes() == b"the manifest"
    assert place.read_listing(4) == b"kept"


def test_a_directory_in_the_way_of_a_file_goes(tmp_path: Path) -> None:
    make(tmp_path / "place", {f"{name}/x": link("y") for name in ("manifest", "listing", "rest")})
    assert sorted(os.listdir(opened(tmp_path).path)) == ["manifest"]  # noqa: PTH208


@pytest.mark.parametrize("kind", [file(b"other"), link("d"), FOLDER])
def test_no_path_takes_the_place_of_another_on_a_disk_that_ignores_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Item
) -> None:
    """Fault 81. One of the two would be lost, and the tree would be called complete."""
    model = Model({"d/Makefile": file(b"one"), "d/makefile": kind})

    def lay_out(name: str, selection: Selection = EVERYTHING) -> None:
        place = TreePlace(tmp_path / name)
        place.open(encode(model.manifest))
        place.lay_out(TreePlan(model.manifest, decode(model.listing), selection))

    lay_out("case counts")
    ignore_case(monkeypatch)
    with pytest.raises(DiskError, match="d/Makefile and d/makefile could be one file on this disk"):
        lay_out("case is ignored")
    assert not (tmp_path / "case is ignored" / "tree").exists()
    lay_out("one of them", Selection(exclude=("Makefile",)))
