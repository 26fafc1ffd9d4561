"""What processes cost, read from /proc: processor time and memory. Starts and ends none."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
UTIME, CUTIME_END = 11, 15  # utime, stime, cutime, cstime, counted after the name; proc(5)


def cpu_s(pids: Iterable[int]) -> float:
    """User and system time so far of these processes and all below them."""
    return sum(_ticks(pid) for pid in families(pids)) / TICKS_PER_S


def busy_s() -> float:
    """Processor time so far that was not idle, of the whole machine, interrupts included."""
    user, nice, system, _, _, *rest = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    return sum(map(int, (user, nice, system, *rest))) / TICKS_PER_S


def anonymous_bytes(pids: Iterable[int]) -> int:
    """Memory of these processes and all below them, without any page of a file.

    RssAnon: heap, stacks and private mappings. A file on a RAM disk that a process maps counts as
    RssShmem, and is left out like the page cache that it is.
    """
    return sum(_rss_anon_bytes(pid) for pid in families(pids))


def families(pids: Iterable[int]) -> Iterator[int]:
    for pid in pids:
        yield pid
        yield from families(_children(pid))


def _children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in _read(task / "children").split()]
    except OSError:
        return []


def _ticks(pid: int) -> int:
    _, _, fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")
    return sum(int(field) for field in fields.split()[UTIME:CUTIME_END])


def _rss_anon_bytes(pid: int) -> int:
    for line in _read(Path(f"/proc/{pid}/status")).splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def _read(path: Path) -> str:
    """Give the text, or nothing when the process has just ended."""
    try:
        return path.read_text()
    except OSError:
        return ""
