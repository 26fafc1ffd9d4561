"""What a file that is fetched takes of the disk, and its mode."""

import os
from pathlib import Path

import pytest
from shoal.node.staging.staged_file import StagedFile
from shoal.protocol import manifest

from tests.unit.node.staging.test_staged_file import PAGE, RIGHT, opened
from tests.unit.node.things import id_of, lettered, made_of, plain


def test_zeros_are_there_without_being_written(tmp_path: Path) -> None:
    size_bytes = 1 << 20
    known = made_of("..a.", size_bytes)
    with opened(tmp_path, known) as (_, chunks):
        assert chunks == "013"
    data = tmp_path / id_of(known).removeprefix("b3:") / "data"
    with data.open("r+b") as file:
        file.write(b"spoiled")
    with opened(tmp_path, known) as (staging, chunks):
        assert chunks == "013"
        staging.write(2, lettered("a", size_bytes))
        staging.publish(tmp_path, "a.img")
    right = bytes(2 * size_bytes) + lettered("a", size_bytes) + bytes(size_bytes)
    assert (tmp_path / "a.img").read_bytes() == right
    assert (tmp_path / "a.img").stat().st_blocks * 512 <= size_bytes + PAGE


def test_a_thing_of_zeros_needs_no_room(tmp_path: Path) -> None:
    size_bytes = 1 << 26
    known = made_of("." * 4, size_bytes)
    digests = known.digest(0) * 30_000
    huge = manifest.of_file(manifest.PLAIN_MODE, [size_bytes] * 30_000, digests)
    with opened(tmp_path, huge) as (staging, _):
        assert not staging.needed & ~staging.open()


@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o700), (0o022, 0o755), (0o777, 0o700)])
def test_the_mode_follows_the_umask_but_for_what_the_owner_may(
    tmp_path: Path, umask: int, mode: int
) -> None:
    known = plain(RIGHT, manifest.EXECUTABLE_MODE)
    with opened(tmp_path, known) as (staging, _):
        for index in range(known.chunk_count):
            offset = known.chunk_offset(index)
            staging.write(index, RIGHT[offset : offset + known.chunk_size(index)])
        was = os.umask(umask)
        try:
            source = staging.publish(tmp_path, "a")
        finally:
            os.umask(was)
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode
    assert source.signature.mode == manifest.EXECUTABLE_MODE


def allocated(folder: Path, free_bytes: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the sizes in MiB that are allocated ahead of a file of 4 MiB, half of it zeros."""
    sizes: list[int] = []
    monkeypatch.setattr(
        os, "posix_fallocate", lambda _, __, size_bytes: sizes.append(size_bytes >> 20)
    )
    monkeypatch.setattr(StagedFile, "_is_on_a_disk", lambda _: True)
    monkeypatch.setattr("shoal.node.staging.staged_file.free_bytes", lambda _: free_bytes)
    with opened(folder, made_of("a..b", 1 << 20)) as (staging, _):
        staging._end_allocation()
    return sizes


def test_room_is_taken_ahead_only_where_there_is_plenty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert allocated(tmp_path / "a", 4 << 20, monkeypatch) == [1, 1]
    assert allocated(tmp_path / "b", (4 << 20) - 1, monkeypatch) == []


def test_room_is_taken_in_long_runs(tmp_path: Path) -> None:
    staging = StagedFile(tmp_path, id_of(made_of("ab..cd", 40 << 20)), made_of("ab..cd", 40 << 20))
    runs = [(start >> 20, size >> 20) for start, size in staging._runs(0b110011)]
    assert runs == [(0, 80), (160, 80)]
    assert list(staging._runs(0)) == []


def test_what_was_taken_ahead_is_given_back_if_the_bytes_do_not_come(tmp_path: Path) -> None:
    known = made_of("abcd", 1 << 20)
    with opened(tmp_path, known) as (staging, _):
        staging.write(1, lettered("b", 1 << 20))
    (data,) = tmp_path.rglob("data")
    assert data.stat().st_blocks * 512 <= (1 << 20) + PAGE
    with opened(tmp_path, known) as (_, chunks):
        assert chunks == "1"
