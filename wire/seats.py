"""Which connections have to go when there are too many. Knows nothing of sockets, and ends none.

Those that have not asked anything yet go first, as only strangers have many of them: an honest
client asks at once. Then those go that have been silent longest. Of all hosts, that with most of
them has to give one up: so a host that opens many connections takes the room of nobody else's.
"""

from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar


class Guest(Hashable, Protocol):
    """A connection: from which host it comes, and when it began, in seconds."""

    @property
    def address(self) -> str: ...
    @property
    def begun_at(self) -> float: ...


G = TypeVar("G", bound=Guest)


class Seats(Generic[G]):
    """Those that are open. All limits are numbers of connections."""

    def __init__(self, most: int, most_from_one_host: int, most_silent: int) -> None:
        """`most_silent` is how many may never have asked anything; for a moment twice as many."""
        self._most = most
        self._most_from_one_host = most_from_one_host
        self._most_silent = min(most_silent, most)
        self._silent: _Line[G] = _Line()  # Those that have not asked anything yet.
        self._known: _Line[G] = _Line()

    @property
    def count(self) -> int:
        return self._silent.count + self._known.count

    def put(self, guest: G) -> G | None:
        """Let one in; return the one that has to go for it, if there are too many."""
        host, silent, known = guest.address, self._silent, self._known
        silent.add(guest)
        count = silent.count_of(host)
        if count + known.count_of(host) > self._most_from_one_host:
            is_silent = count > self._most_from_one_host // 2 or not known.count_of(host)
            return (silent if is_silent else known).first_of(host)
        if silent.count > 2 * self._most_silent:
            return silent.first()
        if self.count > self._most:
            is_silent = silent.count > self._most_silent // 2 or not known.count
            return (silent if is_silent else known).first()
        return None

    def heard(self, guest: G) -> None:
        """Note that one has asked something; one that has been removed stays so."""
        if guest in self._known:
            self._known.remove(guest)
        elif guest in self._silent:
            self._silent.remove(guest)
        else:
            return
        self._known.add(guest)

    def remove(self, guest: G) -> None:
        for line in (self._silent, self._known):
            if guest in line:
                line.remove(guest)

    def overdue(self, began_before: float) -> G | None:
        """Return one that has to go as too many are silent, and had the time to ask; or None."""
        if self._silent.count <= self._most_silent:
            return None
        for first in (self._silent.first(), self._silent.oldest()):
            if first.begun_at < began_before:
                return first
        return None


class _Line(Generic[G]):
    """Guests in order for each host, and which host has most of them; all in constant time."""

    def __init__(self) -> None:
        self._all: dict[G, None] = {}
        self._of: dict[str, dict[G, None]] = {}
        self._hosts: dict[int, dict[str, None]] = {}  # By how many they have.
        self._largest = 0

    @property
    def count(self) -> int:
        return len(self._all)

    def __contains__(self, guest: G) -> bool:
        return guest in self._all

    def count_of(self, host: str) -> int:
        return len(self._of.get(host, ()))

    def add(self, guest: G) -> None:
        of_host = self._of.setdefault(guest.address, {})
        of_host[guest] = self._all[guest] = None
        self._move(guest.address, len(of_host) - 1, len(of_host))

    def remove(self, guest: G) -> None:
        of_host = self._of[guest.address]
        del of_host[guest], self._all[guest]
        self._move(guest.address, len(of_host) + 1, len(of_host))
        if not of_host:
            del self._of[guest.address]

    def oldest(self) -> G:
        return next(iter(self._all))

    def first_of(self, host: str) -> G:
        return next(iter(self._of[host]))

    def first(self) -> G:
        """Return the first one of the host that has most."""
        return self.first_of(next(iter(self._hosts[self._largest])))

    def _move(self, host: str, before: int, after: int) -> None:
        if before:
            del self._hosts[before][host]
            if not self._hosts[before]:
                del self._hosts[before]
        if after:
            self._hosts.setdefault(after, {})[host] = None
        # It changes by one at a time, and the host itself is at the next smaller number then.
        if after > self._largest or self._largest not in self._hosts:
            self._largest = after
