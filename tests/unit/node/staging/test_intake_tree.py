"""Where the bytes of a tree go, and when it is shared."""

import os
from pathlib import Path
from typing import Any

import pytest
from shoal.node.fetching import steps
from shoal.node.files.signature import GoneError
from shoal.node.folder.quota import Quota
from shoal.node.folder.rules import (
    DAMAGED,
    FETCHING,
    FORGOTTEN,
    NO_RULE,
    PART,
    REPLACING,
    Rule,
)
from shoal.node.staging.partial import PartialFile
from shoal.node.staging.spare import ANYTHING, NOTHING, Spare
from shoal.node.trees.selection import Selection
from shoal.protocol import bitmap
from shoal.protocol.errors import NotFoundError, OperatorError
from shoal.protocol.manifest import encode

from tests.unit.node.disks import rot
from tests.unit.node.sample_trees import TREE, Items, Model, file, look, make, run, seen
from tests.unit.node.staging.taking import Taking

MODEL = Model(TREE)
OPENING = steps.OpenStaging("t", MODEL.id, MODEL.manifest)
A = Selection(("a/",))


class Scene(Taking):
    """A folder, and an intake of a tree into it."""

    def __init__(self, folder: Path, **to: Any) -> None:
        super().__init__(folder, **to)
        self.place = folder / "t"
        self.taken = self.intake()

    def open(self) -> steps.Event:
        return self.taken.open(OPENING)

    def remembers(self) -> bool:
        """Return whether what is in the folder now need not be hashed again."""
        return self.cache.manifest_of("t", look(self.place).signature) == encode(MODEL.manifest)

    def lay_out(self) -> steps.Event:
        opened = self.open()
        assert isinstance(opened, steps.StagingOpened)
        self.fill(opened)
        return self.taken.lay_out()

    def fill(self, opened: steps.StagingOpened) -> None:
        for index in bitmap.indices(opened.needed & ~opened.have):
            assert self.taken.store(index, memoryview(MODEL.chunks[index])) is None

    def fetch(self) -> "Scene":
        """Take in all of it that is wanted, but do not publish it."""
        laid_out = self.lay_out()
        assert isinstance(laid_out, steps.StagingOpened)
        self.fill(laid_out)
        return self

    def publish(self) -> None:
        published = self.taken.publish()
        assert isinstance(published, steps.Published)
        self.taken.close()


@pytest.mark.parametrize("in_place", [True, False])
def test_a_whole_tree_is_shared(tmp_path: Path, *, in_place: bool) -> None:
    scene = Scene(tmp_path, in_place=in_place)
    scene.fetch().publish()
    assert seen(scene.place) == TREE
    whole = scene.inventory.whole("t")
    assert whole is not None
    assert [whole.read(index) for index in range(whole.chunk_count)] == MODEL.chunks
    assert scene.remembers()
    assert scene.rules.of("t").withheld == ""


def test_part_of_a_tree_is_withheld(tmp_path: Path) -> None:
    scene = Scene(tmp_path, in_place=True, selection=A)
    scene.fetch().publish()
    assert sorted(seen(scene.place)) == ["a/empty", "a/run.sh", "a/up", "b.txt"]
    assert scene.inventory.whole("t") is None
    assert scene.cache._run("SELECT name FROM manifests", ()) is None
    assert scene.rules.of("t") == Rule(PART)


@pytest.mark.parametrize(
    ("others", "before", "meanwhile"),
    [
        ("hinder", "", FETCHING),
        ("go", "", REPLACING),
        ("hinder", PART, PART),
        ("go", FETCHING, REPLACING),
        ("stay", DAMAGED, DAMAGED),
    ],
)
def test_while_it_appears_it_is_withheld(
    tmp_path: Path, others: str, before: str, meanwhile: str
) -> None:
    spare = ANYTHING if others == "go" else NOTHING
    scene = Scene(tmp_path, in_place=True, spare=spare, heals=others == "stay")
    scene.rules.set("t", Rule(before, exclude=("x",)))
    scene.fetch()
    assert scene.rules.of("t") == Rule(meanwhile, exclude=("x",))
    scene.publish()
    assert scene.rules.of("t").withheld == (DAMAGED if others == "stay" else "")
    assert (scene.inventory.whole("t") is None) == (others == "stay")


def test_what_is_forgotten_while_it_is_healed_is_not_put_there(tmp_path: Path) -> None:
    scene = Scene(tmp_path, in_place=True, spare=ANYTHING, heals=True)
    scene.rules.set("t", Rule(DAMAGED))
    scene.fetch()
    scene.rules.set("t", Rule(FORGOTTEN))
    with pytest.raises(OperatorError, match="forgotten or shared again meanwhile"):
        scene.publish()
    assert scene.rules.of("t") == Rule(FORGOTTEN)


def test_what_was_changed_while_others_came_is_not_taken_for_right(tmp_path: Path) -> None:
    scene = Scene(tmp_path, in_place=True).fetch()
    path, content = scene.place / "b.txt", TREE["b.txt"][1]
    path.write_bytes(content[::-1])  # Of the same size.
    os.utime(path, ns=(2, path.stat().st_mtime_ns + 1))  # Not in the same tick of the clock.
    scene.publish()
    assert seen(scene.place) == {**TREE, "b.txt": file(content[::-1])}
    whole = scene.inventory.whole("t")
    assert whole is not None
    with pytest.raises(GoneError):
        whole.read(MODEL.chunk_of("b.txt"))
    assert whole.read(MODEL.chunk_of("d/e/f/data", 40)) in MODEL.chunks
    assert not scene.remembers()  # The watcher will look again.


def test_what_was_deleted_while_others_came_is_missed(tmp_path: Path) -> None:
    scene = Scene(tmp_path, in_place=True).fetch()
    (scene.place / "b.txt").unlink()
    scene.publish()
    assert scene.inventory.whole("t") is None
    assert scene.cache._run("SELECT name FROM manifests", ()) is None
    assert scene.rules.of("t") == NO_RULE  # The watcher will share it as what it is.


def test_a_listing_that_is_none_is_refused(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.open()
    for index in range(MODEL.manifest.listing_chunks):
        scene.taken.store(index, memoryview(b"x" * len(MODEL.chunks[index])))
    assert isinstance(scene.taken.lay_out(), steps.ListingRefused)
    scene.taken.close()


@pytest.mark.parametrize(
    ("selection", "words"),
    [
        (Selection(("*.none",)), "nothing in t matches; `shoal fetch t` fetches all of it"),
        (Selection(inside="a/nothing"), "no such file was found: t/a/nothing; `shoal fetch t`"),
    ],
)
def test_nothing_at_all_is_not_found(tmp_path: Path, selection: Selection, words: str) -> None:
    scene = Scene(tmp_path, selection=selection, in_place=True)
    with pytest.raises(OperatorError) as missing:
        scene.lay_out()
    scene.taken.close()
    assert isinstance(missing.value, NotFoundError)
    assert words in str(missing.value)
    assert not scene.place.exists()


def test_a_quota_counts_what_is_wanted(tmp_path: Path) -> None:
    scene = Scene(tmp_path, quota=Quota(tmp_path, "n1", 100))
    with pytest.raises(OperatorError, match="is more than the quota of n1 leaves"):
        scene.open()
    part = Scene(
        tmp_path,
        quota=Quota(tmp_path, "n1", 100),
        selection=Selection(("a/run.sh",)),
        in_place=True,
    )
    part.fetch().publish()
    (tmp_path / "filler").write_bytes(bytes(80))
    other = Selection(("d/",))
    more = Scene(tmp_path, quota=Quota(tmp_path, "n1", 100), selection=other, in_place=True)
    with pytest.raises(OperatorError, match="is more than the quota of n1 leaves"):
        more.lay_out()
    more.taken.close()
    elsewhere = Scene(tmp_path, quota=Quota(tmp_path, "n1", 1), output=tmp_path / "out")
    elsewhere.fetch().publish()
    assert seen(tmp_path / "out") == TREE
    assert elsewhere.rules.of("t") == Rule(PART)
    assert elsewhere.rules.of("out") == NO_RULE


# What is replaced in place, over an interruption.

OLD: Items = {"b.txt": file(b"old"), "a/run.sh": run(b"old one"), "gone/x": file(b"of the old")}


def interrupted(tmp_path: Path) -> Scene:
    """Begin to replace an old version in place; some has been replaced, some not."""
    spare = Spare.as_seen(look(make(tmp_path / "t", OLD)))
    scene = Scene(tmp_path, in_place=True, spare=spare)
    laid_out = scene.lay_out()
    assert isinstance(laid_out, steps.StagingOpened)
    index = MODEL.chunk_of("a/run.sh")
    assert scene.taken.store(index, memoryview(MODEL.chunks[index])) is None
    scene.taken.close()
    assert seen(scene.place)["b.txt"] == file(b"old")
    return scene


def test_what_was_looked_at_may_still_go_after_an_interruption(tmp_path: Path) -> None:
    interrupted(tmp_path)
    scene = Scene(tmp_path, in_place=True)
    scene.fetch().publish()
    assert seen(scene.place) == TREE
    assert not [*(tmp_path / ".shoal/partial").iterdir()]


@pytest.mark.parametrize("path", ["b.txt", "gone/x", "new", "gone/new", "new/directory"])
def test_but_not_what_was_edited_or_put_there_meanwhile(tmp_path: Path, path: str) -> None:
    place = interrupted(tmp_path).place / path
    if path == "new/directory":
        place.mkdir(parents=True)
    else:
        place.write_bytes(b"my only copy")
    scene = Scene(tmp_path, in_place=True)
    with pytest.raises(OperatorError, match=f"already has a different t/{path}, which may"):
        scene.fetch().publish()
    scene.taken.close()
    assert place.is_dir() or place.read_bytes() == b"my only copy"
    Scene(tmp_path, in_place=True, spare=ANYTHING).fetch().publish()
    assert seen(tmp_path / "t") == TREE


def test_nor_anything_when_it_is_not_known_any_more(tmp_path: Path) -> None:
    scene = interrupted(tmp_path)
    (replaces,) = (tmp_path / ".shoal/partial").glob("*/replaces")
    replaces.write_bytes(replaces.read_bytes()[:-1])
    scene = Scene(tmp_path, in_place=True)
    with pytest.raises(OperatorError, match="already has a different t/"):
        scene.fetch().publish()
    scene.taken.close()
    assert seen(scene.place)["b.txt"] == file(b"old")


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("umask", [0o077, 0o027, 0o000])
def test_modes_follow_the_umask_and_the_id_does_not(
    tmp_path: Path, umask: int, *, in_place: bool
) -> None:
    scene = Scene(tmp_path, in_place=in_place)
    was = os.umask(umask)
    try:
        scene.fetch().publish()
    finally:
        os.umask(was)
    most = 0o777 & ~umask
    modes = [scene.place / path for path in ("b.txt", "a/run.sh", "a")]
    assert [path.stat().st_mode & 0o777 for path in modes] == [0o644 & most, 0o755 & most, most]
    whole = scene.inventory.whole("t")
    assert whole is not None
    assert [whole.read(index) for index in range(whole.chunk_count)] == MODEL.chunks


def test_equal_chunks_and_zeros_of_a_tree(tmp_path: Path) -> None:
    items = {"x": file(bytes(range(16)) * 3), "y": file(b"y" * 16), "z/z": file(bytes(64))}
    model = Model(items)
    taking = Taking(tmp_path)
    intake = taking.intake()
    opened = intake.open(steps.OpenStaging("t", model.id, model.manifest))
    assert isinstance(opened, steps.StagingOpened)
    for index in bitmap.indices(opened.needed):
        intake.store(index, memoryview(model.chunks[index]))
    laid_out = intake.lay_out()
    assert isinstance(laid_out, steps.StagingOpened)
    x, y, z = (model.chunk_of(path) for path in ("x", "y", "z/z"))
    assert laid_out.needed & ~laid_out.have == bitmap.of([x, x + 1, x + 2, y])
    assert laid_out.have & bitmap.of(range(z, z + 4)) == bitmap.of(range(z, z + 4))
    intake.store(x + 1, memoryview(model.chunks[x]))
    intake.store(y, memoryview(model.chunks[y]))
    assert intake.publish() == steps.Published(str(tmp_path / "t"))
    intake.close()
    assert seen(tmp_path / "t") == items


@pytest.mark.parametrize("in_place", [True, False])
def test_what_rots_of_a_tree_before_it_is_whole_is_fetched_again(
    tmp_path: Path, *, in_place: bool
) -> None:
    scene = Scene(tmp_path, in_place=in_place).fetch()
    index, part = MODEL.chunk_of("b.txt"), scene.inventory.find(MODEL.id)
    assert isinstance(part, PartialFile)
    place = scene.place if in_place else next((tmp_path / ".shoal/partial").glob("*/tree"))
    rot(place / "b.txt")
    assert not part.is_right(index)
    opened = scene.taken.publish()
    assert isinstance(opened, steps.StagingOpened)
    assert index in {*bitmap.indices(opened.needed & ~opened.have)}
    scene.fill(opened)
    scene.publish()
    assert seen(scene.place) == TREE


def test_but_what_was_edited_has_not_rotted(tmp_path: Path) -> None:
    scene = Scene(tmp_path, in_place=True).fetch()
    index, part = MODEL.chunk_of("b.txt"), scene.inventory.find(MODEL.id)
    assert isinstance(part, PartialFile)
    edited = scene.place / "b.txt"
    edited.write_bytes(edited.read_bytes()[::-1])
    os.utime(edited, ns=(2, edited.stat().st_mtime_ns + 1))  # Not in the same tick of the clock.
    assert not part.is_right(index)
    opened = scene.taken.publish()
    assert isinstance(opened, steps.StagingOpened)
    with pytest.raises(OperatorError, match=r"already has a different t/b\.txt"):
        scene.fill(opened)
    scene.taken.close()
