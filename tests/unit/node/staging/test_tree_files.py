"""Parts of files, written and read where they belong."""

import os
from pathlib import Path

import pytest
from shoal.node.staging.appearing import Appearing
from shoal.node.staging.tree_files import TreeFiles
from shoal.node.staging.tree_place import TreePlace
from shoal.node.trees.plan import TreePlan
from shoal.node.trees.selection import EVERYTHING, Selection
from shoal.protocol.listing import decode
from shoal.protocol.manifest import encode

from tests.unit.node.sample_trees import TREE, Model, files_in_order, make, run, seen

MODEL = Model(TREE, 50)
FILES = range(MODEL.manifest.listing_chunks, MODEL.manifest.chunk_count)
NAMES = files_in_order(TREE)


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
    place, appearing = TreePlace(tmp_path / "aside"), Appearing(tmp_path, "t")
    place.open(encode(model.manifest))
    files = TreeFiles(place, plan, appearing, is_new=place.lay_out(plan))
    appearing.begin(plan.chosen_files(), plan.listing, plan.mode)
    monkeypatch.setattr(os, "fsync", synced.append)
    files.write(1, memoryview(model.chunks[1]))
    assert seen(tmp_path / "t") == items
    assert len(synced) == pauses
