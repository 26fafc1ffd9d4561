"""Writes that are not waited for: their order, their bound, their failures."""

import threading
from collections.abc import Iterator

import pytest
from shoal.node.staging.write_behind import LEAST_BYTES, MOST_WAITING, WriteBehind

from tests.unit.wire.places import LIMIT_S, eventually

SHORT = LEAST_BYTES - 1


class Disk:
    """Notes what is written and by whom; each write waits until it may go on."""

    def __init__(self) -> None:
        self.behind = WriteBehind()
        self.written: list[int] = []
        self.threads: set[str] = set()
        self.may_go_on = threading.Event()

    def write(self, number: int, size_bytes: int = LEAST_BYTES) -> None:
        self.behind.write(size_bytes, lambda: self._write(number))

    def fail(self, number: int) -> None:
        def write() -> None:
            raise OSError(number, "full")

        self.behind.write(LEAST_BYTES, write)

    def _write(self, number: int) -> None:
        assert self.may_go_on.wait(LIMIT_S)
        self.threads.add(threading.current_thread().name)
        self.written.append(number)


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    yield disk
    disk.may_go_on.set()
    disk.behind.close()


def test_a_large_write_is_not_waited_for(disk: Disk) -> None:
    disk.write(1)
    assert disk.written == []
    disk.may_go_on.set()
    disk.behind.settle()
    assert disk.written == [1]
    assert disk.threads != {threading.current_thread().name}


def test_a_short_write_is_done_at_once(disk: Disk) -> None:
    disk.may_go_on.set()
    disk.write(1, SHORT)
    assert (disk.written, disk.threads) == ([1], {threading.current_thread().name})


def test_a_short_write_overtakes_no_large_one(disk: Disk) -> None:
    disk.write(1)
    disk.write(2, SHORT)
    assert disk.written == []
    disk.may_go_on.set()
    disk.behind.settle()
    assert (disk.written, len(disk.threads)) == ([1, 2], 1)
    disk.write(3, SHORT)
    assert len(disk.threads) == 2  # Nothing waits any more: it is done at once.


def test_no_more_than_a_few_wait(disk: Disk) -> None:
    for number in range(MOST_WAITING):
        disk.write(number)
    more = threading.Thread(target=disk.write, args=(MOST_WAITING,))
    more.start()
    more.join(0.2)
    assert more.is_alive()
    disk.may_go_on.set()
    more.join(LIMIT_S)
    disk.behind.settle()
    assert disk.written == list(range(MOST_WAITING + 1))


def test_a_failure_is_told_at_the_next_write(disk: Disk) -> None:
    disk.fail(1)
    eventually(disk.behind._waiting[0].done)
    with pytest.raises(OSError, match="full"):
        disk.write(2)
    assert disk.written == []


def test_a_failure_is_told_at_the_end(disk: Disk) -> None:
    disk.may_go_on.set()
    disk.write(1)
    disk.fail(2)
    with pytest.raises(OSError, match="full"):
        disk.behind.settle()
    assert disk.written == [1]


def test_after_a_failure_nothing_is_written(disk: Disk) -> None:
    disk.may_go_on.set()
    disk.fail(1)
    eventually(disk.behind._waiting[0].done)
    for size_bytes in (LEAST_BYTES, SHORT, LEAST_BYTES):
        with pytest.raises(OSError, match="full"):
            disk.write(2, size_bytes)
    with pytest.raises(OSError, match="full"):
        disk.behind.settle()
    assert disk.written == []


def test_closing_waits_for_what_is_under_way(disk: Disk) -> None:
    disk.write(1)
    threading.Timer(0.1, disk.may_go_on.set).start()
    disk.behind.close()
    assert disk.written == [1]
