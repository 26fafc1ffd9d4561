"""Room for what is fetched: filled in any order, found after a kill, published in one step."""

import contextlib
import errno
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from shoal.node.files.placing import InTheWayError
from shoal.node.files.signature import Signature
from shoal.node.staging.reuse import chunks_of, copy_chunks
from shoal.node.staging.room import disk_trouble
from shoal.node.staging.staged_file import StagedFile
from shoal.protocol import bitmap, manifest
from shoal.protocol.errors import DiskError, OperatorError
from shoal.protocol.manifest import Manifest

from tests.unit.node.disks import SharingDisk
from tests.unit.node.things import chunk, digits, id_of, plain, thing, whole

PAGE = 4096
SIZES = [PAGE] * 9 + [100]
THING = thing(SIZES)
RIGHT = b"".join(chunk(index, size) for index, size in enumerate(SIZES))
EVERYTHING = "0123456789"
OTHER_DISK = Path("/dev/shm")  # noqa: S108 (a directory of its own is made there)


@contextlib.contextmanager
def opened(folder: Path, thing: Manifest = THING) -> Iterator[tuple[StagedFile, str]]:
    """Open a staging, and say which chunks it found."""
    staging = StagedFile(folder, id_of(thing), thing)
    try:
        yield staging, digits(staging.open())
    finally:
        staging.close()


def fill(folder: Path, chunks: str) -> None:
    with opened(folder) as (staging, _):
        for index in map(int, chunks):
            staging.write(index, chunk(index, SIZES[index]))


def found(folder: Path) -> str:
    with opened(folder) as (_, chunks):
        return chunks


def data_file(folder: Path) -> Path:
    return folder / id_of(THING).removeprefix("b3:") / "data"


def test_is_empty_at_first(tmp_path: Path) -> None:
    assert found(tmp_path) == ""


@given(chunks=st.permutations(EVERYTHING), count=st.integers(0, 10), seed=st.integers(0, 99))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_finds_what_was_written_in_any_order(
    tmp_path: Path, chunks: list[str], count: int, seed: int
) -> None:
    folder = tmp_path / f"{Random(repr((chunks, count, seed))).random()}"
    fill(folder, "".join(chunks[:count]))
    assert found(folder) == "".join(sorted(chunks[:count]))
    assert found(folder) == "".join(sorted(chunks[:count]))


def test_reads_back_what_was_written(tmp_path: Path) -> None:
    with opened(tmp_path) as (staging, _):
        staging.write(3, memoryview(chunk(3, PAGE)))
        assert staging.read(3) == chunk(3, PAGE)


@pytest.mark.parametrize("at", [0, 1, PAGE - 1, 5 * PAGE, 9 * PAGE + 99])
def test_does_not_trust_a_chunk_that_was_spoiled(tmp_path: Path, at: int) -> None:
    fill(tmp_path, EVERYTHING)
    with data_file(tmp_path).open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))
    assert found(tmp_path) == EVERYTHING.replace(str(at // PAGE), "")


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (0, ""),
        (1, ""),
        (PAGE, "0"),
        (3 * PAGE + 5, "012"),
        (9 * PAGE, "012345678"),
        (9 * PAGE + 99, "012345678"),
        (9 * PAGE + 100, EVERYTHING),
        (9 * PAGE + 101, EVERYTHING),
        (40 * PAGE, EVERYTHING),
    ],
)
def test_makes_the_best_of_another_length(tmp_path: Path, length: int, expected: str) -> None:
    fill(tmp_path, EVERYTHING)
    os.truncate(data_file(tmp_path), length)
    assert found(tmp_path) == expected
    assert data_file(tmp_path).stat().st_size == THING.size_bytes


def test_makes_the_best_of_garbage(tmp_path: Path) -> None:
    for size in (1, 100, THING.size_bytes, 100 * PAGE):
        fill(tmp_path, "")
        data_file(tmp_path).write_bytes(os.urandom(size))
        (data_file(tmp_path).parent / "manifest").write_bytes(os.urandom(50))
        assert found(tmp_path) == ""


def test_a_hole_beyond_the_end_is_no_chunk(tmp_path: Path) -> None:
    fill(tmp_path, "0")
    with data_file(tmp_path).open("r+b") as file:
        file.seek(50 * PAGE)
        file.write(b"x" * PAGE)
    assert found(tmp_path) == "0"


def test_what_an_earlier_process_left_when_it_was_killed_is_found(tmp_path: Path) -> None:
    """Faults 95 and 101: nothing was closed, synced or journalled."""
    script = """
import os, sys
from pathlib import Path
from tests.unit.node.staging.test_staged_file import SIZES, THING, StagedFile, chunk, id_of
staging = StagedFile(Path(sys.argv[1]), id_of(THING), THING)
staging.open()
for index in (8, 2, 5):
    staging.write(index, chunk(index, SIZES[index]))
os.pwrite(staging._descriptor, chunk(6, SIZES[6])[:100], THING.chunk_offset(6))
os.kill(os.getpid(), 9)
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, cwd=Path(__file__).parents[4], check=False, timeout=30)
    assert done.returncode == -signal.SIGKILL
    assert found(tmp_path) == "258"


def test_does_not_write_through_a_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    data_file(tmp_path).parent.mkdir()
    data_file(tmp_path).symlink_to(victim)
    fill(tmp_path, EVERYTHING)
    assert found(tmp_path) == EVERYTHING
    assert victim.read_bytes() == b"mine"


def test_nor_to_a_file_that_has_another_name(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    data_file(tmp_path).parent.mkdir()
    data_file(tmp_path).hardlink_to(victim)
    fill(tmp_path, EVERYTHING)
    assert found(tmp_path) == EVERYTHING
    assert victim.read_bytes() == b"mine"


@pytest.mark.parametrize("what", ["manifest", "."])
def test_nor_puts_anything_else_to_where_one_leads(tmp_path: Path, what: str) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "manifest").write_bytes(b"mine")
    path = data_file(tmp_path).parent / what
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(tmp_path / "victim" / ("manifest" if what == "manifest" else ""))
    fill(tmp_path, EVERYTHING)
    assert found(tmp_path) == EVERYTHING
    assert (tmp_path / "victim" / "manifest").read_bytes() == b"mine"
    assert len(list((tmp_path / "victim").iterdir())) == 1


def test_shares_the_blocks_of_what_lies_there_already(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = os.urandom(3 << 20) + b"the end"
    (tmp_path / "old").write_bytes(data)
    old, disk = whole(tmp_path / "old", "old"), SharingDisk(monkeypatch)
    with opened(tmp_path / "partial", old.manifest) as (staging, _):
        have = copy_chunks(old.manifest, staging.needed, chunks_of([old]), staging.write)
        assert have == staging.needed
        staging.publish(tmp_path, "new")
    assert (tmp_path / "new").read_bytes() == data
    assert sorted(disk.asked) == [(at << 17, (at + 1) << 17) for at in range(24)]


def test_publishes_in_one_step_and_tidies_up(tmp_path: Path) -> None:
    folder, partial = tmp_path / "n1", tmp_path / "partial"
    folder.mkdir()
    (folder / "a.bin").write_bytes(b"the old one")
    with opened(partial) as (staging, _):
        for index in range(10):
            staging.write(index, chunk(index, SIZES[index]))
        assert (folder / "a.bin").read_bytes() == b"the old one"
        with pytest.raises(InTheWayError):
            staging.publish(folder, "a.bin")
        assert (folder / "a.bin").read_bytes() == b"the old one"
        source = staging.publish(folder, "a.bin", lambda _: True)
        assert staging.read(4) == chunk(4, PAGE)  # Those who are just reading may finish.
    path = folder / "a.bin"
    assert path.read_bytes() == RIGHT
    assert source.signature == Signature.of(path.stat())
    assert list(partial.iterdir()) == []


def test_is_durable_before_and_after_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "partial", EVERYTHING)
    synced: list[str] = []

    def fsync(descriptor: int) -> None:
        is_there = (tmp_path / "a.bin").exists()
        synced.append(f"{Path(f'/proc/self/fd/{descriptor}').readlink()} {is_there}")

    monkeypatch.setattr(os, "fsync", fsync)
    with opened(tmp_path / "partial") as (staging, _):
        staging.publish(tmp_path, "a.bin")
    assert synced == [f"{data_file(tmp_path / 'partial')} False", f"{tmp_path} True"]


def test_what_no_room_could_be_made_for_is_not_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Room is made ahead, in a thread: its failure may come after the last write."""
    if os.major(tmp_path.stat().st_dev) == 0:
        pytest.skip("no room is made ahead on a RAM disk")
    all_written = threading.Event()

    def refuse(*_: int) -> None:
        assert all_written.wait(60)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with opened(tmp_path / "partial") as (staging, _):
        for index in range(10):
            staging.write(index, chunk(index, SIZES[index]))
        all_written.set()
        with pytest.raises(OSError, match="No space left"):
            staging.publish(tmp_path, "a.bin")
        with pytest.raises(OSError, match="No space left"):
            staging.write(0, chunk(0, SIZES[0]))
    assert not (tmp_path / "a.bin").exists()


def test_publishes_into_folders_that_it_makes(tmp_path: Path) -> None:
    with opened(tmp_path / ".shoal") as (staging, _):
        staging.publish(tmp_path, "a/b/c.bin")
    assert (tmp_path / "a/b/c.bin").stat().st_size == THING.size_bytes


@pytest.mark.parametrize("size", [0, 1, 2])
def test_the_smallest_files_are_files_too(tmp_path: Path, size: int) -> None:
    small = plain(b"xy"[:size], manifest.EXECUTABLE_MODE)
    with opened(tmp_path / "partial", small) as (staging, chunks):
        assert chunks == ""
        for index in range(small.chunk_count):
            staging.write(index, b"xy"[index : index + small.chunk_size(index)])
        staging.publish(tmp_path, "a")
    assert (tmp_path / "a").read_bytes() == b"xy"[:size]
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("disk", ["this", "another"])
def test_publishes_at_any_place(tmp_path: Path, disk: str) -> None:
    if not OTHER_DISK.is_dir() or OTHER_DISK.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system here")
    partial = tmp_path if disk == "this" else OTHER_DISK / f"shoal-{os.getpid()}"
    target = tmp_path / "out" / ("x" * 250)
    target.parent.mkdir()
    target.write_bytes(b"old")
    try:
        with opened(partial / "partial") as (staging, _):
            for index in range(10):
                staging.write(index, chunk(index, SIZES[index]))
            with pytest.raises(OperatorError, match="already exists; choose another path, or"):
                staging.publish_at(target)
            assert target.read_bytes() == b"old"
            staging.publish_at(target, may_replace=True)
        assert list((partial / "partial").iterdir()) == []
        assert [path.name for path in target.parent.iterdir()] == [target.name]
        assert target.read_bytes() == RIGHT
        assert target.stat().st_mode & 0o777 == 0o644
    finally:
        if disk == "another":
            (partial / "partial").rmdir()
            partial.rmdir()


def test_does_not_put_a_file_in_the_place_of_what_is_none(tmp_path: Path) -> None:
    """As root, `--output /dev/null` would put the file there."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(tmp_path / "fifo")
    for target in ("fifo", "link", "."):
        with opened(tmp_path / "partial") as (staging, _):
            with pytest.raises(OperatorError) as refused:
                staging.publish_at(tmp_path / target)
            assert type(refused.value) is OperatorError
    assert (tmp_path / "fifo").is_fifo()
    assert (tmp_path / "link").is_symlink()


def test_a_place_that_cannot_be_written_to_keeps_what_is_there(tmp_path: Path) -> None:
    fill(tmp_path / "partial", "0123")
    with opened(tmp_path / "partial") as (staging, _), pytest.raises(FileNotFoundError):
        staging.publish_at(tmp_path / "nowhere" / "a.bin")
    assert found(tmp_path / "partial") == "0123"


def test_reading_after_the_end_is_an_error_and_not_another_file(tmp_path: Path) -> None:
    with opened(tmp_path) as (staging, _):
        pass
    with (tmp_path / "other").open("wb"), pytest.raises(OSError, match="descriptor"):
        staging.read(0)
    staging.close()


def test_refuses_at_once_what_the_disk_has_no_room_for(tmp_path: Path) -> None:
    huge = thing([60 << 20] * 4)
    many = manifest.of_file(manifest.PLAIN_MODE, [60 << 20] * 30_000, huge.digests[:32] * 30_000)
    with pytest.raises(OSError, match="space") as full, opened(tmp_path, many):
        pass
    assert full.value.errno == errno.ENOSPC


def test_a_write_that_fails_is_reported(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with opened(tmp_path) as (staging, _):
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (3 * PAGE + 5, limits[1]))
            with pytest.raises(OSError, match="large"):
                staging.write(3, chunk(3, PAGE))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert found(tmp_path) == ""


def test_a_disk_that_is_full_is_reported_and_what_was_written_is_kept(tmp_path: Path) -> None:
    """Fault 91, on a file system of 40 KiB in a mount namespace of its own."""
    script = """
import os, subprocess, sys
from pathlib import Path
from tests.unit.node.staging.test_staged_file import SIZES, THING, chunk, found, opened
place = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40k,mode=700", "none", place], check=True)
try:
    with opened(place) as (staging, _):
        (place / "another").write_bytes(bytes(12000))
        for index in range(10):
            staging.write(index, chunk(index, SIZES[index]))
        staging.publish(place, "a.bin")
    print("published")
except OSError as error:
    print(error.errno)
    (place / "another").unlink(missing_ok=True)
    print(found(place))
"""
    command = ["unshare", "-m", sys.executable, "-c", script, str(tmp_path)]
    where = Path(__file__).parents[4]
    done = subprocess.run(
        command, cwd=where, check=False, timeout=30, capture_output=True, text=True
    )
    if "ermi" in done.stderr or "denied" in done.stderr:
        pytest.skip("no file system may be mounted here")
    told = done.stdout.split()
    assert told[:1] == [str(errno.ENOSPC)], done
    assert set("".join(told[1:])) < set(EVERYTHING)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full; free some space"),
        (errno.EDQUOT, "the disk is full; free some space"),
        (errno.EROFS, "it is read-only; mount it writable"),
        (errno.EACCES, "permission denied; change its permissions"),
        (errno.EIO, "Input/output error; check the disk"),
    ],
)
def test_says_what_is_wrong_with_the_disk(number: int, words: str) -> None:
    trouble = disk_trouble(OSError(number, os.strerror(number)), "a\x1b.bin", Path("/n1"))
    assert isinstance(trouble, DiskError)
    assert str(trouble).startswith(rf"cannot write a\x1b.bin in /n1: {words}")


def test_the_model_is_what_it_says() -> None:
    assert bitmap.full(THING.chunk_count) == bitmap.of(range(10))
    assert plain(b"").chunk_count == 0
