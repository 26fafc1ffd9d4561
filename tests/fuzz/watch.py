"""Watches one decoder take inputs, and notes those for which it breaks a promise."""

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.fuzz.decoder import Decoder, Read

MOST_S = 0.050
MOST_BYTES = 32 << 20
BATCH = 500  # Memory is looked at once for so many, and for each only if they took too much.
STATUS = Path("/proc/self/status")
CLEAR = Path("/proc/self/clear_refs")


class Finding(NamedTuple):
    """An input for which a decoder broke a promise, and how."""

    data: bytes
    trouble: str


class Watch:
    """One decoder, and what was found of it."""

    def __init__(self, decoder: Decoder, read: Read, tell: Callable[[Finding], None]) -> None:
        self._decoder = decoder
        self._read = read
        self._tell = tell
        self._batch: list[bytes] = []
        self._before = _reset_peak_bytes()

    def take(self, data: bytes) -> None:
        """Have an input decoded."""
        trouble = trouble_with(self._decoder, self._read, data)
        if trouble is not None:
            self._tell(Finding(data, trouble))
        self._batch.append(data)
        if len(self._batch) == BATCH:
            self.end()

    def end(self) -> None:
        """Look at how much memory the last inputs took."""
        batch, self._batch = self._batch, []
        if _peak_bytes() - self._before > MOST_BYTES:
            self._tell_of_the_hungry(batch)
        self._before = _reset_peak_bytes()

    def _tell_of_the_hungry(self, batch: Sequence[bytes]) -> None:
        for data in batch:
            before = _reset_peak_bytes()
            trouble_with(self._decoder, self._read, data)
            taken = _peak_bytes() - before
            if taken > MOST_BYTES:
                self._tell(Finding(data, f"took {taken >> 20} MiB"))


def trouble_with(decoder: Decoder, read: Read, data: bytes) -> str | None:
    """Return which promise the decoder breaks for an input, other than that of memory."""
    began = time.perf_counter()
    try:
        read(data)
    except decoder.refusals:
        pass
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        return f"raised {type(error).__name__}: {error}"[:300]
    if time.perf_counter() - began > MOST_S and _least_s(decoder, read, data) > MOST_S:
        return f"took more than {MOST_S * 1000:.0f} ms"
    return None


def _least_s(decoder: Decoder, read: Read, data: bytes) -> float:
    """Return the least time of some, as other processes slow down the processor."""
    times: list[float] = []
    for _ in range(10):
        began = time.process_time()
        try:
            read(data)
        except decoder.refusals:
            pass
        times.append(time.process_time() - began)
    return min(times)


def _reset_peak_bytes() -> int:
    CLEAR.write_text("5")  # proc(5): the peak is what is resident now.
    return _field_bytes("VmRSS")


def _peak_bytes() -> int:
    return _field_bytes("VmHWM")


def _field_bytes(field: str) -> int:
    match = re.search(rf"^{field}:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)
    assert match is not None
    return int(match[1]) << 10
