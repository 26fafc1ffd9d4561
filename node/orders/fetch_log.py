"""The log's lines about one fetch: begun, done or failed, with its figures. Fetches nothing."""

import logging
import time

from shoal.protocol.control import Fetched, Working
from shoal.protocol.errors import OperatorError
from shoal.protocol.names import display

log = logging.getLogger("shoal.node")

SHOWN_DIGITS = 12  # Of an id.


class FetchLog:
    """One fetch, from its first line to its last."""

    def __init__(self, what: str, *, is_pushed: bool) -> None:
        """`what` is as it was ordered; it may have been pushed."""
        self._what = _shown(what)
        self._started = time.monotonic()
        self._working: Working | None = None
        self._is_pushed = is_pushed
        self._fields = {"what": what, "pushed": is_pushed}

    def begin(self) -> None:
        """Say that it begins."""
        pushed = ", which is pushed" if self._is_pushed else ""
        log.info("fetching %s%s", self._what, pushed, extra=self._extra("fetch_begun"))

    def note(self, working: Working) -> None:
        """Take in how far it is."""
        self._working = working

    def done(self, fetched: Fetched) -> None:
        """Say what came of it: how much from how many, and how quickly."""
        seconds, count = fetched.elapsed_s, len(fetched.holders)
        rate = fetched.fetched_bytes / seconds if seconds else 0.0
        came = f", {rate / 1e6:.1f} MB/s from {count} node{'s' * (count != 1)}" if count else ""
        figures = {
            "id": fetched.id,
            "bytes": fetched.size_bytes,
            "fetched_bytes": fetched.fetched_bytes,
            "reused_bytes": fetched.reused_bytes,
            "seconds": seconds,
            "bytes_per_s": round(rate),
            "holders": count,
        }
        told = self._what, fetched.size_bytes, seconds, came
        log.info(
            "fetched %s: %d bytes in %.2f s%s", *told, extra=self._extra("fetch_done", figures)
        )

    def failed(self, error: OperatorError) -> None:
        """Say why it came to nothing, and how far it was."""
        seconds, working = time.monotonic() - self._started, self._working
        had = working.have_bytes if working is not None else 0
        reason = str(error)
        figures = {"bytes": had, "seconds": round(seconds, 3), "reason": reason}
        told = self._what, display(reason), had, seconds
        extra = self._extra("fetch_failed", figures)
        log.info("fetching %s failed: %s (%d bytes in %.2f s)", *told, extra=extra)

    def _extra(self, event: str, more: dict[str, object] | None = None) -> dict[str, object]:
        return {"fields": {"event": event, **self._fields, **(more or {})}}


def _shown(what: str) -> str:
    """Return what is fetched as a line has it: of NAME@ID, the first digits of the id."""
    name, found, digits = what.rpartition("@")
    return display(f"{name}@{digits[:SHOWN_DIGITS]}" if found else what)
