"""A directory as one thing: what of it is shared, and what its bytes are."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shoal.node.files.signature import GoneError
from shoal.node.folder.source import Stretch
from shoal.node.folder.tree import Tree, look_through
from shoal.node.trees.selection import EVERYTHING, Selection
from shoal.protocol import manifest
from shoal.protocol.size_cutting import tree_cut

from tests.unit.node.sample_trees import (
    FOLDER,
    ITEMS,
    TREE,
    Items,
    Model,
    entries_of,
    file,
    files_in_order,
    in_order,
    link,
    look,
    make,
    open_descriptors,
    shared,
)
from tests.unit.node.users import needs_root, somebody_else


def found(root: Path, selection: Selection = EVERYTHING) -> tuple[list[str], dict[str, str]]:
    """Return the paths of what is shared, and what is said of the rest."""
    left_out: dict[str, str] = {}
    tree = look_through(root, selection, left_out.__setitem__, lambda: False)
    return [entry.path for entry in tree.entries()], left_out


def all_of(tree: Tree) -> bytes:
    return tree.read(0, tree.size_bytes)


def test_its_bytes_are_its_listing_and_then_its_files(tmp_path: Path) -> None:
    tree, model = look(make(tmp_path, TREE)), Model(TREE)
    assert all_of(tree) == model.bytes
    assert (tree.listing_bytes, tree.size_bytes) == (len(model.listing), len(model.bytes))
    assert {entry.path: entry for entry in tree.entries()} == {
        entry.path: entry for entry in entries_of(TREE)
    }
    assert (tree.file_count, tree.file_paths()) == (6, files_in_order(TREE))
    sizes = [len(TREE[path][1]) for path in files_in_order(TREE)]
    assert tree.cut() == tree_cut(len(model.listing), sizes)


def lying(stretch: Stretch) -> bytes:
    """Return the bytes of a file that are meant; the listing has none."""
    if not stretch.path:
        return b""
    path = Path(stretch.path)
    assert stretch.fits(path.stat())
    return path.read_bytes()[stretch.offset :][: stretch.size_bytes]


@given(items=ITEMS, numbers=st.tuples(st.integers(0, 999), st.integers(0, 999)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_part_of_any_tree_can_be_read(
    tmp_path: Path, items: Items, numbers: tuple[int, int]
) -> None:
    shutil.rmtree(tmp_path)
    tree, model = look(make(tmp_path, items)), Model(items)
    assert all_of(tree) == model.bytes
    start, end = sorted(number % (len(model.bytes) + 1) for number in numbers)
    assert tree.read(start, end - start) == model.bytes[start:end]
    buffer = bytearray(end - start)
    tree.read_into(start, memoryview(buffer))
    assert buffer == model.bytes[start:end]
    lies = b"".join(map(lying, tree.stretches(start, end - start)))
    assert model.bytes[start:end].endswith(lies)
    assert end - start - len(lies) == max(0, min(end, tree.listing_bytes) - start)


@pytest.mark.parametrize("items", [{}, {"a": FOLDER}, {"a": file(), "b": file()}])
def test_a_tree_may_have_no_bytes(tmp_path: Path, items: Items) -> None:
    whole = shared(make(tmp_path / "t", items))
    assert (whole.size_bytes, whole.chunk_count) == (0, 1)  # The listing's.
    assert whole.read(0) == Model(items).listing


def test_a_hashed_tree_can_be_read_chunk_by_chunk(tmp_path: Path) -> None:
    items = {**TREE, "large": file(os.urandom(1 << 20)), "z/small": file(b"z")}
    whole, model = shared(make(tmp_path / "t", items)), Model(items, chunk_bytes=1 << 20)
    assert whole.manifest.is_tree
    assert b"".join(map(whole.read, range(whole.chunk_count))) == model.bytes
    assert (whole.name, whole.signature.mode) == ("t", manifest.TREE_MODE)


def test_the_same_tree_has_the_same_id_wherever_it_lies(tmp_path: Path) -> None:
    make(tmp_path / "one", TREE)
    make(tmp_path / "two", {path: TREE[path] for path in sorted(TREE, reverse=True)})
    os.utime(tmp_path / "two/b.txt")
    assert shared(tmp_path / "one").id == shared(tmp_path / "two").id
    (tmp_path / "two/b.txt").chmod(0o755)
    assert shared(tmp_path / "one").id != shared(tmp_path / "two").id


@pytest.mark.parametrize(
    ("target", "is_shared"),
    [
        ("b", True),
        ("nowhere", True),  # It dangles, but inside.
        ("l", True),  # To itself; whoever opens it learns of the loop.
        ("../b", True),
        ("..", True),
        ("x/y", True),
        ("../../b", False),
        ("/etc/passwd", False),
        ("x/../../../b", False),
        (".", True),
        ("b/", True),
        ("./b", True),
        ("x/..", False),  # What is not there may become a link.
        ("b\nc", False),
        ("\udcff", False),
    ],
)
def test_a_link_is_shared_if_it_stays_inside(
    tmp_path: Path, target: str, *, is_shared: bool
) -> None:
    make(tmp_path, {"a/b": file()})
    (tmp_path / "a/l").symlink_to(target)
    paths, left_out = found(tmp_path)
    assert paths == ["a/b", "a/l"][: 1 + is_shared]
    reason = "it is a link that may lead out of the directory"
    assert left_out == ({} if is_shared else {"a/l": reason})


def test_links_are_not_followed(tmp_path: Path) -> None:
    make(tmp_path / "out", {"secret": file(b"s")})
    make(tmp_path / "t", {"a/b": file(), "a/round": link(".."), "c": link("a")})
    (tmp_path / "t/out").symlink_to(tmp_path / "out")
    paths, left_out = found(tmp_path / "t")
    assert paths == ["a/b", "a/round", "c"]
    assert list(left_out) == ["out"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a\nb", "its name has a control character in it"),
        ("\x1b[31m", "its name has a control character in it"),
        ("\x85", "its name has a control character in it"),
        ("back\\slash", "its name has a backslash in it"),
        ("C:", "its name begins with C:, which is a drive on Windows"),
        ("\udcff\udcfe", "its name is not valid UTF-8"),
    ],
)
def test_a_name_that_cannot_be_shared_is_left_out(
    tmp_path: Path, name: str, reason: str
) -> None:  # faults 73, 80 and 82
    make(tmp_path, {"good": file(), name: file(), f"d/{name}": file() if name != "C:" else FOLDER})
    expected = {name: reason} | ({f"d/{name}": reason} if name != "C:" else {})
    paths, left_out = found(tmp_path)
    assert paths == (["d", "good"] if name != "C:" else ["d/C:", "good"])
    assert left_out == expected


def test_nor_what_lies_in_a_directory_with_such_a_name(tmp_path: Path) -> None:
    make(tmp_path, {"a\\b/c/d": file(), "e\\": FOLDER, "f": file()})
    paths, left_out = found(tmp_path)
    assert (paths, list(left_out)) == (["f"], ["a\\b", "e\\"])


def test_every_other_name_is_shared(tmp_path: Path) -> None:  # faults 81 and 82
    names = ["ü", "u\u0308", "A", "a", "\u202egnp.exe", "ab:c", " ", "...", "-rf", "n" * 255]
    names += ["é" * 127, "🐟" * 63, "CON", "*?<>|", "'\"$(x)", ".shoal", "~", "%s"]
    make(tmp_path, {name: file(name.encode()) for name in names})
    assert found(tmp_path) == (in_order(dict.fromkeys(names, FOLDER)), {})
    assert all_of(look(tmp_path)).endswith(b"".join(sorted(name.encode() for name in names)))


def test_what_is_no_file_is_left_out(tmp_path: Path) -> None:
    make(tmp_path, {"a": file(), "d/x": file()})
    os.mkfifo(tmp_path / "d/fifo")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "sock")) if len(str(tmp_path)) < 90 else os.mkfifo("sock")
        paths, left_out = found(tmp_path)
    assert paths == ["a", "d/x"]
    assert left_out == dict.fromkeys(
        ["d/fifo", "sock"], "it is neither a file, a directory nor a link"
    )


def test_a_directory_is_only_an_entry_if_nothing_of_it_can_be_shared(tmp_path: Path) -> None:
    make(tmp_path, {"a/b": FOLDER, "c/d/e": file(), "f/bad\n": file(), "g/h": file()})
    paths, left_out = found(tmp_path, Selection(exclude=("h",)))
    assert (paths, list(left_out)) == (["a/b", "c/d/e", "f"], ["f/bad\n"])


@pytest.mark.parametrize(
    ("selection", "paths"),
    [
        (Selection(include=("a/",)), ["a/empty", "a/run.sh", "a/up"]),
        (Selection(include=("*.txt", "f")), ["b.txt", "d/e/f/data"]),
        (Selection(exclude=("a", "[cü]*")), ["b.txt", "d/e/f/data"]),
        (Selection(("a",), ("*.sh", "empty/")), ["a/up"]),
        (Selection(include=("empty/",)), ["a/empty"]),
        (Selection(include=("none",)), ["c/none"]),
        (Selection(include=("nothing",)), []),
    ],
)
def test_shares_what_is_selected(tmp_path: Path, selection: Selection, paths: list[str]) -> None:
    assert found(make(tmp_path, TREE), selection) == (paths, {})


@pytest.mark.parametrize("depth", [100, 511])
def test_goes_as_deep_as_paths_may(deep_path: Path, depth: int) -> None:
    deep = "/".join(["d"] * depth)
    subprocess.run(["mkdir", "-p", f"{deep}/d"], cwd=deep_path, check=True)
    (deep_path / deep / "file").write_bytes(b"deep")
    before = open_descriptors()
    tree = look(deep_path)
    assert [entry.path for entry in tree.entries()] == [f"{deep}/d", f"{deep}/file"]
    assert tree.read(tree.listing_bytes, 4) == b"deep"
    assert open_descriptors() == before


def test_what_is_deeper_is_left_out(deep_path: Path) -> None:
    deep = "/".join(["d"] * 600)
    subprocess.run(["mkdir", "-p", deep], cwd=deep_path, check=True)
    paths, left_out = found(deep_path)
    assert paths == ["/".join(["d"] * 512)]
    assert set(left_out.values()) == {"its name has more than 512 parts"}


@pytest.mark.parametrize(("last", "is_directory"), [("m" * 60, True), ("m" * 90, False)])
def test_what_is_too_deep_for_a_path_is_not_passed_over(
    deep_path: Path, last: str, *, is_directory: bool
) -> None:
    """A path may have 4096 bytes. For the system those of the directory itself count too."""
    names = ["n" * 250] * 16
    directory = os.open(deep_path, os.O_RDONLY)
    for name in [*names, last][: 16 + is_directory]:
        os.mkdir(name, dir_fd=directory)
        above, directory = directory, os.open(name, os.O_RDONLY, dir_fd=directory)
        os.close(above)
    os.close(os.open(last, os.O_CREAT, dir_fd=directory))
    os.close(directory)
    long = "it cannot be read: File name too long"
    reason = long if is_directory else "its name is longer than 4096 bytes"
    assert found(deep_path) == (["/".join(names)], {"/".join([*names, last]): reason})


@needs_root
def test_what_may_not_be_read_is_left_out_and_the_rest_is_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, {"a": file(), "b/c": file(), "d/secret": file(), "e/f": file(), "e/g": file()})
    for path, mode in (("b", 0o700), ("d/secret", 0o600), ("e/f", 0o600), (".", 0o755)):
        (tmp_path / path).chmod(mode)
    monkeypatch.chdir(tmp_path)
    with somebody_else():
        paths, left_out = found(Path())
    assert paths == ["a", "d", "e/g"]
    assert left_out == dict.fromkeys(
        ["b", "d/secret", "e/f"], "it cannot be read: Permission denied"
    )


@needs_root
@pytest.mark.parametrize("selection", [Selection(exclude=("b", "x*")), Selection(include=("a",))])
def test_what_is_not_selected_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, selection: Selection
) -> None:
    make(tmp_path, {"a": file(), "b/c": file(), "x": file(), "x\\": file(), "xl": link("/")})
    os.mkfifo(tmp_path / "xfifo")
    for path, mode in (("b/c", 0o600), ("x", 0o600), (".", 0o755)):
        (tmp_path / path).chmod(mode)
    (tmp_path / "b").chmod(0o700 if selection.exclude else 0o755)
    monkeypatch.chdir(tmp_path)
    with somebody_else():
        assert found(Path(), selection) == (["a"], {})


def test_what_is_no_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        look(tmp_path / "file")
    with pytest.raises(FileNotFoundError):
        look(tmp_path / "nowhere")


def test_too_many_bytes_are_an_error(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as huge:
        huge.truncate(manifest.MAX_SIZE_BYTES + 1)
    with pytest.raises(ValueError, match="with a size"):
        look(tmp_path)


def test_stops_when_it_is_told_to(tmp_path: Path) -> None:
    make(tmp_path, {"a/b/c": file(), "d": file()})
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        return asked == 3

    with pytest.raises(GoneError, match="stopped"):
        look_through(tmp_path, EVERYTHING, lambda _, __: None, should_stop)
    assert asked == 3


@pytest.mark.parametrize("gone", ["b", "c", "d", "e"])
def test_what_goes_while_it_looks_is_not_there(tmp_path: Path, gone: str) -> None:
    """A directory in which a program works has such files all the time."""
    items = {"b": file(), "c": link("b"), "d/x": file(), "e": FOLDER}
    make(tmp_path, {"!\\": file(), **items})

    def delete(_: str, __: str) -> None:
        path = tmp_path / gone
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    tree = look_through(tmp_path, EVERYTHING, delete, lambda: False)
    expected = [path for path in items if not path.startswith(gone)]
    assert [entry.path for entry in tree.entries()] == expected
    assert len(all_of(tree)) == tree.size_bytes
