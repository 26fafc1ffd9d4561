"""Directories that are made, searched and swept, however deep; no link leads out of them."""

import os
import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shoal.node.files import directories
from shoal.node.files.directories import is_directory, missing, opened, others, sweep

from tests.unit.node.sample_trees import (
    FOLDER,
    ITEMS,
    TREE,
    Items,
    file,
    link,
    make,
    open_descriptors,
    run,
)
from tests.unit.node.sample_trees import seen as found

DEPTH = 1100


@pytest.fixture
def root(deep_path: Path) -> Path:
    (deep_path / "root").mkdir()
    return deep_path / "root"


def swept(root: Path, *kept: str) -> dict[str, tuple[str, bytes]]:
    """Sweep all away but the files and links that are named; return what is there then."""
    before = open_descriptors()
    with opened(root) as directory:
        sweep(directory, lambda path, _: os.fsdecode(path) in kept)
    assert open_descriptors() == before
    return found(root)


def made(root: Path, path: str, known: set[bytes] | None = None) -> None:
    directories.make(os.fsencode(root) + b"/", path.encode(), set() if known is None else known)


def test_opens_a_directory_below_another(root: Path) -> None:
    make(root, {"a/b/c": file()})
    with opened(root) as above, opened("a", above) as one, opened(b"b", one) as two:
        assert os.stat("c", dir_fd=two).st_size == 0


@pytest.mark.parametrize("name", ["file", "link", "dangling", "nothing"])
def test_opens_nothing_else(root: Path, name: str) -> None:
    make(root, {"file": file(), "d": FOLDER, "link": link("d"), "dangling": link("x")})
    before = open_descriptors()
    with pytest.raises(OSError, match=r"[Nn]ot a directory|No such|symbolic"), opened(root / name):
        pass
    assert open_descriptors() == before


def test_knows_a_directory(root: Path) -> None:
    make(root, {"file": file(), "d/e": FOLDER, "link": link("d"), "dangling": link("x")})
    with opened(root) as above:
        names = ["d", "d/e", "file", "link", "dangling", "nothing", "file/x"]
        assert [name for name in names if is_directory(name, above)] == ["d", "d/e"]
    assert is_directory(os.fsencode(root))


def test_names_what_is_missing_from_the_outermost_on() -> None:
    assert missing(b"a/b/c", set()) == [b"a", b"a/b", b"a/b/c"]
    assert missing(b"a/b/c", {b"a"}) == [b"a/b", b"a/b/c"]
    assert missing(b"a/b/c", {b"a/b/c"}) == []
    assert missing(b"", set()) == []


def test_makes_directories_and_those_above_them(root: Path) -> None:
    known: set[bytes] = set()
    for path in ("a/b/c", "a/d", "a/b", "", "ü"):
        made(root, path, known)
    assert found(root) == dict.fromkeys(["a/b/c", "a/d", "ü"], FOLDER)
    assert known == {path.encode() for path in ("a", "a/b", "a/b/c", "a/d", "ü")}
    made(root, "a/b/c")


@pytest.mark.parametrize("in_the_way", [file(), link("elsewhere"), link("nowhere")])
def test_makes_none_where_something_else_stands(root: Path, in_the_way: tuple[str, bytes]) -> None:
    make(root, {"elsewhere": FOLDER, "a": in_the_way})
    for path in ("a", "a/b", "a/b/c"):
        with pytest.raises(OSError, match=r"[Nn]ot a directory|symbolic"):
            made(root, path)
    assert found(root / "elsewhere") == {}


def test_sweeps_all_but_what_is_kept(root: Path) -> None:
    make(root, TREE)
    kept = {"a/up", "c/none", "d/e/f/data"}
    assert swept(root, *kept) == {path: TREE[path] for path in kept}
    assert swept(root) == {}
    assert root.is_dir()


def test_empty_directories_go_too(root: Path) -> None:
    make(root, {"a/b": FOLDER, "c/d/e": FOLDER, "c/x": file()})
    assert swept(root, "c/x") == {"c/x": file()}


@given(ITEMS, st.sets(st.integers(0, 7)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_sweeps_any_tree(root: Path, items: Items, numbers: set[int]) -> None:
    make(root, items)
    kept = {
        path: item
        for number, (path, item) in enumerate(items.items())
        if number in numbers and item != FOLDER
    }
    assert swept(root, *kept) == kept
    swept(root)


def test_sweeps_whatever_it_is(root: Path) -> None:
    os.mkfifo(root / "fifo")
    (root / "to itself").symlink_to("to itself")
    os.mkdir(os.fsencode(root) + b"/\xff\xfe")  # noqa: PTH102 (a Path is text)
    with open(os.fsencode(root) + b"/\xff\xfe/\n", "wb"):  # noqa: PTH123
        pass
    make(root, {"closed/a": file()})
    (root / "closed").chmod(0)
    assert swept(root) == {}


def test_does_not_sweep_what_a_link_leads_to(root: Path) -> None:
    out = make(root.parent / "out", TREE)
    make(root, {"a": FOLDER, "a/b": link("../../out"), "c": link(str(out))})
    assert swept(root) == {}
    assert found(out) == TREE


def test_a_directory_that_is_swapped_for_a_link_is_not_swept_through(root: Path) -> None:
    """Somebody else may do so at any moment."""
    out = make(root.parent / "out", {"b": file(b"precious"), "d/e": file()})
    make(root, {"a/b": file(), "a/d/e": file(), "!": file()})

    def swap(_: bytes, __: object) -> bool:
        (root / "a").rename(root.parent / "a")
        (root / "a").symlink_to(out)
        return False

    with opened(root) as directory, pytest.raises(OSError, match=r"Not a directory|symbolic"):
        sweep(directory, swap)
    assert found(out) == {"b": file(b"precious"), "d/e": file()}
    assert not (root / "!").exists()


def test_a_directory_that_is_moved_away_meanwhile_is_not_left_for_another(root: Path) -> None:
    """The way up from it would lead to where it was moved to."""
    out = make(root.parent / "out", {"b": file(b"precious"), "d/e": file()})
    make(root, {"a/b/c/!": file()})

    def move(_: bytes, __: object) -> bool:
        (root / "a/b/c").rename(out / "c")
        return False

    before = open_descriptors()
    with opened(root) as directory, pytest.raises(OSError, match="Stale"):
        sweep(directory, move)
    assert open_descriptors() == before
    assert found(out) == {"b": file(b"precious"), "c": FOLDER, "d/e": file()}


def test_goes_on_after_what_cannot_be_removed_and_says_so(root: Path) -> None:
    make(root, {"a/x": file(), "b/x": file(), "b/y": file(), "c": file()})
    subprocess.run(["chattr", "+i", root / "b/x"], check=False, capture_output=True)
    try:
        with pytest.raises(PermissionError):
            swept(root)
        assert found(root) == {"b/x": file()}
    finally:
        done = subprocess.run(["chattr", "-i", root / "b/x"], check=False, capture_output=True)
    if done.returncode:
        pytest.skip("this file system cannot protect a file from root")


def test_nothing_is_too_deep(root: Path) -> None:
    """os.makedirs, os.walk and shutil.rmtree end in a RecursionError."""
    deep = "/".join(["d"] * DEPTH)
    made(root, deep)
    (root / deep / "x").touch()
    (root / deep / "y").touch()
    assert list(swept(root, f"{deep}/y")) == [f"{deep}/y"]
    assert swept(root) == {}


def test_many_may_make_the_same_at_once(root: Path) -> None:
    deep = "/".join(["d"] * 200)
    threads = [threading.Thread(target=made, args=(root, deep)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found(root) == {deep: FOLDER}


BESIDE: Items = {
    "a": file(b"1"),
    "b/c": run(b"2"),
    "b/d/e": file(),
    "b/empty": FOLDER,
    "l": link("b"),
    "ü/x": file(b"3"),
}


def besides(root: Path, *known: str) -> list[str]:
    return sorted(
        path.decode() for path in others(os.fsencode(root), {one.encode() for one in known})
    )


def test_all_but_the_known_is_besides(tmp_path: Path) -> None:
    root = make(tmp_path / "tree", BESIDE)
    os.mkfifo(root / "b" / "pipe")
    assert besides(root) == ["a", "b/c", "b/d/e", "b/empty", "b/pipe", "l", "ü/x"]
    assert besides(root, "a", "b/d/e", "l") == ["b/c", "b/empty", "b/pipe", "ü/x"]
    assert besides(root, *besides(root)) == []


def test_of_directories_only_empty_ones_are_something(tmp_path: Path) -> None:
    root = make(tmp_path / "tree", {"a/b/c": FOLDER})
    assert besides(root) == ["a/b/c"]
    assert besides(root, "a/b/c") == besides(tmp_path / "tree/a/b/c") == []


def test_where_nothing_is_there_is_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert besides(tmp_path / "nowhere") == besides(tmp_path / "file") == []
