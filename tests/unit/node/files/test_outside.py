"""What was fetched goes where `--output` says, whole, on whatever disk, and in nobody's way."""

import errno
import os
import subprocess
from pathlib import Path

import pytest
from shoal.node.files.outside import check_output, put_outside
from shoal.node.files.placing import remove
from shoal.protocol.errors import OperatorError

from tests.unit.node.files.test_placing import is_new, made
from tests.unit.node.sample_trees import FOLDER, Item, Items, file, link, make, seen


@pytest.mark.parametrize("disk", ["this", "another"])
@pytest.mark.parametrize("name", ["name", "x" * 250, "ü" * 125, "🐟" * 63], ids=len)
@pytest.mark.parametrize("what", ["file", "tree"])
def test_goes_to_any_place(
    tmp_path: Path, other_disk: Path, what: str, name: str, disk: str
) -> None:
    target = (tmp_path if disk == "this" else other_disk) / "out" / name
    target.parent.mkdir()
    put_outside(made(tmp_path, what), target)
    assert is_new(target, what)
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("disk", ["this", "another"])
@pytest.mark.parametrize("what", ["file", "tree"])
def test_only_a_file_takes_the_place_of_a_file_and_only_if_it_may(
    tmp_path: Path, other_disk: Path, what: str, disk: str
) -> None:
    folder = make((tmp_path if disk == "this" else other_disk) / "out", {"name": file(b"old")})
    new = made(tmp_path, what)
    for may_replace in (False, True):
        if (what, may_replace) == ("file", True):
            put_outside(new, folder / "name", may_replace=True)
            assert is_new(folder / "name", "file")
        else:
            with pytest.raises(
                OperatorError,
                match=r"already exists(; |, and a directory never replaces a file; )choose another",
            ):
                put_outside(new, folder / "name", may_replace=may_replace)
            assert is_new(new, what)
            assert seen(folder) == {"name": file(b"old")}
    assert [path.name for path in folder.iterdir()] == ["name"]


IN_THE_WAY: dict[str, tuple[Item, str]] = {
    "dangling link": (link("elsewhere"), "not a regular file"),
    "link": (link("fifo"), "not a regular file"),
    "empty directory": (FOLDER, "a directory"),
    "device": (link("/dev/null"), "not a regular file"),
}


@pytest.mark.parametrize("may_replace", [False, True])
@pytest.mark.parametrize("in_the_way", IN_THE_WAY)
@pytest.mark.parametrize("what", ["file", "tree"])
def test_nothing_else_is_ever_replaced(
    tmp_path: Path, what: str, in_the_way: str, *, may_replace: bool
) -> None:
    """Fault 84. As root, `--output /dev/null` would put it there."""
    item, kind = IN_THE_WAY[in_the_way]
    os.mkfifo(tmp_path / "fifo")
    make(tmp_path, {"name": item})
    new = made(tmp_path, what)
    before = seen(tmp_path)
    with pytest.raises(OperatorError, match=f"already exists and is {kind}; ") as refused:
        put_outside(new, tmp_path / "name", may_replace=may_replace)
    assert type(refused.value) is OperatorError
    with pytest.raises(OperatorError, match=f"already exists and is {kind}; "):
        check_output(tmp_path / "name", may_replace=may_replace)
    assert seen(tmp_path) == before


@pytest.mark.parametrize("place", ["n1/.shoal", "n1/.shoal/partial", "link", "n1/link"])
@pytest.mark.parametrize("name", ["cache.db", "new"])
def test_nothing_is_put_where_a_node_keeps_its_state(tmp_path: Path, place: str, name: str) -> None:
    make(tmp_path, {"n1/.shoal/partial/cache.db": file(), "n1/.shoal/cache.db": file(b"rows")})
    make(tmp_path, {"link": link("n1/.shoal"), "n1/link": link(".shoal/partial")})
    before = seen(tmp_path)
    new = made(tmp_path / "n2", "file")
    with pytest.raises(OperatorError, match=r"in a node's own \.shoal folder; choose"):
        check_output(tmp_path / place / name, may_replace=True)
    with pytest.raises(OperatorError, match=r"in a node's own \.shoal folder; choose"):
        put_outside(new, tmp_path / place / name, may_replace=True)
    with pytest.raises(OperatorError, match=r"in a node's own \.shoal folder; choose"):
        check_output(tmp_path / "n1" / ".shoal", may_replace=True)
    remove(tmp_path / "n2")
    assert seen(tmp_path) == before


def test_is_checked_before_anything_is_fetched(tmp_path: Path) -> None:
    make(tmp_path, {"file": file()})
    check_output(tmp_path / "new", may_replace=False)
    check_output(tmp_path / "file", may_replace=True)
    with pytest.raises(OperatorError, match="already exists; choose another path, or pass --force"):
        check_output(tmp_path / "file", may_replace=False)
    for nowhere in ("nowhere/x", "file/x"):
        with pytest.raises(OperatorError, match="is in no directory that exists; create"):
            check_output(tmp_path / nowhere, may_replace=True)


def test_a_place_that_is_not_there_is_an_error_and_nothing_is_lost(
    tmp_path: Path, other_disk: Path
) -> None:
    for folder in (tmp_path, other_disk):
        new = made(tmp_path, "tree")
        with pytest.raises(FileNotFoundError):
            put_outside(new, folder / "nowhere" / "name")
        assert is_new(new, "tree")
        remove(new)
    assert list(other_disk.iterdir()) == []


def test_a_copy_that_was_cut_off_is_no_obstacle(tmp_path: Path, other_disk: Path) -> None:
    for what, item in (("tree", file(b"half of it")), ("file", FOLDER)):
        make(other_disk, {f".{what}.shoal-part": item})
        put_outside(made(tmp_path / what, what), other_disk / what)
        assert is_new(other_disk / what, what)
    assert len(list(other_disk.iterdir())) == 2


@pytest.mark.parametrize("what", ["file", "tree"])
def test_a_copy_is_not_written_through_a_link(tmp_path: Path, other_disk: Path, what: str) -> None:
    """Somebody else may put one where all may write, as in /tmp."""
    make(other_disk, {"victim": file(b"mine"), "d/a": file()})
    (other_disk / ".name.shoal-part").symlink_to("victim" if what == "file" else "d")
    put_outside(made(tmp_path, what), other_disk / "name")
    assert is_new(other_disk / "name", what)
    assert not (other_disk / "name").is_symlink()
    remove(other_disk / "name")
    assert seen(other_disk) == {"victim": file(b"mine"), "d/a": file()}


def test_a_copy_appears_whole_or_not_at_all(tmp_path: Path, other_disk: Path) -> None:
    new = made(tmp_path, "tree")
    os.mkfifo(new / "zzz")  # It cannot be copied.
    with pytest.raises(OSError, match="named pipe"):
        put_outside(new, other_disk / "name")
    assert list(other_disk.iterdir()) == []
    assert (new / "b.txt").exists()


def test_links_in_a_directory_stay_links(tmp_path: Path, other_disk: Path) -> None:
    items = {"a/b": file(), "a/l": link(".."), "d": link("a"), "e": link("a/b"), "f": link("x")}
    put_outside(make(tmp_path / "t", items), other_disk / "name")
    assert seen(other_disk / "name") == items


@pytest.mark.parametrize("disk", ["this", "another"])
def test_a_link_goes_as_a_link(tmp_path: Path, other_disk: Path, disk: str) -> None:
    make(tmp_path / "t", {"up": link("../x"), "x": file()})
    target = (tmp_path if disk == "this" else other_disk) / "name"
    put_outside(tmp_path / "t/up", target)
    assert os.readlink(target) == "../x"  # noqa: PTH115


def test_nothing_is_too_deep(deep_path: Path, other_disk: Path) -> None:
    deep = "/".join(["d"] * 1100)
    subprocess.run(["mkdir", "-p", f"new/{deep}"], cwd=deep_path, check=True)
    put_outside(deep_path / "new", other_disk / "name")
    assert (other_disk / "name" / deep).is_dir()
    remove(other_disk / "name")
    assert list(other_disk.iterdir()) == []


@pytest.mark.parametrize("disk", ["this", "another"])
@pytest.mark.parametrize("before", [{}, {"name": file(b"old")}], ids=["nothing", "a file"])
def test_what_cannot_be_made_durable_goes_back(
    tmp_path: Path, other_disk: Path, monkeypatch: pytest.MonkeyPatch, before: Items, disk: str
) -> None:
    folder = make((tmp_path if disk == "this" else other_disk) / "out", before)
    new = made(tmp_path, "file")

    def refuse(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(OSError, match="Input/output"):
            put_outside(new, folder / "name", may_replace=True)
    assert seen(folder) == before
    assert is_new(new, "file")
    put_outside(new, folder / "name", may_replace=True)
    assert is_new(folder / "name", "file")
