"""A thing that is whole, and its bytes: nothing is sent of what has changed since."""

import contextlib
import errno
import os
import resource
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from shoal.node.files.signature import GoneError, Signature
from shoal.node.folder.hashing import hash_source
from shoal.node.folder.source import FileSource, Source
from shoal.node.folder.tree import look_through
from shoal.node.folder.whole import Whole
from shoal.node.trees.selection import EVERYTHING
from shoal.protocol import bitmap, manifest

from tests.unit.node import things
from tests.unit.node.things import id_of, plain

DATA = bytes(range(250)) * 20


def a_file(folder: Path, name: str = "a", data: bytes = DATA) -> Path:
    path = folder / name
    path.write_bytes(data)
    os.utime(path, ns=(5, 5))
    return path


def test_a_whole_thing_knows_what_it_is(tmp_path: Path) -> None:
    path = a_file(tmp_path)
    whole = things.whole(path, "some name")
    thing = plain(DATA)
    assert (whole.name, whole.id, whole.manifest) == ("some name", id_of(thing), thing)
    assert whole.data == manifest.encode(thing)
    assert whole.signature == Signature.of(path.stat())
    assert (whole.size_bytes, whole.chunk_count) == (5000, thing.chunk_count)
    assert whole.have == bitmap.full(thing.chunk_count)
    assert b"".join(map(whole.read, range(whole.chunk_count))) == DATA


@pytest.mark.parametrize("is_tree", [True, False])
def test_outside_a_folder_what_has_another_ctime_alone_is_verified(
    tmp_path: Path, *, is_tree: bool
) -> None:
    (tmp_path / "t").mkdir()
    data = os.urandom(3 << 20)
    path = a_file(tmp_path / "t", data=data)
    source: Source = FileSource(path, Signature.of(path.stat(), is_outside=True))
    if is_tree:
        found = lambda _, __: None  # noqa: E731
        source = look_through(path.parent, EVERYTHING, found, lambda: False, is_outside=True)
    thing = hash_source(source, lambda _: None, lambda: False)
    whole = Whole("a", manifest.encode(thing), source)
    path.chmod(0o600)
    with pytest.raises(GoneError):
        source.read(0, 1 + source.listing_bytes)
    assert b"".join(map(whole.read, range(whole.chunk_count))).endswith(data)
    with path.open("r+b") as file:
        file.write(b"changed")
    os.utime(path, ns=(5, 5))
    whole.read(whole.chunk_count - 1)
    with pytest.raises(GoneError):
        whole.read(thing.chunk_at(source.listing_bytes))
    path.touch()
    with pytest.raises(GoneError):
        whole.read(whole.chunk_count - 1)


def test_an_empty_thing_has_no_chunks(tmp_path: Path) -> None:
    whole = things.whole(a_file(tmp_path, data=b""), "a")
    assert (whole.size_bytes, whole.chunk_count, whole.have) == (0, 0, 0)


def replace(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


CHANGES: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: os.truncate(path, len(DATA) - 1),
    "emptied": lambda path: os.truncate(path, 0),
    "appended": lambda path: os.truncate(path, len(DATA) + 1),
    "rewritten": lambda path: path.write_bytes(os.urandom(len(DATA))),
    "touched": os.utime,
    "deleted": lambda path: path.unlink(),
    "made executable": lambda path: path.chmod(0o755),
    "replaced by the same": lambda path: path.with_name("b").rename(path),
    "replaced by a directory": lambda path: replace(path, Path.mkdir),
    "replaced by a FIFO": lambda path: replace(path, os.mkfifo),
    "replaced by a link to itself": lambda path: replace(path, lambda at: at.symlink_to(at)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_leaves_of_a_file_that_was(tmp_path: Path, change: str) -> None:
    file = things.whole(a_file(tmp_path), "a")
    a_file(tmp_path, "b")
    CHANGES[change](tmp_path / "a")
    with pytest.raises(GoneError):
        file.read(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else for a moment")
def test_nothing_leaves_of_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    file = things.whole(a_file(tmp_path), "a")
    try:
        os.seteuid(65534)
        with pytest.raises(GoneError):
            file.read(0)
    finally:
        os.seteuid(0)


def test_nothing_leaves_of_a_file_that_changes_just_now(tmp_path: Path) -> None:
    size = 4 << 20
    file = things.whole(a_file(tmp_path, data=b"1" * size), "a")
    stopping = threading.Event()

    def rewrite() -> None:
        with (tmp_path / "a").open("r+b", buffering=0) as writer:
            while not stopping.is_set():
                for byte in (b"2", b"1"):
                    writer.seek(0)
                    writer.write(byte * size)
                os.utime(tmp_path / "a", ns=(1, 1))

    thread = threading.Thread(target=rewrite)
    thread.start()
    until = time.monotonic() + 0.5
    torn = 0
    while time.monotonic() < until:
        with contextlib.suppress(GoneError):
            torn += bool(file.read(0).strip(b"1"))
    stopping.set()
    thread.join()
    assert torn == 0


IN_THE_WAY: dict[str, Callable[[Path], object]] = {
    "nothing": Path.exists,
    "directory": Path.mkdir,
    "FIFO": os.mkfifo,
    "link to itself": lambda path: path.symlink_to(path),
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("what", IN_THE_WAY)
def test_what_stands_in_a_file_s_place_is_not_read(tmp_path: Path, what: str) -> None:
    """And not waited for, as a FIFO would have it."""
    path = a_file(tmp_path)
    whole = things.whole(path, "a")
    path.unlink()
    IN_THE_WAY[what](path)
    began = time.monotonic()
    for part in range(whole.chunk_count):
        with pytest.raises(GoneError):
            whole.read(part)
    assert time.monotonic() - began < 5


@contextlib.contextmanager
def without_descriptors() -> Iterator[None]:
    """Have no file opened meanwhile."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_too_many_open_files_do_not_mean_that_it_has_gone(tmp_path: Path) -> None:
    whole = things.whole(a_file(tmp_path), "a")
    with without_descriptors(), pytest.raises(OSError, match="Too many open files"):
        whole.read(0)
    assert whole.read(0) == DATA[: whole.manifest.chunk_size(0)]


class FailingSource(FileSource):
    """Fails some times, as a disk may."""

    def __init__(self, path: Path, times: int) -> None:
        super().__init__(path, Signature.of(path.stat()))
        self.times = times

    def read(self, offset: int, size_bytes: int) -> bytes:
        self.times -= 1
        if self.times >= 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().read(offset, size_bytes)


def test_a_disk_may_fail_once(tmp_path: Path) -> None:
    path = a_file(tmp_path)
    whole = Whole("a", manifest.encode(plain(DATA)), FailingSource(path, 1))
    assert whole.read(0) == DATA[: whole.manifest.chunk_size(0)]
    whole = Whole("a", manifest.encode(plain(DATA)), FailingSource(path, 2))
    with pytest.raises(GoneError, match="a: Input/output error"):
        whole.read(0)
