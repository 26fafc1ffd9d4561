"""Which holders to name in an answer, when there are more than it may name. Knows no state."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from protocol.messages import Holder

if TYPE_CHECKING:
    from random import Random

PARTIAL_SHARE = 4


def choose(
    holders: Sequence[Holder],
    count: int,
    near: Collection[str],
    rng: "Random",
) -> list[Holder]:
    """Return at most `count` of `holders`, drawn at random.

    Whole holders come before partial ones, but a quarter of the places is kept for the latter: they
    have upload capacity that nobody would use otherwise. In each kind, half of the places go to
    holders `near` the asker, if there are as many; those far away are never excluded,
    because hard partitions by locality starve the group that has no seed.
    """
    whole = [holder for holder in holders if holder.complete]
    partial = [holder for holder in holders if not holder.complete]
    kept = min(len(partial), max(count // PARTIAL_SHARE, count - len(whole)))
    chosen = _favouring_near(whole, count - kept, near, rng)
    return chosen + _favouring_near(partial, count - len(chosen), near, rng)


def _favouring_near(
    holders: list[Holder], count: int, near: Collection[str], rng: "Random"
) -> list[Holder]:
    if len(holders) <= count:
        return holders
    neighbours = [holder for holder in holders if holder.node in near]
    chosen = rng.sample(neighbours, min(len(neighbours), count // 2))
    names = {holder.node for holder in chosen}
    rest = [holder for holder in holders if holder.node not in names]
    return chosen + rng.sample(rest, count - len(chosen))
