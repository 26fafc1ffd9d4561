"""Which holders to name in an answer, if there are more than fit. Knows no state."""

import functools
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from shoal.protocol.distance import distance
from shoal.protocol.messages import Holder

if TYPE_CHECKING:
    from random import Random

PARTIAL_SHARE = 4  # One place in four is kept for partial holders.
RANDOM_SHARE = 4  # One place in four is drawn at random from all that are left.

Draw = Callable[[list[Holder], int], list[Holder]]


def choose(
    holders: Sequence[Holder],
    count: int,
    asker: str | None,
    near: Collection[str],
    rng: "Random",
) -> list[Holder]:
    """Return at most `count` of `holders`, drawn at random.

    Complete holders come before partial ones, but a quarter of the places is kept for the latter:
    they have upload capacity that would otherwise be idle. Of each kind, half of the places go to
    holders `near` the asker, if there are as many. Those far away are never excluded: hard
    partitions by locality starve the group that has no seed.

    Three in four partial holders are those that the asker will ask before others, by the distance
    of their names (docs/build/swarm.md): if all were drawn at random, the nodes that came first
    would be known to everybody, and be asked by twice as many. The rest is drawn at random, or a
    node that chooses its name well could be the only one that an asker hears of.
    """
    whole = [holder for holder in holders if holder.complete]
    partial = [holder for holder in holders if not holder.complete]
    kept = min(len(partial), max(count // PARTIAL_SHARE, count - len(whole)))
    chosen = _favouring_near(whole, count - kept, near, rng.sample)
    draw = rng.sample if asker is None else functools.partial(_favouring_next, asker, rng)
    return chosen + _favouring_near(partial, count - len(chosen), near, draw)


def _favouring_near(
    holders: list[Holder], count: int, near: Collection[str], draw: Draw
) -> list[Holder]:
    if len(holders) <= count:
        return holders
    neighbours = [holder for holder in holders if holder.node in near]
    chosen = draw(neighbours, min(len(neighbours), count // 2))
    names = {holder.node for holder in chosen}
    rest = [holder for holder in holders if holder.node not in names]
    return chosen + draw(rest, count - len(chosen))


def _favouring_next(asker: str, rng: "Random", holders: list[Holder], count: int) -> list[Holder]:
    in_order = sorted(holders, key=lambda holder: distance(asker, holder.node))
    first = count - count // RANDOM_SHARE
    return in_order[:first] + rng.sample(in_order[first:], count - first)
