"""The chunks that are missing, and which of them nobody is asked for. Knows no holder."""

from typing import TYPE_CHECKING

from shoal.node.scheduling.twins import Twins
from shoal.protocol import bitmap

if TYPE_CHECKING:
    from random import Random


class Wanted:
    """Sets of chunks (protocol.bitmap): `missing`, and `free`, the part of it not asked for."""

    def __init__(self, count: int, have: int, needed: int, rng: "Random", twins: Twins) -> None:
        """Want those of `count` chunks that are `needed` and not in `have`.

        Of `twins` one is asked for at a time, and with it all of them arrive.
        """
        self.missing = needed & ~have
        self.free = self.missing
        self._have_or_missing = have | needed
        self._count = count
        self._rng = rng
        self._twins = twins

    @property
    def is_complete(self) -> bool:
        return self.missing == 0

    @property
    def have(self) -> int:
        return self._have_or_missing & ~self.missing

    def with_twins(self, bits: int) -> int:
        """Return these and all with the same bytes: nobody else is to be asked for them."""
        return self._twins.with_all(bits)

    def arrived(self, index: int) -> int:
        """Note that a chunk is there, and its twins are; return which of them were missing."""
        came = self._twins.of(index) & self.missing
        self.missing &= ~came
        self.free &= ~came
        return came

    def claim(self, bits: int) -> None:
        """Note that somebody is asked for these."""
        self.free &= ~bits

    def release(self, bits: int) -> None:
        """Note that nobody is about to deliver these any more."""
        self.free |= bits & self.missing

    def next_of(self, candidates: int, *, scattered: bool) -> int:
        """Return which of the candidates (protocol.bitmap, not empty) to ask for first.

        Whole holders are asked for one after the other, which suits their disks. In a swarm
        (`scattered`) it is the first one from a random chunk on, or all hosts would have the same
        and nothing to exchange.
        """
        if not scattered:
            return bitmap.lowest(candidates)
        start = int(self._rng.random() * self._count)
        return bitmap.lowest(candidates >> start << start or candidates)
