"""Keeps what could not be saved until it can be. Knows neither the changes nor where they go."""

import logging
from collections import deque
from collections.abc import Sequence

from shoal.broker.settings import ServerSettings
from shoal.broker.stores import NotSavedError, Store
from shoal.broker.tracking.changes import Change

_log = logging.getLogger("shoal.tracker")


class Saver:
    """Saves changes in order. While the disk fails, the tracker goes on from memory."""

    def __init__(self, store: Store, settings: ServerSettings) -> None:
        self.failure_count = 0
        self.trouble = ""  # The store is asked for it, in this thread.
        self._outage_count = 0
        self._store = store
        self._settings = settings
        self._unsaved: deque[Change] = deque(maxlen=settings.max_unsaved_changes)
        self._retry_at = 0.0
        self._warn_at = 0.0

    def save(self, changes: Sequence[Change], now: float) -> bool:
        """Save the changes, after those that could not be saved before; say whether all are."""
        self._unsaved.extend(changes)
        if not self._unsaved:
            return True
        if now < self._retry_at:
            return False
        try:
            self._store.exchange(self._unsaved)
        except NotSavedError as error:
            self.failure_count += 1
            self._outage_count += not self._retry_at
            self._retry_at = now + self._settings.retry_save_s
            self._warn(error, now)
            return False
        if self._retry_at:
            _log.warning("the tracker's state is being saved again")
        self._unsaved.clear()
        self._retry_at = self._warn_at = 0.0
        return True

    def catch_up(self, now: float) -> None:
        """Nobody else has decided anything."""

    def taken_notified(self) -> tuple[str, ...]:
        return ()

    def counts(self) -> dict[str, int]:
        """Return what is counted."""
        away = bool(self._retry_at)
        counted = {"failed_saves": self.failure_count, "store_outages": self._outage_count}
        return counted | {"store_away": int(away), "unsaved_changes": len(self._unsaved)}

    def deadline(self) -> float | None:
        return None

    def close(self) -> None: ...

    def _warn(self, error: NotSavedError, now: float) -> None:
        if now < self._warn_at:
            return
        self._warn_at = now + self._settings.warn_every_s
        _log.warning("cannot save the tracker's state (%s); continuing, and retrying", error)
