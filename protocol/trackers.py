"""Which of a cluster's trackers to ask: all of them know the same. Asks none, and reads no clock.

Rendezvous hashing (Thaler and Ravishankar, 1998) gives everybody an order of their own, so each
tracker is the first of an equal part of the nodes, and one that fails is replaced by all others.
"""

import math
from collections.abc import Iterable

from blake3 import blake3

RETURN_S = 30.0  # A tracker that has not answered is tried again after this.


class Trackers:
    """The trackers in the order in which `who` prefers them. May be used from any thread."""

    def __init__(self, addresses: Iterable[str], who: str = "") -> None:
        self.addresses = tuple(sorted(addresses, key=lambda address: _rank(who, address)))
        self._failed_at: dict[str, float] = {}

    def current(self, now: float) -> str:
        """Return the address of the one to ask at `now`, in monotonic seconds.

        That is the first that has not failed of late; if all have, the one that did so first.
        """
        failed_at = self._failed_at
        for address in self.addresses:
            if now >= failed_at.get(address, -math.inf) + RETURN_S:
                return address
        return min(self.addresses, key=failed_at.__getitem__)

    def failed(self, address: str, now: float) -> None:
        """Note that one did not answer."""
        self._failed_at[address] = now


def _rank(who: str, address: str) -> bytes:
    return blake3(f"{who} {address}".encode("utf-8", "surrogateescape")).digest()
