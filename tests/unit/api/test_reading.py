"""A file object over a whole node in this process."""

import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec
import pytest
import shoal
from shoal.api import reading
from shoal.api.reading import Reader, open_reading
from shoal.protocol.control import Reading, Report, There

from tests.unit.node.company import Company, Member

LINES = b"".join(b"line %d\n" % number for number in range(30_000))
NOISE = Random(5).randbytes(3_000_000)


class Way:
    """To a member's orders; `hides` the files that it points at, as a container does."""

    def __init__(self, member: Member, *, hides: bool = False) -> None:
        self.member = member
        self.hides = hides
        self.given: list[Reading] = []

    def carry_out(self, order: Reading, /) -> Report:
        self.given.append(order)
        report = self.member.agent.carry_out(order, lambda _: None)
        if self.hides and isinstance(report, There):
            return msgspec.structs.replace(report, path=b"/nowhere/" + report.path)
        return report


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    with Company(tmp_path) as company:
        company.put("has", "lines", LINES)
        company.put("has", "noise", NOISE)
        company.join("has")
        yield company


@pytest.fixture
def way(company: Company) -> Way:
    return Way(company.join("reads"))


def test_it_is_a_file_like_any_other(way: Way) -> None:
    with open_reading(way, "lines") as file:
        assert (file.readable(), file.seekable(), file.writable(), file.mode) == (
            True,
            True,
            False,
            "rb",
        )
        assert (file.read(4), file.tell(), file.read(0), file.read(3)) == (b"line", 4, b"", b" 0\n")
        assert file.seek(-7, os.SEEK_END) == len(LINES) - 7
        assert (file.read(), file.read(), file.read(5)) == (LINES[-7:], b"", b"")
        assert (file.seek(2), file.seek(3, os.SEEK_CUR), file.read(1)) == (2, 5, LINES[5:6])
        assert file.seek(len(LINES) + 9) == len(LINES) + 9
        assert file.read(1) == b""
        for wrong in ((0, 9), (-1, 0)):
            with pytest.raises(ValueError, match=r"whence|before the start"):
                file.seek(*wrong)
        assert file.seek(0) == 0
        assert file.readall() if hasattr(file, "readall") else file.read() == LINES


def test_lines_and_buffers_are_read(way: Way) -> None:
    with open_reading(way, "lines") as file:
        assert (file.readline(), file.peek(2)[:6], file.readline()) == (
            b"line 0\n",
            b"line 1",
            b"line 1\n",
        )
        assert sum(1 for _ in file) == 29_998
        assert file.peek() == b""
        file.seek(0)
        buffer = bytearray(10)
        assert (file.readinto(buffer), bytes(buffer)) == (10, LINES[:10])
        assert (file.readinto1(buffer), bytes(buffer)) == (10, LINES[10:20])
        assert (file.read1(3), len(file.read1()) > 100) == (LINES[20:23], True)
        file.seek(-4, os.SEEK_END)
        assert (file.readinto(buffer), bytes(buffer[:4])) == (4, LINES[-4:])
        file.seek(0)
        assert io.TextIOWrapper(file).readline() == "line 0\n"


@pytest.mark.parametrize("hides", [False, True])
def test_large_reads_are_as_right_as_small_ones(company: Company, *, hides: bool) -> None:
    way = Way(company.join("reads"), hides=hides)
    with open_reading(way, "noise") as file:
        sizes = [1, 100_000, 70_000, 5, 1 << 20, 200_000]
        parts = [file.read(size) for size in sizes]
        assert [len(part) for part in parts] == sizes
        assert b"".join(parts) + file.read() == NOISE
        rng = Random(7)
        for _ in range(50):
            start, size = rng.randrange(len(NOISE)), rng.randrange(200_000)
            file.seek(start)
            assert file.read(size) == NOISE[start : start + size]


def test_what_is_here_is_read_without_asking_again_and_again(company: Company) -> None:
    way = Way(Member(company.join("reads").agent))
    way.member.fetch("noise")
    with open_reading(way, "noise") as file:
        while file.read(100_000):
            pass
        assert len(way.given) == 2
        path = company.place("reads") / "noise"
        os.utime(path, ns=(1, 1))  # It may have been changed.
        file.seek(0)
        assert file.read(1000) == NOISE[:1000]
        assert len(way.given) > 2


def test_what_is_still_coming_is_trusted_for_a_moment(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "TRUSTED_S", -1.0)
    with open_reading(way, "noise") as file:
        assert file.read() == NOISE


def test_threads_do_not_get_into_each_others_way(way: Way) -> None:
    found: list[bytes] = []
    with open_reading(way, "noise") as file:

        def read() -> None:
            while block := file.read(10_000):
                found.append(block)

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sum(map(len, found)) == len(NOISE)
    assert all(NOISE.find(block) % 10_000 == 0 for block in found)


def test_a_closed_one_reads_no_more(way: Way) -> None:
    closed: list[int] = []
    file = Reader(way, "lines", lambda: closed.append(1))
    file.close()
    file.close()
    assert closed == [1]
    for use in (file.read, file.tell, file.peek, file.read1, lambda: file.seek(0)):
        with pytest.raises(ValueError, match="closed file"):
            use()


def test_what_cannot_be_read_is_told_as_by_all_of_the_library(way: Way) -> None:
    with pytest.raises(shoal.NotFound, match="no such file was found: nothing"):
        open_reading(way, "nothing")
    with pytest.raises(shoal.Invalid):
        open_reading(way, "a//b")


class Anew(Way):
    """Points at staging that is removed and begun anew each time, at the same path."""

    def __init__(self, member: Member, path: Path) -> None:
        super().__init__(member)
        self._path = path

    def carry_out(self, order: Reading, /) -> Report:
        report = super().carry_out(order)
        if not isinstance(report, There):
            return report
        with Path(os.fsdecode(report.path)).open("rb") as found:
            found.seek(report.offset)
            data = found.read(100_000)
        self._path.unlink(missing_ok=True)
        with self._path.open("wb") as staged:
            staged.truncate(len(NOISE))
            staged.seek(report.offset)
            staged.write(data)
        return There(os.fsencode(self._path), report.offset, len(data), None)


def test_staging_that_was_begun_anew_is_another_file(company: Company, tmp_path: Path) -> None:
    member = company.join("reads")
    member.fetch("noise")
    with open_reading(Anew(member, tmp_path / "staged"), "noise") as file:
        assert file.read() == NOISE


def test_a_directory_where_the_file_was_is_not_read(company: Company, tmp_path: Path) -> None:
    class Replaced(Way):
        def carry_out(self, order: Reading, /) -> Report:
            report = super().carry_out(order)
            if isinstance(report, There):
                return There(os.fsencode(tmp_path), 0, report.size_bytes, None)
            return report

    with open_reading(Replaced(company.join("reads")), "lines") as file:
        assert file.read() == LINES
