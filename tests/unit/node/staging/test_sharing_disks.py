"""Versions on file systems that share blocks: what is the same takes no room twice."""

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from shoal.node.fetching import steps
from shoal.node.files.durable import FileSystem
from shoal.node.folder.whole import Whole
from shoal.node.staging.intake import Intake
from shoal.node.staging.spare import NOTHING, Spare
from shoal.protocol import bitmap

from tests.unit.node import things
from tests.unit.node.sample_trees import Items, file, make, run, seen, shared
from tests.unit.node.staging.taking import Taking

KIB, MIB = 1 << 10, 1 << 20
MAKE = {"xfs": ["mkfs.xfs", "-q", "-m", "reflink=1"], "btrfs": ["mkfs.btrfs", "-q"]}
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"


def call(*command: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run a program, of the administrator's too."""
    env = {**os.environ, "PATH": PATH}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True)


@pytest.fixture(scope="module", params=MAKE)
def disk(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """Give an empty file system that shares blocks, made for these tests."""
    image, place = tmp_path_factory.mktemp("disk") / "image", tmp_path_factory.mktemp("mounted")
    command = MAKE[str(request.param)]
    for program in (command[0], "filefrag"):
        if shutil.which(program, path=PATH) is None:
            pytest.skip(f"there is no {program} here")
    with image.open("wb") as one:
        one.truncate(400 * MIB)
    call(*command, image)
    try:
        call("mount", "-o", "loop", image, place)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no {request.param} can be mounted here: {error.stderr.strip()}")
    yield place
    call("umount", "-l", place)
    image.unlink()


@pytest.fixture
def folder(disk: Path) -> Iterator[Path]:
    place = disk / "n1"
    (place / ".shoal").mkdir(parents=True)
    yield place
    shutil.rmtree(place)


def shared_bytes(path: Path) -> int:
    """Return how many bytes of a file lie in blocks that another file has too."""
    told = call("filefrag", "-s", "-v", "-b1", path).stdout
    extents = re.findall(r"^ *\d+: +(\d+)\.\. *(\d+):.*\bshared\b", told, re.MULTILINE)
    return sum(int(last) + 1 - int(first) for first, last in extents)


class Fetch:
    """Takes in `whole` as `name`, what is the same from what is `older`."""

    def __init__(
        self, folder: Path, name: str, whole: Whole, *older: Whole, in_place: bool = False
    ) -> None:
        self.fetched_bytes = 0
        self._whole = whole
        replaced = next((one for one in older if one.name == name), None)
        spare = NOTHING if replaced is None else Spare.as_seen(replaced.source)
        taking = Taking(folder, in_place=in_place, spare=spare)
        for one in older:
            taking.inventory.put(one)
        intake, opening = taking.intake(), steps.OpenStaging(name, whole.id, whole.manifest)
        self._fill(intake, intake.open(opening))
        if whole.manifest.is_tree:
            self._fill(intake, intake.lay_out())
        assert isinstance(intake.publish(), steps.Published)
        intake.close()

    def _fill(self, intake: Intake, opened: steps.Event) -> None:
        assert isinstance(opened, steps.StagingOpened)
        for index in bitmap.indices(opened.needed & ~opened.have):
            assert intake.store(index, memoryview(self._whole.read(index))) is None
            self.fetched_bytes += self._whole.manifest.chunk_size(index)


def free_bytes(disk: Path) -> int:
    with contextlib.closing(FileSystem.of(disk)) as durably:
        durably.sync()
    status = os.statvfs(disk)
    return status.f_bfree * status.f_frsize


def changed(data: bytes, *places: int) -> bytes:
    """Return `data` with another byte at each of these places."""
    found = bytearray(data)
    for place in places:
        found[place] ^= 1
    return bytes(found)


OLD = os.urandom(24 * MIB + 777)


def test_a_new_version_shares_what_is_the_same(folder: Path, tmp_path: Path) -> None:
    """Each chunk of 128 KiB but the three that are new, and the block at the end."""
    new = changed(OLD, 0, 8 * MIB, 20 * MIB + 5)
    (folder / "a").write_bytes(OLD)
    (tmp_path / "a").write_bytes(new)
    before = free_bytes(folder)
    whole = things.whole(tmp_path / "a", "a")
    fetch = Fetch(folder, "b", whole, things.whole(folder / "a", "a"))
    assert fetch.fetched_bytes == 3 * 128 * KIB
    assert (folder / "b").read_bytes() == new
    assert shared_bytes(folder / "b") == 24 * MIB - fetch.fetched_bytes
    assert before - free_bytes(folder) < 4 * MIB
    with (folder / "a").open("r+b") as one:  # And yet they are two files.
        one.write(b"x" * MIB)
    assert (folder / "b").read_bytes() == new


def test_a_new_version_in_the_old_one_s_place_does(folder: Path, tmp_path: Path) -> None:
    new = changed(OLD, 5)
    (folder / "a").write_bytes(OLD)
    (tmp_path / "a").write_bytes(new)
    older, before = things.whole(folder / "a", "a"), free_bytes(folder)
    os.link(folder / "a", folder / "kept")
    Fetch(folder, "a", things.whole(tmp_path / "a", "a"), older)
    assert (folder / "a").read_bytes() == new
    assert shared_bytes(folder / "a") == 24 * MIB - 128 * KIB
    assert before - free_bytes(folder) < 4 * MIB


LARGE = os.urandom(3 * MIB)
SMALL = os.urandom(20 * KIB)
BEFORE: Items = {"d/large": file(LARGE), "odd": file(OLD[: 2 * MIB + 99]), "s": file(SMALL)}
AFTER: Items = {"moved": run(LARGE), "odd": file(OLD[: 2 * MIB] + b"new"), "s": file(SMALL)}


@pytest.mark.parametrize("how", ["at once", "in place"])
def test_large_files_of_a_tree_do(folder: Path, tmp_path: Path, how: str) -> None:
    old, new = shared(make(folder / "t", BEFORE)), shared(make(tmp_path / "t", AFTER))
    os.link(folder / "t/d/large", folder / "large")  # What is replaced is shared no longer.
    os.link(folder / "t/odd", folder / "odd")
    fetch = Fetch(folder, "t", new, old, in_place=how == "in place")
    assert seen(folder / "t") == AFTER
    assert fetch.fetched_bytes < 300 * KIB
    assert shared_bytes(folder / "t/moved") == 3 * MIB
    assert shared_bytes(folder / "t/odd") >= 2 * MIB - 256 * KIB
    assert shared_bytes(folder / "t/s") == 0  # Not worth it.


def test_what_becomes_part_of_a_tree_does(folder: Path, tmp_path: Path) -> None:
    data = OLD[: 800 * KIB]  # Both are cut into eight.
    (folder / "alone").write_bytes(data)
    tree = shared(make(tmp_path / "t", {"b": file(data)}))
    Fetch(folder, "t", tree, things.whole(folder / "alone", "alone"))
    assert (folder / "t/b").read_bytes() == data
    assert shared_bytes(folder / "t/b") == 800 * KIB


@pytest.mark.parametrize("inserted", [4096, 4099])
def test_chunks_that_the_content_cuts_do_where_blocks_fit(
    folder: Path, tmp_path: Path, inserted: int
) -> None:
    new = os.urandom(inserted) + OLD
    (folder / "a").write_bytes(OLD)
    (tmp_path / "a").write_bytes(new)
    older, whole = (
        things.whole(place / "a", "a", chunking="content") for place in (folder, tmp_path)
    )
    fetch = Fetch(folder, "b", whole, older)
    assert fetch.fetched_bytes < 8 * MIB
    assert (folder / "b").read_bytes() == new
    assert (shared_bytes(folder / "b") > 12 * MIB) == (inserted % 4096 == 0)
