"""Which row each version has in the tracker's database. Knows no SQL."""

from collections.abc import Mapping

from shoal.broker import rows


class Serials:
    """The rows by name and id. Changes are final when the transaction is committed.

    In memory, 190 MiB for 1,000,000 versions: an index would double the file.
    """

    def __init__(self, saved: Mapping[rows.Key, int]) -> None:
        self._saved = dict(saved)
        self._fresh: dict[rows.Key, int] = {}
        self._last = max(saved.values(), default=0)

    def find(self, key: rows.Key) -> int:
        """Return the serial of a version; 0 if it has none."""
        serial = self._fresh.get(key)
        return self._saved.get(key, 0) if serial is None else serial

    def allot(self, key: rows.Key) -> int:
        """Return the serial of a version; if it has none, it gets the next."""
        serial = self.find(key)
        if not serial:
            self._last += 1
            serial = self._fresh[key] = self._last
        return serial

    def drop(self, key: rows.Key) -> int:
        serial = self.find(key)
        self._fresh[key] = 0
        return serial

    def commit(self) -> None:
        for key, serial in self._fresh.items():
            if serial:
                self._saved[key] = serial
            else:
                self._saved.pop(key, None)
        self._fresh.clear()

    def roll_back(self) -> None:
        self._fresh.clear()
