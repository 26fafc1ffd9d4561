"""A tree that was fetched gets its name, in the folder or elsewhere; and disks that are full."""

import errno
import os
import resource
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from shoal.node.files.placing import InTheWayError
from shoal.node.staging.spare import ANYTHING
from shoal.node.staging.staged_tree import StagedTree
from shoal.node.staging.tree_in_place import TreeInPlace
from shoal.node.trees.selection import Selection
from shoal.protocol import bitmap, listing, manifest
from shoal.protocol.errors import DiskError, OperatorError
from shoal.protocol.listing import Entry

from tests.unit.node.disks import refuse_to_sync
from tests.unit.node.sample_trees import (
    FOLDER,
    TREE,
    Item,
    Items,
    Model,
    file,
    link,
    make,
    open_descriptors,
    seen,
)
from tests.unit.node.staging.test_staged_tree import (
    COUNT,
    FILES,
    LISTING,
    MODEL,
    begun,
    completed,
    fill,
    tree_of,
)

OLD: Items = {"old": file(b"old"), "b.txt": file(b"older"), "c/d": FOLDER}
ROOT = Path(__file__).parents[4]


def filled(folder: Path, selection: Selection | None = None) -> StagedTree:
    staging, have = begun(folder, selection=selection or Selection())
    return fill(staging, set(bitmap.indices(staging.needed)) - have)


@pytest.mark.parametrize("name", ["t", "a/b/ü"])
@pytest.mark.parametrize("before", ["nothing", "directory", "file"])
def test_takes_the_place_of_what_stood_there(tmp_path: Path, name: str, before: str) -> None:
    if before != "nothing":
        make(tmp_path, {f"{name}/{path}": item for path, item in OLD.items()})
    if before == "file":
        make(tmp_path, {"a/b/x": file()})
        subprocess.run(["rm", "-rf", tmp_path / name], check=True)
        (tmp_path / name).write_bytes(b"old")
    staging, descriptors = filled(tmp_path), open_descriptors()
    assert not (tmp_path / name / "d").exists()
    if before != "nothing":
        old = (tmp_path / name).stat().st_ino
        with pytest.raises(InTheWayError):
            staging.publish(tmp_path, name)
        assert (tmp_path / name).stat().st_ino == old
    tree = staging.publish(tmp_path, name, lambda _: True)
    assert seen(tmp_path / name) == TREE
    assert tree.root == tmp_path / name
    assert tree.read(0, tree.size_bytes) == MODEL.bytes
    assert list((tmp_path / ".shoal/partial").iterdir()) == []
    assert open_descriptors() == descriptors


@pytest.mark.parametrize("in_the_way", [link("elsewhere"), link("nowhere")])
def test_something_in_the_way_costs_nothing_of_what_was_fetched(
    tmp_path: Path, in_the_way: Item
) -> None:
    make(tmp_path, {"elsewhere/x": file(), "t": in_the_way})
    with pytest.raises(OperatorError, match="neither a file nor a directory") as refused:
        filled(tmp_path).publish(tmp_path, "t")
    assert isinstance(refused.value, DiskError)
    assert seen(tmp_path / "elsewhere") == {"x": file()}
    (tmp_path / "t").unlink()
    assert begun(tmp_path)[1] == set(range(COUNT))
    assert seen(completed(tmp_path)) == TREE


@pytest.mark.parametrize("disk", ["this", "another"])
@pytest.mark.parametrize("inside", ["", "d/e", "a", "b.txt", "a/empty", "c/none at all"])
def test_goes_to_any_place(tmp_path: Path, other_disk: Path, disk: str, inside: str) -> None:
    target = (tmp_path if disk == "this" else other_disk) / "out"
    filled(tmp_path, Selection(inside=inside)).publish_at(target, inside)
    expected = {
        path.removeprefix(inside).lstrip("/"): item
        for path, item in TREE.items()
        if not inside or path == inside or path.startswith(f"{inside}/")
    }
    if inside in TREE:
        assert seen(target.parent)["out"] == TREE[inside]
    else:
        assert seen(target) == expected
    assert list((tmp_path / ".shoal/partial").iterdir()) == []


def test_goes_to_no_place_where_something_is(tmp_path: Path) -> None:
    make(tmp_path, {"directory": FOLDER, "file": file(b"mine"), "fifo": link("/dev/null")})
    for name in ("directory", "file", "fifo"):
        with pytest.raises(OperatorError, match="already exists"):
            filled(tmp_path).publish_at(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        filled(tmp_path).publish_at(tmp_path / "nowhere/t")
    with pytest.raises(FileNotFoundError):
        filled(tmp_path).publish_at(tmp_path / "x", "not/in it")
    assert begun(tmp_path)[1] == set(range(COUNT))
    assert (tmp_path / "file").read_bytes() == b"mine"
    part = filled(tmp_path, Selection(inside="b.txt"))
    part.publish_at(tmp_path / "file", "b.txt", may_replace=True)
    assert (tmp_path / "file").read_bytes() == TREE["b.txt"][1]


def test_a_file_that_vanishes_is_not_replaced_by_an_empty_one(tmp_path: Path) -> None:
    filled(tmp_path)
    staging, _ = begun(tmp_path)
    (tree_of(tmp_path) / "b.txt").unlink()
    with pytest.raises(FileNotFoundError):
        staging.publish(tmp_path, "t")
    assert not (tmp_path / "t").exists()
    assert seen(completed(tmp_path)) == TREE


def test_nothing_is_read_after_the_end(tmp_path: Path) -> None:
    staging = filled(tmp_path)
    assert staging.read(FILES[0]) == MODEL.chunks[FILES[0]]
    staging.close()
    for index in (0, FILES[0]):
        with pytest.raises(OSError, match="descriptor"):
            staging.read(index)


def test_what_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    staging, _ = begun(tmp_path)
    with pytest.raises(FileNotFoundError):
        staging.read(FILES[-1])


def test_many_may_write_and_read_at_once(tmp_path: Path) -> None:
    items = {f"{number % 10}/{number}": file(b"%05d" % number * 9) for number in range(200)}
    model = Model(items, 100)
    staging, _ = begun(tmp_path, model)
    wrong: list[int] = []

    def work(first: int) -> None:
        for index in range(first, model.manifest.chunk_count, 4):
            staging.write(index, model.chunks[index])
            if staging.read(index) != model.chunks[index]:
                wrong.append(index)

    first = model.manifest.listing_chunks
    threads = [threading.Thread(target=work, args=(first + more,)) for more in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    staging.publish(tmp_path, "t")
    assert (seen(tmp_path / "t"), wrong) == (items, [])


@pytest.mark.parametrize("depth", [100, 500])
def test_nothing_is_too_deep(deep_path: Path, depth: int) -> None:
    deep = "/".join(["d"] * depth)
    model = Model({f"{deep}/x": file(b"deep"), f"{deep}/e": FOLDER, f"{deep}/l": link("x")}, 999)
    for _ in range(2):  # The second replaces the first.
        staging, have = begun(deep_path, model)
        fill(staging, set(range(model.manifest.chunk_count)) - have, model)
        assert begun(deep_path, model)[1] == set(range(model.manifest.chunk_count))
        begun(deep_path, model)[0].publish(deep_path, "t", lambda _: True)
    assert seen(deep_path / "t") == model.items
    assert list((deep_path / ".shoal/partial").iterdir()) == []


# Disks that are full.


def test_what_is_not_durable_gets_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "t", OLD)
    staging = filled(tmp_path)
    refuse_to_sync(monkeypatch)
    with pytest.raises(OSError, match="Input/output"):
        staging.publish(tmp_path, "t")
    with pytest.raises(OSError, match="Input/output"):
        staging.publish_at(tmp_path / "out")
    assert seen(tmp_path / "t") == OLD
    assert not (tmp_path / "out").exists()
    assert begun(tmp_path)[1] == set(range(COUNT))


def test_refuses_at_once_what_the_disk_has_no_room_for(tmp_path: Path) -> None:
    chunks = [32 << 20] * 32_000
    entries = listing.encode([Entry("huge", listing.FILE, sum(chunks))])
    thing = manifest.of_tree(len(entries), [len(entries), *chunks], bytes(32 * 32_001))
    staging = StagedTree(tmp_path, manifest.id_of(manifest.encode(thing)), thing)
    staging.open()
    staging.write(0, entries)
    with pytest.raises(OSError, match="space") as full:
        staging.lay_out()
    assert full.value.errno == errno.ENOSPC


def test_needs_room_for_what_is_missing_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else nothing could go on where it needs more than half of the disk."""

    class Usage:
        free = len(MODEL.bytes) - len(MODEL.listing) - 2 * 16

    fill(begun(tmp_path)[0], FILES[:2])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage)
    assert begun(tmp_path)[1] == {*range(LISTING), *FILES[:2]}
    Usage.free -= 1
    with pytest.raises(OSError, match="space"):
        begun(tmp_path)
    assert begun(tmp_path, selection=Selection(include=("a",)))[1] >= {*range(LISTING)}


def test_a_write_that_fails_is_reported(tmp_path: Path) -> None:
    model = Model({"a": file(b"a" * 5000), "b": file(b"b" * 100)}, 1000)
    staging, have = begun(tmp_path, model)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2500, limits[1]))
        for index in sorted(set(range(model.manifest.chunk_count)) - have):
            if index - model.manifest.listing_chunks in {0, 1, 5}:
                staging.write(index, model.chunks[index])
                continue
            with pytest.raises(OSError, match="large"):
                staging.write(index, model.chunks[index])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    first = model.manifest.listing_chunks
    assert begun(tmp_path, model)[1] == have | {first, first + 1, first + 5}
    assert seen(completed(tmp_path, model)) == model.items


def test_a_disk_that_is_full_is_reported_and_what_was_written_is_kept(tmp_path: Path) -> None:
    """Fault 91, on a file system of 120 KiB in a mount namespace of its own."""
    script = """
import subprocess, sys
from pathlib import Path
from tests.unit.node.staging.test_tree_publishing import *
place = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=120k,mode=700", "none", place], check=True)
model = Model({"d/a": file(b"a" * 30000), "d/b": file(b"b" * 30000)}, 4096)
staging, have = begun(place, model)
*most, last = sorted(set(range(model.manifest.chunk_count)) - have)
fill(staging, most, model)
staging, have = begun(place, model)  # There is not room for all of it again.
try:
    (place / "other").write_bytes(bytes(120_000))
except OSError as error:
    print(error.errno)
try:
    staging.write(last, model.chunks[last])
    print("written")
except OSError as error:
    print(error.errno)
(place / "other").unlink()
print(sorted(have) == [*range(model.manifest.listing_chunks), *most])
print(seen(completed(place, model)) == model.items)
"""
    command = ["unshare", "-m", sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(
        command, cwd=ROOT, check=False, timeout=30, capture_output=True, text=True
    )
    if "ermi" in done.stderr or "denied" in done.stderr:
        pytest.skip("no file system may be mounted here")
    told = done.stdout.split()
    assert told == [str(errno.ENOSPC), str(errno.ENOSPC), "True", "True"], done.stderr


OTHER_BYTES: Items = {
    path: (kind, bytes(255 - byte for byte in data)) if kind in listing.FILES else (kind, data)
    for path, (kind, data) in TREE.items()
}


def test_what_is_served_while_a_tree_takes_the_place_of_another_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one was where the tree had been, and was sent: honest holders were banned."""
    make(tmp_path / "t", OTHER_BYTES)
    staging, sync = filled(tmp_path), os.fsync
    served: list[list[bytes]] = []

    def read_and_sync(descriptor: int) -> None:
        if seen(tmp_path / "t") == TREE:
            served.append([staging.read(index) for index in range(COUNT)])
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", read_and_sync)
    staging.publish(tmp_path, "t", lambda _: True)
    assert served == [MODEL.chunks]


def test_what_is_served_while_a_file_appears_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "t", OTHER_BYTES)
    staging, _ = begun(tmp_path, in_place=TreeInPlace(tmp_path, "t", ANYTHING))
    first, last = MODEL.chunk_of("d/e/f/data"), MODEL.chunk_of("d/e/f/data", 69)
    fill(staging, set(FILES) - {last})
    appearing = threading.Thread(target=fill, args=(staging, [last]))
    opened = os.open

    def wait_and_open(path: bytes, flags: int, *more: Any, **named: Any) -> int:
        is_read = threading.current_thread() is not appearing and b"/f/data" in path
        if is_read and appearing.ident is None:
            appearing.start()
            appearing.join(0.5)  # It must wait until this has been read.
        return opened(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", wait_and_open)
    assert staging.read(first) == MODEL.chunks[first]
    appearing.join()
    assert seen(tmp_path / "t")["d/e/f/data"] == TREE["d/e/f/data"]


def test_nothing_is_served_of_what_goes_to_an_output(tmp_path: Path) -> None:
    """It may take the place of something else there."""
    staging = filled(tmp_path)
    staging.publish_at(tmp_path / "out")
    with pytest.raises(OSError, match="Bad file descriptor"):
        staging.read(0)
