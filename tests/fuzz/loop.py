"""Feeds one decoder mutated inputs and reports those that break a promise.

It is guided by answers, not by coverage: an input that is refused in words that no other input got
is kept and mutated further.
"""

import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.fuzz.decoders import Decoder, Read
from tests.fuzz.mutation import mutated

MOST_S = 0.050
MOST_BYTES = 32 << 20
BATCH = 500  # Memory is looked at once for so many, and for each only if they took too much.
MAX_POOL = 2000
STATUS = Path("/proc/self/status")
CLEAR = Path("/proc/self/clear_refs")
NOT_ITS_KIND = re.compile(r"[0-9]+|'[^']*'|\"[^\"]*\"|b3:\w+|/\S+")


class Finding(NamedTuple):
    """An input for which a decoder broke a promise, and how."""

    data: bytes
    trouble: str


def fuzzed(decoder: Decoder, read: Read, count: int, rng: Random) -> Iterator[Finding]:
    """Yield what is found in `count` inputs."""
    pool, known = list(decoder.seeds), set[str]()
    for start in range(0, count, BATCH):
        batch = [mutated(rng, pool) for _ in range(min(BATCH, count - start))]
        before = _reset_peak_bytes()
        for data in batch:
            answer, trouble = answered(decoder, read, data)
            if trouble is not None:
                yield Finding(data, trouble)
            if answer not in known and len(pool) < MAX_POOL:
                known.add(answer)
                pool.append(data)
        if _peak_bytes() - before > MOST_BYTES:
            yield from _hungry(decoder, read, batch)


def answered(decoder: Decoder, read: Read, data: bytes) -> tuple[str, str | None]:
    """Return what kind of answer the decoder gives, and which promise that breaks, if any."""
    began = time.perf_counter()
    try:
        value = read(data)
    except decoder.refusals as error:
        answer = NOT_ITS_KIND.sub("#", f"{type(error).__name__}: {error}")[:200]
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        return f"{type(error).__name__}", f"raised {type(error).__name__}: {error}"[:300]
    else:
        answer = f"a {type(value).__name__}"
    if time.perf_counter() - began > MOST_S and _least_s(decoder, read, data) > MOST_S:
        return answer, f"took more than {MOST_S * 1000:.0f} ms"
    return answer, None


def _least_s(decoder: Decoder, read: Read, data: bytes) -> float:
    """Return the least time of three, as another process may have had the processor."""
    times: list[float] = []
    for _ in range(3):
        began = time.process_time()
        try:
            read(data)
        except decoder.refusals:
            pass
        times.append(time.process_time() - began)
    return min(times)


def _hungry(decoder: Decoder, read: Read, batch: Sequence[bytes]) -> Iterator[Finding]:
    for data in batch:
        before = _reset_peak_bytes()
        answered(decoder, read, data)
        taken = _peak_bytes() - before
        if taken > MOST_BYTES:
            yield Finding(data, f"took {taken >> 20} MiB")


def _reset_peak_bytes() -> int:
    CLEAR.write_text("5")  # proc(5): the peak is what is resident now.
    return _field_bytes("VmRSS")


def _peak_bytes() -> int:
    return _field_bytes("VmHWM")


def _field_bytes(field: str) -> int:
    match = re.search(rf"^{field}:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)
    assert match is not None
    return int(match[1]) << 10
