"""How the rate at which a node may send is shared by those it sends to. Sets nothing itself.

The kernel spaces what leaves over a connection. What all of them send together is bounded by a
bucket (Pacing): a connection whose reply has left still has some in the kernel when the next one
begins. So the kernel may be a little quicker, and make up for a moment in which nothing left.
"""

import collections
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoal.node.serving.steps import Source

HEADROOM = 1.05


class Shares:
    """Which pace each connection has that something is being sent over."""

    def __init__(self) -> None:
        self.rate: int | None = None  # What all may send together, in bytes/s.
        self.to_hosts: Mapping[str, int] = {}  # What may be sent to single hosts, in bytes/s.
        self._paces: dict[Source, int] = {}

    def changes(self, active: "Collection[Source]", sharing: int) -> "list[tuple[Source, int]]":
        """Return those that have another pace from now on, in bytes/s.

        Args:
            active: all that something is being sent to.
            sharing: how many of them can take a full share.
        """
        rate = self.rate
        assert rate is not None
        pace = int(HEADROOM * rate / max(sharing, 1))
        before, self._paces = self._paces, dict.fromkeys(active, pace)
        if self.to_hosts:
            counts = collections.Counter(source.address for source in active)
            for source in active:
                most = self.to_hosts.get(source.address, rate) // counts[source.address]
                self._paces[source] = min(pace, int(HEADROOM * most))
        return [
            (source, pace) for source, pace in self._paces.items() if before.get(source) != pace
        ]

    def end(self) -> None:
        """Note that there is no limit any more."""
        self._paces = {}
