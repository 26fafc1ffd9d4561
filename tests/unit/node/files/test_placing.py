"""What was made aside gets its name: in one step, whatever stood there, on whatever disk."""

import ctypes
import errno
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shoal.node.files import libc
from shoal.node.files.placing import InTheWayError, nothing, put_in_place, remove, take_out
from shoal.protocol.errors import DiskError, OperatorError

from tests.unit.node.sample_trees import (
    FOLDER,
    TREE,
    Item,
    Items,
    file,
    link,
    make,
    open_descriptors,
    run,
    seen,
)

OLD: Items = {"old": file(b"old"), "d/e": file()}


def anything(_: bytes) -> bool:
    return True


def made(folder: Path, what: str) -> Path:
    """Make a file or a directory aside, as it is while it is fetched."""
    place = folder / ".shoal" / "partial"
    if what == "tree":
        return make(place / "tree", TREE)
    make(place, {"tree": run(b"new")})
    return place / "tree"


def old(folder: Path, what: str) -> None:
    """Let something stand there before."""
    if what == "tree":
        make(folder / "name", OLD)
    elif what == "file":
        make(folder, {"name": file(b"old")})


def is_new(path: Path, what: str) -> bool:
    if what == "tree":
        return seen(path) == TREE
    return path.is_file() and (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o755)


def refuse(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Have the system refuse to exchange two names; with 0, have the C library not know how."""

    class Libc:
        def __getattr__(self, name: str) -> Callable[..., int]:
            if name == "renameat2":
                if not number:
                    raise AttributeError(name)
                return lambda *_: ctypes.set_errno(number) or -1
            function: Callable[..., int] = getattr(real, name)
            return function

    real = libc._libc
    monkeypatch.setattr(libc, "_libc", Libc())


WAYS = ["exchange", errno.EINVAL, errno.ENOSYS, 0]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("before", ["nothing", "file", "tree"])
@pytest.mark.parametrize("what", ["file", "tree"])
def test_takes_the_place_of_whatever_stood_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, before: str, way: int | str
) -> None:
    old(tmp_path, before)
    if isinstance(way, int):
        refuse(monkeypatch, way)
    descriptors = open_descriptors()
    put_in_place(made(tmp_path, what), tmp_path, "name", anything)
    assert is_new(tmp_path / "name", what)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".shoal", "name"]
    assert list((tmp_path / ".shoal/partial").iterdir()) == []
    assert open_descriptors() == descriptors


def test_makes_the_directories_above_it(tmp_path: Path) -> None:
    put_in_place(made(tmp_path, "tree"), tmp_path, "a/b/name", anything)
    assert is_new(tmp_path / "a/b/name", "tree")


def test_the_old_or_the_new_one_stands_there_at_every_moment(tmp_path: Path) -> None:
    for number in range(30):
        make(tmp_path / "name", {"which": file(b"%d" % number)})
        make(tmp_path / "new", {"which": file(b"%d" % number)})
        stopping = threading.Event()
        missed: list[str] = []

        def look(stopping: threading.Event = stopping, missed: list[str] = missed) -> None:
            while not stopping.is_set():
                if not (tmp_path / "name").exists():
                    missed.append("name")

        thread = threading.Thread(target=look)
        thread.start()
        put_in_place(tmp_path / "new", tmp_path, "name", anything)
        stopping.set()
        thread.join()
        assert missed == []
        remove(tmp_path / "name")


# What may not go.


class Second:
    """Lets something go when it is first asked, and not again, as if that had changed."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def __call__(self, at: bytes) -> bool:
        self.asked.append(at)
        return len(self.asked) == 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("before", ["file", "tree"])
@pytest.mark.parametrize("what", ["file", "tree"])
def test_what_may_not_go_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, before: str, way: int | str
) -> None:
    old(tmp_path, before)
    inode, new = (tmp_path / "name").stat().st_ino, made(tmp_path, what)
    if isinstance(way, int):
        refuse(monkeypatch, way)
    with pytest.raises(InTheWayError):
        put_in_place(new, tmp_path, "name")
    assert (tmp_path / "name").stat().st_ino == inode
    assert is_new(new, what)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("before", ["file", "tree"])
@pytest.mark.parametrize("what", ["file", "tree"])
def test_what_changes_at_the_last_moment_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, before: str, way: int | str
) -> None:
    """Where a file cannot be exchanged for a file, it is only looked at once."""
    old(tmp_path, before)
    inode, new, may_go = (tmp_path / "name").stat().st_ino, made(tmp_path, what), Second()
    if isinstance(way, int):
        refuse(monkeypatch, way)
    if isinstance(way, int) and (what, before) == ("file", "file"):
        put_in_place(new, tmp_path, "name", may_go)
        assert is_new(tmp_path / "name", what)
        return
    with pytest.raises(InTheWayError):
        put_in_place(new, tmp_path, "name", may_go)
    assert len(may_go.asked) == 2
    assert (tmp_path / "name").stat().st_ino == inode
    assert is_new(new, what)
    assert [path.name for path in (tmp_path / ".shoal/partial").iterdir()] == ["tree"]


@pytest.mark.parametrize("what", ["file", "tree"])
def test_what_appears_and_goes_is_no_obstacle(tmp_path: Path, what: str) -> None:
    old(tmp_path, "file")

    def may_go(_: bytes) -> bool:
        (tmp_path / "name").unlink()
        return True

    put_in_place(made(tmp_path, what), tmp_path, "name", may_go)
    assert is_new(tmp_path / "name", what)


def test_what_was_made_may_go_while_the_old_one_is_put_back(tmp_path: Path) -> None:
    old(tmp_path, "file")
    new = made(tmp_path, "file")

    def may_go(at: bytes) -> bool:
        if at == os.fsencode(new):  # They have exchanged their names.
            (tmp_path / "name").unlink()
        return at != os.fsencode(new)

    with pytest.raises(InTheWayError):
        put_in_place(new, tmp_path, "name", may_go)
    assert (tmp_path / "name").read_bytes() == b"old"


@pytest.mark.parametrize("before", ["file", "tree"])
@pytest.mark.parametrize("what", ["file", "tree"])
def test_what_cannot_be_exchanged_back_is_renamed_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, before: str
) -> None:
    old(tmp_path, before)
    inode, new, real = (tmp_path / "name").stat().st_ino, made(tmp_path, what), libc.renameat2
    exchanged: list[bytes] = []

    def failing(*arguments: Any) -> None:
        if arguments[-1] == libc.RENAME_EXCHANGE:
            exchanged.append(arguments[1])
            if len(exchanged) == 2:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(*arguments)

    monkeypatch.setattr(libc, "renameat2", failing)
    with pytest.raises(OSError, match="Input/output"):
        put_in_place(new, tmp_path, "name", Second())
    assert (tmp_path / "name").stat().st_ino == inode
    assert is_new(new, what)


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_without_links_either_it_is_looked_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """As on FAT, and on some file systems in user space."""

    def refuse_link(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    refuse(monkeypatch, errno.EINVAL)
    monkeypatch.setattr(os, "link", refuse_link)
    put_in_place(made(tmp_path, "file"), tmp_path, "name")
    assert is_new(tmp_path / "name", "file")
    new = made(tmp_path, "file")
    with pytest.raises(InTheWayError):
        put_in_place(new, tmp_path, "name")
    assert is_new(new, "file")


@pytest.mark.parametrize("before", ["file", "tree"])
def test_takes_out_only_what_may_go(tmp_path: Path, before: str) -> None:
    old(tmp_path, before)
    inode = (tmp_path / "name").stat().st_ino
    directory, aside = os.open(tmp_path, os.O_RDONLY), os.fsencode(tmp_path / "aside")
    for may_go in (nothing, Second()):
        with pytest.raises(InTheWayError):
            take_out(directory, "name", aside, may_go)
        assert [path.name for path in tmp_path.iterdir()] == ["name"]
        assert (tmp_path / "name").stat().st_ino == inode
    take_out(directory, "name", aside, anything)
    os.close(directory)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("what", ["file", "tree"])
@pytest.mark.parametrize("in_the_way", ["fifo", "link", "dangling"])
def test_does_not_take_the_place_of_what_is_neither(
    tmp_path: Path, what: str, in_the_way: str
) -> None:
    name = tmp_path / "name"
    if in_the_way == "fifo":
        os.mkfifo(name)
    else:
        name.symlink_to("." if in_the_way == "link" else "nowhere")
    status, new = name.lstat(), made(tmp_path, what)
    with pytest.raises(OperatorError, match="neither a file nor a directory") as refused:
        put_in_place(new, tmp_path, "name", anything)
    assert isinstance(refused.value, DiskError)
    assert name.lstat().st_ino == status.st_ino
    assert is_new(new, what)


def test_does_not_follow_a_link_on_the_way(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", make(tmp_path / "out", OLD)
    new = made(folder, "tree")
    (folder / "a").symlink_to(out)
    with pytest.raises(OperatorError, match="a is not a directory; move it"):
        put_in_place(new, folder, "a/name", anything)
    assert seen(out) == OLD


@pytest.mark.parametrize("way", WAYS)
def test_what_stands_there_stays_if_nothing_can_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: int | str
) -> None:
    old(tmp_path, "tree")
    if isinstance(way, int):
        refuse(monkeypatch, way)
    with pytest.raises(FileNotFoundError):
        put_in_place(tmp_path / "nothing", tmp_path, "name", anything)
    assert seen(tmp_path / "name") == OLD


def test_what_was_left_of_an_earlier_try_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill between two steps leaves the old one aside."""
    refuse(monkeypatch, errno.EINVAL)
    old(tmp_path, "tree")
    new = made(tmp_path, "tree")
    make(new.with_name("tree.replaced"), OLD)
    put_in_place(new, tmp_path, "name", anything)
    assert is_new(tmp_path / "name", "tree")
    assert list((tmp_path / ".shoal/partial").iterdir()) == []


def test_another_failure_is_the_disk_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old(tmp_path, "tree")
    new = made(tmp_path, "tree")
    refuse(monkeypatch, errno.EIO)
    with pytest.raises(OSError, match="Input/output") as failed:
        put_in_place(new, tmp_path, "name", anything)
    assert failed.value.errno == errno.EIO
    assert (seen(tmp_path / "name"), is_new(new, "tree")) == (OLD, True)


def test_nothing_is_too_deep(deep_path: Path) -> None:
    deep = "/".join(["d"] * 1100)
    for _ in range(2):  # The second replaces the first.
        subprocess.run(["mkdir", "-p", f"new/{deep}"], cwd=deep_path, check=True)
        put_in_place(deep_path / "new", deep_path, "name", anything)
    assert not (deep_path / "new").exists()


# Small things.


@pytest.mark.parametrize("item", [None, file(), FOLDER, link("keep"), link("nowhere")])
def test_removes_whatever_it_is(tmp_path: Path, item: Item | None) -> None:
    make(tmp_path, {"keep/a": file()} | ({"it": item} if item else {}))
    remove(tmp_path / "it")
    assert seen(tmp_path) == {"keep/a": file()}


def test_removes_below_an_open_directory(tmp_path: Path) -> None:
    make(tmp_path / "d", {"it/a": file(), "b": file()})
    directory = os.open(tmp_path / "d", os.O_RDONLY)
    remove("it", directory)
    remove("b", directory)
    os.close(directory)
    assert seen(tmp_path) == {"d": FOLDER}
