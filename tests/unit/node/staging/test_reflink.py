"""What is shared of a file, what is written, and that the bytes are right whatever the disk says.

The system is stood in for: here a disk shares as it is told to. Those that do: test_sharing_disks.
"""

import errno
import fcntl
import os
import resource
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from shoal.node.files.raw_files import write_all
from shoal.node.files.signature import Signature
from shoal.node.folder.source import FileSource
from shoal.node.staging import reflink
from shoal.node.staging.reflink import LEAST_BYTES, Origin, Reflinks

from tests.unit.node.disks import SharingDisk
from tests.unit.node.sample_trees import file, look, make, open_descriptors

KIB = 1 << 10
DATA = os.urandom(512 * KIB)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> SharingDisk:
    return SharingDisk(monkeypatch)


@pytest.fixture(autouse=True)
def nothing_stays_open() -> Iterator[None]:
    before = open_descriptors()
    yield
    assert open_descriptors() == before


class Scene:
    """A file that has all of DATA, another one, and what shares blocks between them."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "source"
        self.path.write_bytes(DATA)
        self.origin = Origin(FileSource(self.path, Signature.of(self.path.stat())), 0)
        self.target = folder / "target"
        self.reflinks = Reflinks()

    def write(self, offset: int, data: bytes, origin: Origin) -> bytes:
        """Write `data`, which was read at `origin`; return what stands there then."""
        descriptor = os.open(self.target, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        try:
            self.reflinks.writer(origin)(descriptor, offset, memoryview(data))
            return os.pread(descriptor, len(data) + 1, offset)
        finally:
            os.close(descriptor)

    def writes(self, source_offset: int, size_bytes: int, offset: int) -> bool:
        """Write a part of DATA; say whether it is what stands there then."""
        data = DATA[source_offset : source_offset + size_bytes]
        return self.write(offset, data, self.origin.after(source_offset)) == data

    def writes_all(self) -> bool:
        return self.writes(0, len(DATA), 0)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.mark.parametrize(
    ("part", "offset", "shared"),
    [
        ((0, 512 * KIB), 0, [(0, 512 * KIB)]),
        ((128 * KIB, 128 * KIB), 64 * KIB, [(64 * KIB, 192 * KIB)]),
        ((0, 128 * KIB + 1), 0, [(0, 128 * KIB)]),
        ((0, 128 * KIB - 1), 0, [(0, 124 * KIB)]),
        ((4096 + 7, 128 * KIB), 7, [(4096, 128 * KIB)]),
        ((4095, 128 * KIB), 8191, [(8192, 132 * KIB)]),
        ((1, 128 * KIB), 0, []),
        ((4096 + 7, 128 * KIB), 8, []),
        ((0, LEAST_BYTES), 4096, [(4096, 4096 + LEAST_BYTES)]),
        ((0, LEAST_BYTES - 1), 0, []),
        ((4095, LEAST_BYTES), 4095, []),
        ((0, 0), 0, []),
    ],
)
def test_whole_blocks_are_shared_and_the_rest_is_written(
    scene: Scene,
    disk: SharingDisk,
    part: tuple[int, int],
    offset: int,
    shared: list[tuple[int, int]],
) -> None:
    assert scene.writes(*part, offset)
    assert disk.asked == shared


def test_writes_only_what_is_not_shared(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "ioctl", lambda *_: 0)  # As if: the blocks would be zeros.
    data = DATA[: LEAST_BYTES + 5]
    there = scene.write(0, data, scene.origin)
    assert there == bytes(LEAST_BYTES) + data[LEAST_BYTES:]


def test_what_comes_from_elsewhere_is_written(scene: Scene, disk: SharingDisk) -> None:
    assert scene.reflinks.writer(None) is write_all
    assert disk.asked == []


def test_each_file_of_a_tree_is_shared_for_itself(
    tmp_path: Path, scene: Scene, disk: SharingDisk
) -> None:
    large, odd, last = DATA[: 96 * KIB], DATA[: 64 * KIB + 1], DATA[100 * KIB : 200 * KIB]
    items = {"a": file(large), "b": file(odd), "c": file(b"small"), "d": file(last)}
    tree = look(make(tmp_path / "t", items))
    data = tree.read(0, tree.size_bytes)
    assert scene.write(0, data, Origin(tree, 0)) == data  # The listing has moved all of them.
    assert disk.asked == []
    start = tree.listing_bytes
    assert scene.write(0, data[start:], Origin(tree, start)) == data[start:]
    assert disk.asked == [(0, 96 * KIB), (96 * KIB, 160 * KIB)]


# Refusals.

CANNOT = [errno.EOPNOTSUPP, errno.ENOTTY, errno.ENOSYS]
NOT_THIS_TIME = [
    errno.EXDEV,
    errno.EINVAL,
    errno.EPERM,
    errno.EACCES,
    errno.EBADF,
    errno.ETXTBSY,
    errno.EISDIR,
    errno.EIO,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EINTR,
]


@pytest.mark.parametrize("number", [*CANNOT, *NOT_THIS_TIME], ids=errno.errorcode.get)
def test_what_is_refused_is_written(scene: Scene, disk: SharingDisk, number: int) -> None:
    disk.refuses = number
    assert scene.writes_all()
    assert scene.writes_all()
    assert len(disk.asked) == (1 if number in CANNOT else 2)  # Who cannot is not asked again.


def test_those_who_cannot_are_not_asked_in_any_thread(scene: Scene, disk: SharingDisk) -> None:
    disk.refuses = errno.EOPNOTSUPP
    threads = [threading.Thread(target=scene.writes_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asked = len(disk.asked)
    assert 1 <= asked <= 4
    assert scene.writes_all()
    assert len(disk.asked) == asked


def test_this_disk_does_as_well(scene: Scene) -> None:
    """Whatever it says to a call that nobody has stood in for."""
    assert scene.writes_all()
    assert scene.writes(4096, 200 * KIB, 8192)


def test_a_disk_that_is_full_is_an_error_all_the_same(scene: Scene, disk: SharingDisk) -> None:
    disk.refuses = errno.ENOSPC
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (64 * KIB, limits[1]))
        with pytest.raises(OSError, match="large"):
            scene.writes_all()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


# A source that is no longer what was verified.


def overwrite(path: Path) -> None:
    with path.open("r+b") as one:
        one.write(os.urandom(len(DATA)))


def replace(path: Path) -> None:
    path.with_name("other").write_bytes(os.urandom(len(DATA)))
    path.with_name("other").rename(path)


CHANGES = [overwrite, replace, Path.unlink, os.utime, lambda path: os.truncate(path, 3)]


@pytest.mark.parametrize("change", CHANGES)
def test_what_has_changed_before_is_not_shared(
    scene: Scene, disk: SharingDisk, change: Callable[[Path], object]
) -> None:
    change(scene.path)
    assert scene.writes_all()
    assert disk.asked == []


@pytest.mark.parametrize("change", [overwrite, replace, Path.unlink, os.utime])
def test_what_changes_meanwhile_is_written_as_it_was_verified(
    scene: Scene, disk: SharingDisk, change: Callable[[Path], object]
) -> None:
    disk.first = lambda: change(scene.path)
    assert scene.writes_all()
    assert len(disk.asked) == 1


def test_nor_is_what_stands_in_its_place(scene: Scene, disk: SharingDisk) -> None:
    scene.path.unlink()
    os.mkfifo(scene.path)
    assert scene.writes_all()
    assert disk.asked == []


# Where a server has the files.


@pytest.fixture
def served(scene: Scene, disk: SharingDisk, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Give a disk that does not share blocks, and counts as a server's."""
    disk.refuses = errno.EOPNOTSUPP
    with scene.path.open("rb") as source:
        monkeypatch.setattr(reflink, "_SERVED", {reflink._kind(source.fileno())})
    return scene


Copy = Callable[[int, int, int, int, int], int]


def refuse(number: int) -> Copy:
    def copy(*_: int) -> int:
        raise OSError(number, os.strerror(number))

    return copy


def count_copies(monkeypatch: pytest.MonkeyPatch, copy: Copy = os.copy_file_range) -> list[int]:
    """Have `copy` take the call's place; return what it has said, once it has."""
    counts: list[int] = []

    def counted(*arguments: int) -> int:
        counts.append(-1)
        counts[-1] = copy(*arguments)
        return counts[-1]

    monkeypatch.setattr(os, "copy_file_range", counted)
    return counts


def test_a_server_is_let_copy(
    served: Scene, disk: SharingDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = count_copies(monkeypatch)
    assert served.writes_all()
    assert counts == []
    assert served.writes_all()
    assert served.writes(4096, 100 * KIB + 1, 0)
    assert counts == [len(DATA), 100 * KIB]
    assert len(disk.asked) == 1


@pytest.mark.parametrize("most", [0, 1, 4096, 100 * KIB])
def test_what_a_server_does_not_copy_is_written(
    served: Scene, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    real = os.copy_file_range

    def copy(source: int, target: int, count: int, *offsets: int) -> int:
        return real(source, target, min(count, most), *offsets) if most else 0

    counts = count_copies(monkeypatch, copy)
    assert served.writes_all()
    assert served.writes_all()
    assert counts == [most]


@pytest.mark.parametrize("number", [*CANNOT, *NOT_THIS_TIME], ids=errno.errorcode.get)
def test_what_a_server_refuses_is_written(
    served: Scene, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    counts = count_copies(monkeypatch, refuse(number))
    for _ in range(3):
        assert served.writes_all()
    assert len(counts) == (1 if number in CANNOT else 2)


def test_a_disk_of_ones_own_is_not(
    scene: Scene, disk: SharingDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measured: within one disk the bytes in memory are quicker."""
    disk.refuses = errno.EOPNOTSUPP
    counts = count_copies(monkeypatch)
    assert scene.writes_all()
    assert scene.writes_all()
    assert counts == []


def test_knows_what_kind_of_file_system_it_is() -> None:
    with Path("/proc/self/status").open("rb") as one:
        assert reflink._kind(one.fileno()) == "proc"
    read_end, write_end = os.pipe()
    assert reflink._kind(read_end) == ""  # On none that is mounted.
    os.close(read_end)
    os.close(write_end)
