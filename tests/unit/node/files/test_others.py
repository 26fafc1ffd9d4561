"""What lies in a directory beside what should."""

import os
from pathlib import Path

from shoal.node.files.others import others

from tests.unit.node.sample_trees import FOLDER, Items, file, link, make, run

ITEMS: Items = {
    "a": file(b"1"),
    "b/c": run(b"2"),
    "b/d/e": file(),
    "b/empty": FOLDER,
    "l": link("b"),
    "ü/x": file(b"3"),
}


def found(root: Path, *known: str) -> list[str]:
    return sorted(
        path.decode() for path in others(os.fsencode(root), {one.encode() for one in known})
    )


def test_all_but_the_known_is_found(tmp_path: Path) -> None:
    root = make(tmp_path / "tree", ITEMS)
    os.mkfifo(root / "b" / "pipe")
    assert found(root) == ["a", "b/c", "b/d/e", "b/empty", "b/pipe", "l", "ü/x"]
    assert found(root, "a", "b/d/e", "l") == ["b/c", "b/empty", "b/pipe", "ü/x"]
    assert found(root, *found(root)) == []


def test_of_directories_only_empty_ones_are_something(tmp_path: Path) -> None:
    root = make(tmp_path / "tree", {"a/b/c": FOLDER})
    assert found(root) == ["a/b/c"]
    assert found(root, "a/b/c") == found(tmp_path / "tree/a/b/c") == []


def test_where_nothing_is_there_is_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert found(tmp_path / "nowhere") == found(tmp_path / "file") == []
