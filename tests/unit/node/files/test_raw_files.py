"""Reads and writes of single files: all of the bytes, at their place, and never through a link."""

import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shoal.node.files import raw_files
from shoal.node.files.directories import opened
from shoal.node.files.placing import remove
from shoal.node.files.raw_files import (
    claim,
    claim_directory,
    claim_room,
    link,
    make_at,
    read_at,
    set_mode,
    usual_mode,
    write_all,
    write_at,
)

from tests.unit.node.sample_trees import FOLDER, Item, file, make, open_descriptors, run, seen
from tests.unit.node.sample_trees import link as a_link


def raw(path: Path) -> bytes:
    return os.fsencode(path)


def write(path: Path, offset: int, data: bytes, mode: int | None = None) -> None:
    write_at(raw(path), offset, memoryview(data), mode)


def mode_of(path: Path) -> int:
    return path.lstat().st_mode & 0o7777


@pytest.fixture(autouse=True)
def nothing_stays_open() -> Iterator[None]:
    before = open_descriptors()
    yield
    assert open_descriptors() == before


@given(st.lists(st.tuples(st.integers(0, 50), st.binary(max_size=20)), max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_writes_are_where_they_belong(tmp_path: Path, writes: list[tuple[int, bytes]]) -> None:
    path, model = tmp_path / "a", bytearray()
    path.unlink(missing_ok=True)
    for offset, data in writes:
        write(path, offset, data)
        if data:
            model.extend(bytes(max(0, offset - len(model))))
            model[offset : offset + len(data)] = data
        assert path.read_bytes() == model
    for offset in range(0, 75, 10):
        assert read_at(raw(path), offset, 10) == model[offset : offset + 10] if writes else True


def test_somebody_else_may_do_the_writing(tmp_path: Path) -> None:
    def twice(descriptor: int, offset: int, data: memoryview) -> None:
        write_all(descriptor, offset, memoryview(bytes(data) * 2))

    write_at(raw(tmp_path / "a"), 1, memoryview(b"xy"), 0o755, write=twice)
    assert ((tmp_path / "a").read_bytes(), mode_of(tmp_path / "a")) == (b"\0xyxy", 0o755)


def test_reads_less_where_there_is_less(tmp_path: Path) -> None:
    make(tmp_path, {"a": file(b"0123456789")})
    assert read_at(raw(tmp_path / "a"), 8, 5) == b"89"
    assert read_at(raw(tmp_path / "a"), 10, 5) == b""
    assert read_at(raw(tmp_path / "a"), 99, 5) == b""


def test_a_mode_is_what_was_said_whatever_the_umask(tmp_path: Path) -> None:
    was = os.umask(0o077)
    try:
        for mode in (0o644, 0o755):
            write(tmp_path / f"{mode}", 0, b"x", mode)
            assert mode_of(tmp_path / f"{mode}") == mode
        write(tmp_path / "no mode", 0, b"x")
        assert mode_of(tmp_path / "no mode") == 0o600  # Nobody else's business yet.
        write(tmp_path / "no mode", 0, b"", 0o755)
        assert (mode_of(tmp_path / "no mode"), (tmp_path / "no mode").read_bytes()) == (0o755, b"x")
        write(tmp_path / "no mode", 0, b"y")
        assert mode_of(tmp_path / "no mode") == 0o755
    finally:
        os.umask(was)


@pytest.mark.parametrize(
    ("umask", "modes"),
    [
        (0o000, (0o644, 0o755)),
        (0o022, (0o644, 0o755)),
        (0o027, (0o640, 0o750)),
        (0o077, (0o600, 0o700)),
        (0o777, (0o600, 0o700)),  # Whether it may be run is part of what it is.
    ],
)
def test_makes_a_file_as_the_umask_has_it_and_says_how_it_is(
    tmp_path: Path, umask: int, modes: tuple[int, int]
) -> None:
    was = os.umask(umask)
    try:
        for mode, right, data in zip((0o644, 0o755), modes, (b"1234", b""), strict=True):
            assert usual_mode(mode) == right
            status = make_at(raw(tmp_path / f"{mode}"), memoryview(data), mode)
            assert (mode_of(tmp_path / f"{mode}"), status.st_size) == (right, len(data))
            assert (tmp_path / f"{mode}").read_bytes() == data
            assert status == (tmp_path / f"{mode}").lstat()
    finally:
        os.umask(was)


def test_a_file_is_made_in_place_of_whatever_is_there(tmp_path: Path) -> None:
    make(tmp_path, {"victim": file(b"0123456789"), "link": a_link("victim"), "d/e": FOLDER})
    (tmp_path / "hard").hardlink_to(tmp_path / "victim")
    for name in ("link", "hard", "d", "new"):
        make_at(raw(tmp_path / name), memoryview(b"abc"), 0o755)
        assert seen(tmp_path)[name] == run(b"abc")
    assert seen(tmp_path)["victim"] == file(b"0123456789")


def test_gives_a_file_another_mode(tmp_path: Path) -> None:
    make(tmp_path, {"d/a": file(b"x"), "l": a_link("d/a")})
    set_mode(raw(tmp_path / "d/a"), 0o755, durably=True)
    assert mode_of(tmp_path / "d/a") == 0o755
    with opened(tmp_path / "d") as directory:
        set_mode("a", 0o644, directory, durably=False)
    assert seen(tmp_path / "d") == {"a": file(b"x")}
    for name in ("l", "nothing"):
        with pytest.raises(OSError, match=f"{name}'$"):
            set_mode(raw(tmp_path / name), 0o755, durably=False)
    assert seen(tmp_path / "d") == {"a": file(b"x")}


def test_no_bytes_make_an_empty_file(tmp_path: Path) -> None:
    write(tmp_path / "a", 0, b"", 0o644)
    assert seen(tmp_path) == {"a": file()}


def fifo(path: Path) -> None:
    os.mkfifo(path)


IN_THE_WAY: dict[str, Callable[[Path], object]] = {
    "link": lambda path: path.symlink_to("victim"),
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "directory": Path.mkdir,
    "fifo": fifo,
}


def test_a_file_of_two_names_is_not_written_to(tmp_path: Path) -> None:
    make(tmp_path, {"victim": file(b"mine")})
    (tmp_path / "a").hardlink_to(tmp_path / "victim")
    write(tmp_path / "a", 0, b"yours", 0o644)
    assert seen(tmp_path) == {"victim": file(b"mine"), "a": file(b"yours")}


def test_what_cannot_be_removed_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_files, "remove", lambda _: None)  # As if somebody put it there again.
    (tmp_path / "a").symlink_to("b")
    with pytest.raises(OSError, match="keeps appearing"):
        write(tmp_path / "a", 0, b"yours")


@pytest.mark.parametrize("what", IN_THE_WAY)
def test_what_is_no_file_is_not_read_and_not_written_through(tmp_path: Path, what: str) -> None:
    make(tmp_path, {"victim": file(b"mine")})
    IN_THE_WAY[what](tmp_path / "a")
    began = time.monotonic()
    with pytest.raises(OSError, match=r"a'$|Illegal seek|Is a directory|No such device"):
        read_at(raw(tmp_path / "a"), 0, 4)
    write(tmp_path / "a", 0, b"yours")
    assert (tmp_path / "a").is_file()
    assert not (tmp_path / "a").is_symlink()
    assert (tmp_path / "a").read_bytes() == b"yours"
    assert time.monotonic() - began < 5  # A FIFO is not waited for.
    assert (tmp_path / "victim").read_bytes() == b"mine"
    assert not (tmp_path / "nowhere").exists()


def test_what_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "a", tmp_path / "a" / "b"):
        with pytest.raises(FileNotFoundError):
            read_at(raw(path), 0, 1)
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "a" / "b", 0, b"x")


def test_a_write_that_fails_says_so(tmp_path: Path) -> None:  # faults 91 and 92
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        with pytest.raises(OSError, match="large"):
            write(tmp_path / "a", 990, b"x" * 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "a").stat().st_size == 1000  # The first write was a short one.


def test_many_may_write_to_one_file_at_once(tmp_path: Path) -> None:
    def write_some(first: int) -> None:
        for index in range(first, 400, 4):
            write(tmp_path / "a", 10 * index, b"%9d." % index, 0o644)

    threads = [threading.Thread(target=write_some, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "a").read_bytes() == b"".join(b"%9d." % index for index in range(400))


ITEMS: dict[str, Item | None] = {
    "nothing": None,
    "file": file(b"old"),
    "directory": FOLDER,
    "link": a_link("victim/a"),
    "dangling": a_link("nowhere"),
}


@pytest.mark.parametrize("what", ITEMS)
def test_makes_a_link_in_place_of_what_is_there(tmp_path: Path, what: str) -> None:
    item = ITEMS[what]
    make(tmp_path, {"victim/a": file()} | ({"x": item} if item else {}))
    link(raw(tmp_path / "x"), "ü/b".encode())
    assert seen(tmp_path) == {"victim/a": file(), "x": a_link("ü/b")}


@pytest.mark.parametrize("what", ITEMS)
def test_claims_a_place_for_a_directory(tmp_path: Path, what: str) -> None:
    item = ITEMS[what]
    make(tmp_path, {"victim/a": file()} | ({"x/y" if item == FOLDER else "x": item or FOLDER}))
    if item is None:
        (tmp_path / "x").rmdir()
    assert claim_directory(tmp_path / "x") == (what != "directory")
    kept = "x/y" if what == "directory" else "x"
    assert seen(tmp_path) == {"victim/a": file(), kept: FOLDER}


def test_claims_room_that_only_its_user_may_enter(tmp_path: Path) -> None:
    claim_room(tmp_path / "a/b/c")
    (tmp_path / "a/b").chmod(0o755)
    claim_room(tmp_path / "a/b/c")
    assert seen(tmp_path) == {"a/b/c": FOLDER}
    assert mode_of(tmp_path / "a/b") == 0o700


@pytest.mark.parametrize("name", ["partial", "partial/id"])
def test_claims_no_room_where_a_link_leads(tmp_path: Path, name: str) -> None:
    make(tmp_path, {"victim/id/data": file(b"mine"), "state/partial/id": FOLDER})
    remove(tmp_path / "state" / name)
    (tmp_path / "state" / name).symlink_to(tmp_path / "victim")
    claim_room(tmp_path / "state/partial/id")
    assert seen(tmp_path) == {"victim/id/data": file(b"mine"), "state/partial/id": FOLDER}


@pytest.mark.parametrize("what", ITEMS)
def test_claims_a_place_for_a_file(tmp_path: Path, what: str) -> None:
    """What is there may go on, if to write to it is to write to nothing else."""
    item = ITEMS[what]
    make(tmp_path, {"victim/a": file()} | ({"x": item} if item else {}))
    claim(raw(tmp_path / "x"))
    assert seen(tmp_path) == {"victim/a": file()} | ({"x": file(b"old")} if what == "file" else {})


def test_a_file_of_two_names_is_not_claimed(tmp_path: Path) -> None:
    make(tmp_path, {"victim": file(b"mine")})
    (tmp_path / "x").hardlink_to(tmp_path / "victim")
    os.mkfifo(tmp_path / "y")
    claim(raw(tmp_path / "x"))
    claim(raw(tmp_path / "y"))
    assert seen(tmp_path) == {"victim": file(b"mine")}


def test_where_the_kernel_tells_no_umask_others_may_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(raw_files, "read_at", lambda *_: b"Name:\tpython\n")
    assert usual_mode(0o755) == 0o700


def test_to_import_it_changes_nothing() -> None:
    code = "import os; os.umask = None; import shoal.node.files.raw_files"
    subprocess.run([sys.executable, "-c", code], check=True)
