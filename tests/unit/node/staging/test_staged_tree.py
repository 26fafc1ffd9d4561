"""Room for a tree: filled in any order it is the very tree, after a kill too."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Literal

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from shoal.node.files.directories import is_directory
from shoal.node.staging.reuse import chunks_of, copy_chunks
from shoal.node.staging.room import disk_trouble
from shoal.node.staging.spare import ANYTHING, NOTHING, Spare
from shoal.node.staging.staged_tree import StagedTree
from shoal.node.staging.tree_in_place import TreeInPlace
from shoal.node.trees.selection import EVERYTHING, Selection
from shoal.protocol import bitmap, manifest
from shoal.protocol.errors import DiskError, MalformedMessageError, OperatorError

from tests.unit.node.disks import SharingDisk
from tests.unit.node.sample_trees import (
    FOLDER,
    ITEMS,
    TREE,
    Items,
    Model,
    file,
    look,
    make,
    run,
    seen,
    shared,
)

MODEL = Model(TREE)
LISTING = MODEL.manifest.listing_chunks
COUNT = MODEL.manifest.chunk_count
FILES = range(LISTING, COUNT)
ROOT = Path(__file__).parents[4]


Others = Literal["go", "seen", "stay", "hinder"]  # What becomes of what is there before.


def appearing_in(folder: Path, others: Others) -> TreeInPlace:
    """Let a tree appear as `t`, in place of anything, of what is there now, or of nothing."""
    if others == "go":
        return TreeInPlace(folder, "t", ANYTHING)
    is_seen = others != "hinder" and is_directory(os.fsencode(folder / "t"))
    spare = Spare.as_seen(look(folder / "t")) if is_seen else NOTHING
    return TreeInPlace(folder, "t", spare, keeps_others=others == "stay")


def begun(
    folder: Path,
    model: Model = MODEL,
    selection: Selection = EVERYTHING,
    in_place: TreeInPlace | None = None,
) -> tuple[StagedTree, set[int]]:
    """Open a staging, whose listing comes if it is not there; say which chunks are."""
    place = folder / ".shoal/partial"
    staging = StagedTree(place, model.id, model.manifest, selection, in_place)
    have = staging.open()
    for index in bitmap.indices(staging.needed & ~have):
        staging.write(index, model.chunks[index])
    return staging, set(bitmap.indices(staging.lay_out()))


def fill(staging: StagedTree, chunks: Iterable[int], model: Model = MODEL) -> StagedTree:
    for index in chunks:
        staging.write(index, memoryview(model.chunks[index]))
    return staging


def tree_of(folder: Path, model: Model = MODEL) -> Path:
    return folder / ".shoal/partial" / model.id.removeprefix("b3:") / "tree"


def completed(folder: Path, model: Model = MODEL, selection: Selection = EVERYTHING) -> Path:
    """Go on from whatever is there to the end; nothing may be left aside."""
    staging, have = begun(folder, model, selection)
    missing = set(bitmap.indices(staging.needed)) - have
    fill(staging, missing, model).publish(folder, "t", lambda _: True)
    staging.close()
    assert list((folder / ".shoal/partial").iterdir()) == []
    return folder / "t"


def test_the_listing_comes_first(tmp_path: Path) -> None:
    staging = StagedTree(tmp_path, MODEL.id, MODEL.manifest)
    assert staging.needed == bitmap.full(LISTING)
    assert staging.open() == 0
    for index in reversed(range(LISTING)):
        staging.write(index, MODEL.chunks[index])
        assert staging.read(index) == MODEL.chunks[index]
    assert StagedTree(tmp_path, MODEL.id, MODEL.manifest).open() == bitmap.full(LISTING)
    assert staging.lay_out() == bitmap.full(LISTING)
    assert staging.needed == bitmap.full(COUNT)
    assert staging.has_any
    staging.write(0, MODEL.chunks[0])  # It is no harm to have it again.
    assert staging.read(0) == MODEL.chunks[0]
    tree = tmp_path / MODEL.id.removeprefix("b3:") / "tree"
    assert seen(tree) == dict.fromkeys(["a", "c", "d/e/f"], FOLDER)


@given(items=ITEMS, chunk_bytes=st.integers(1, 60), rng=st.randoms(use_true_random=False))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_any_tree_filled_in_any_order_is_the_very_tree(
    tmp_path: Path, items: Items, chunk_bytes: int, rng: Random
) -> None:
    shutil.rmtree(tmp_path)
    model = Model(items, chunk_bytes)
    staging, have = begun(tmp_path, model)
    chunks = [*range(model.manifest.chunk_count)]
    rng.shuffle(chunks)
    for index in chunks:
        if index not in have:
            staging.write(index, model.chunks[index])
        assert staging.read(index) == model.chunks[index]
    tree = staging.publish(tmp_path, "t")
    assert seen(tmp_path / "t") == items
    assert tree.signature == look(tmp_path / "t").signature
    assert tree.read(0, tree.size_bytes) == model.bytes


@given(items=ITEMS, kept=st.sets(st.integers(0, 99)), halves=st.sets(st.integers(0, 99)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_goes_on_from_whatever_was_there(
    tmp_path: Path, items: Items, kept: set[int], halves: set[int]
) -> None:
    """Fault 95. Of some chunks only a half was written when the power went."""
    shutil.rmtree(tmp_path)
    model = Model(items, 7)
    staging, have = begun(tmp_path, model)
    chunks = set(range(model.manifest.chunk_count)) - have
    for index in chunks & halves - kept:
        staging.write(index, model.chunks[index][: len(model.chunks[index]) // 2])
    fill(staging, chunks & kept, model)
    again, found = begun(tmp_path, model)
    assert found >= have | (chunks & kept)
    assert all(again.read(index) == model.chunks[index] for index in found)
    assert seen(completed(tmp_path, model)) == items


def test_what_an_earlier_process_left_when_it_was_killed_is_found(tmp_path: Path) -> None:
    script = """
import os, sys
from pathlib import Path
from tests.unit.node.staging.test_staged_tree import FILES, begun, fill
staging, _ = begun(Path(sys.argv[1]))
fill(staging, FILES[::2])
os.kill(os.getpid(), 9)
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, check=False, timeout=30)
    assert done.returncode == -signal.SIGKILL
    _, have = begun(tmp_path)
    assert have == {*range(LISTING), *FILES[::2]}
    assert seen(completed(tmp_path)) == TREE


def test_a_kill_while_it_is_completed_costs_nothing(tmp_path: Path) -> None:
    """First links and empty directories are there, and then the old tree in the new one's place."""
    staging, _ = begun(tmp_path)
    fill(staging, FILES)._complete()
    assert begun(tmp_path)[1] == set(range(COUNT))
    shutil.rmtree(tree_of(tmp_path))
    make(tree_of(tmp_path), {"old/file": file(b"old"), "b.txt": FOLDER})
    assert begun(tmp_path)[1] == set(range(LISTING))
    assert seen(completed(tmp_path)) == TREE


Spoil = Callable[[Path], object]


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


ALL = ("a/run.sh", "b.txt", "d/e/f/data", "ü 🐟")  # But the empty ones.
SPOILED: dict[str, tuple[Spoil, tuple[str, ...]]] = {  # And the files that must come again.
    "a bit flipped": (lambda tree: flip(tree / "b.txt", 50), ("b.txt",)),
    "one truncated": (lambda tree: os.truncate(tree / "d/e/f/data", 3), ("d/e/f/data",)),
    "one emptied": (lambda tree: os.truncate(tree / "b.txt", 0), ("b.txt",)),
    "one longer": (lambda tree: os.truncate(tree / "b.txt", 101), ("b.txt",)),
    "one deleted": (lambda tree: (tree / "a/run.sh").unlink(), ("a/run.sh",)),
    "a directory deleted": (lambda tree: shutil.rmtree(tree / "d"), ("d/e/f/data",)),
    "all deleted": (shutil.rmtree, ALL),
    "a wrong mode": (lambda tree: (tree / "a/run.sh").chmod(0o600), ()),
    "a mode that may be run": (lambda tree: (tree / "b.txt").chmod(0o777), ()),
    "an empty file that is none": (lambda tree: (tree / "c/none").write_bytes(b"x"), ()),
    "one more": (lambda tree: (tree / "c/more").write_bytes(b"x"), ()),
    "one more in a new directory": (lambda tree: make(tree / "x/y", {"z": run()}), ()),
}


@pytest.mark.parametrize("what", SPOILED)
def test_trusts_nothing_that_it_finds(tmp_path: Path, what: str) -> None:  # faults 97 and 101
    spoil, lost = SPOILED[what]
    fill(begun(tmp_path)[0], FILES)
    spoil(tree_of(tmp_path))
    missing = set(range(COUNT)) - begun(tmp_path)[1]
    sizes = {path: len(TREE[path][1]) for path in lost}
    assert missing <= {MODEL.chunk_of(path, at) for path in lost for at in range(sizes[path])}
    assert bool(missing) == bool(lost)
    assert seen(completed(tmp_path)) == TREE


@pytest.mark.parametrize("how", ["flipped", "truncated", "longer"])
def test_a_spoiled_listing_comes_again(tmp_path: Path, how: str) -> None:
    fill(begun(tmp_path)[0], FILES)
    path, all_of_it = tree_of(tmp_path).with_name("listing"), bitmap.full(LISTING)
    if how == "flipped":
        flip(path, 20)
    else:
        os.truncate(path, 17 if how == "truncated" else 1000)
    have = StagedTree(tmp_path / ".shoal/partial", MODEL.id, MODEL.manifest).open()
    assert have == {"flipped": all_of_it & ~2, "truncated": 1, "longer": all_of_it}[how]
    assert begun(tmp_path)[1] == set(range(COUNT))  # The files were there.
    assert seen(completed(tmp_path)) == TREE


def test_a_staging_whose_listing_is_none_refuses_it(tmp_path: Path) -> None:
    """Whoever made the manifest may have put any bytes there."""
    for data, size_bytes in ((b"no listing", 10), (MODEL.listing, len(MODEL.bytes) + 5)):
        sizes = [len(data), size_bytes]
        thing = manifest.of_tree(len(data), sizes, bytes(64))
        staging = StagedTree(tmp_path, manifest.id_of(manifest.encode(thing)), thing)
        staging.open()
        staging.write(0, data)
        with pytest.raises(MalformedMessageError):
            staging.lay_out()


# A part of a tree.


@pytest.mark.parametrize("refuses", [None, errno.EOPNOTSUPP, errno.EINVAL])
@pytest.mark.parametrize("others", [None, "go"])
def test_shares_the_blocks_of_large_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refuses: int | None, others: Others | None
) -> None:
    large, odd = os.urandom(600 << 10), os.urandom(300 << 10) + b"odd"
    items: Items = {**TREE, "d/large": file(large), "odd": run(odd), "small": file(large[:9999])}
    old, disk = shared(make(tmp_path / "old", items)), SharingDisk(monkeypatch)
    disk.refuses = refuses
    appearing = others and appearing_in(tmp_path, others)
    staging = StagedTree(tmp_path / "partial", old.id, old.manifest, in_place=appearing)
    have = staging.open() | copy_chunks(
        old.manifest, staging.needed, chunks_of([old]), staging.write
    )
    have |= staging.lay_out()
    missing = staging.needed & ~have
    assert (
        have | copy_chunks(old.manifest, missing, chunks_of([old]), staging.write) == staging.needed
    )
    staging.publish(tmp_path, "t")
    assert seen(tmp_path / "t") == items
    shared_bytes = sum(end - start for start, end in disk.asked)
    assert (
        shared_bytes > 800 << 10
        if refuses != errno.EOPNOTSUPP
        else len(disk.asked) <= (os.cpu_count() or 1)
    )


def with_targets(paths: set[str]) -> Items:
    """Return these items, and what the only link of TREE leads to."""
    return {path: TREE[path] for path in paths | ({"b.txt"} if "a/up" in paths else set())}


def only(paths: set[str]) -> Selection:
    return Selection(include=("nothing", *(f"/{path}" for path in sorted(paths))))


@pytest.mark.parametrize(
    "selection",
    [
        Selection(include=("a",)),
        Selection(include=("*.txt", "none")),
        Selection(exclude=("a/", "d")),
        Selection(include=("a/up",)),
        Selection(inside="d/e"),
    ],
)
def test_a_part_of_a_tree_has_what_was_selected(tmp_path: Path, selection: Selection) -> None:
    staging, have = begun(tmp_path, selection=selection)
    missing = set(bitmap.indices(staging.needed)) - have
    fill(staging, missing)
    for index in missing:
        assert staging.read(index) == MODEL.chunks[index]  # Whole, as others want it.
    assert begun(tmp_path, selection=selection)[1] == have | missing
    chosen = with_targets({path for path in TREE if selection.chooses(path)})
    tree = fill(begun(tmp_path, selection=selection)[0], ()).publish(tmp_path, "t")
    assert seen(tmp_path / "t") == chosen
    assert tree.signature == look(tmp_path / "t").signature


def test_another_part_has_nothing_of_the_first_one(tmp_path: Path) -> None:
    """Which may be half there: nothing shows under its name that is not whole."""
    staging, _ = begun(tmp_path, selection=Selection(include=("d", "a")))
    staging.write(MODEL.chunk_of("d/e/f/data", 30), MODEL.chunks[MODEL.chunk_of("d/e/f/data", 30)])
    selection = Selection(include=("b.txt",))
    assert seen(completed(tmp_path, selection=selection)) == {"b.txt": TREE["b.txt"]}


@given(first=st.sets(st.sampled_from([*TREE])), second=st.sets(st.sampled_from([*TREE])))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_one_part_after_another(tmp_path: Path, first: set[str], second: set[str]) -> None:
    shutil.rmtree(tmp_path)
    for chosen in (first, second):
        staging, have = begun(tmp_path, selection=only(chosen))
        assert staging.has_any == bool(chosen)
        fill(staging, sorted(set(bitmap.indices(staging.needed)) - have)[:-1])
    done = completed(tmp_path, selection=only(second))
    assert seen(done) == with_targets(second)
    assert seen(completed(tmp_path)) == TREE


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("after", [0, 3, 7])
def test_making_files_can_be_stopped_and_goes_on(
    tmp_path: Path, after: int, *, in_place: bool
) -> None:
    """Two million empty files take minutes."""
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls > after:
            raise OperatorError("interrupted")

    def appearing() -> TreeInPlace | None:
        return TreeInPlace(tmp_path, "t") if in_place else None

    staging, have = begun(tmp_path, in_place=appearing())
    fill(staging, set(bitmap.indices(staging.needed)) - have)
    staging._check = check
    with pytest.raises(OperatorError, match="interrupted"):
        staging.publish(tmp_path, "t")
    assert calls == after + 1
    assert in_place or not (tmp_path / "t").exists()
    again, have = begun(tmp_path, in_place=appearing())
    assert have == set(range(len(MODEL.chunks)))
    again.publish(tmp_path, "t")
    assert seen(tmp_path / "t") == TREE


def test_a_path_that_is_too_long_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tree" / "/".join(["some", *["n" * 250] * 17])
    with pytest.raises(OSError, match="too long") as caught:
        os.mkdir(os.fsencode(path))  # noqa: PTH102 (as trees are made)
    error = disk_trouble(caught.value, "t", tmp_path)
    assert f"cannot write t in {tmp_path}: the path of some/nnn" in str(error)
    assert "n… is too long for it; --exclude it" in str(error)
    assert isinstance(error, DiskError)
    assert len(str(error)) < 400
