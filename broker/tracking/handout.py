"""Which holders to name in an answer, if there are more than fit. Knows no state."""

import functools
from collections.abc import Callable, Collection, Container
from typing import TYPE_CHECKING, NamedTuple

from shoal.protocol.distance import distance

if TYPE_CHECKING:
    from random import Random

PARTIAL_SHARE = 4  # One place in four is kept for partial holders.
RANDOM_SHARE = 4  # One place in four is drawn at random from all that are left.

Draw = Callable[[list[str], int], list[str]]


class Nodes(NamedTuple):
    """The names of nodes that hold something: all of it, or part of it."""

    whole: list[str]
    partial: list[str]


def choose(
    holders: Nodes,
    count: int,
    asker: str | None,
    near: Collection[str],
    rng: "Random",
    listed: Container[str],
) -> Nodes:
    """Return at most `count` of `holders`, drawn at random.

    Those that are `listed` in the cluster file come first, of each kind: a thousand strangers that
    say they hold something must not push out the one that does.

    Complete holders come before partial ones, but a quarter of the places is kept for the latter:
    they have upload capacity that would otherwise be idle. Of each kind, half of the places go to
    holders `near` the asker, if there are as many. Those far away are never excluded: hard
    partitions by locality starve the group that has no seed.

    Three in four partial holders are those that the asker will ask before others, by the distance
    of their names (docs/build/swarm.md): if all were drawn at random, the nodes that came first
    would be known to everybody, and be asked by twice as many. The rest is drawn at random, or a
    node that chooses its name well could be the only one that an asker hears of.
    """
    whole, partial = holders
    kept = min(len(partial), max(count // PARTIAL_SHARE, count - len(whole)))
    chosen = _favouring_listed(whole, count - kept, near, rng.sample, listed)
    draw = rng.sample if asker is None else functools.partial(_favouring_next, asker, rng)
    return Nodes(chosen, _favouring_listed(partial, count - len(chosen), near, draw, listed))


def _favouring_listed(
    holders: list[str],
    count: int,
    near: Collection[str],
    draw: Draw,
    listed: Container[str],
) -> list[str]:
    strangers = [node for node in holders if node not in listed]
    if not strangers:
        return _favouring_near(holders, count, near, draw)
    members = [node for node in holders if node in listed]
    chosen = _favouring_near(members, count, near, draw)
    return chosen + _favouring_near(strangers, count - len(chosen), near, draw)


def _favouring_near(holders: list[str], count: int, near: Collection[str], draw: Draw) -> list[str]:
    if len(holders) <= count:
        return holders
    neighbours = [node for node in holders if node in near]
    chosen = draw(neighbours, min(len(neighbours), count // 2))
    names = set(chosen)
    rest = [node for node in holders if node not in names]
    return chosen + draw(rest, count - len(chosen))


def _favouring_next(asker: str, rng: "Random", holders: list[str], count: int) -> list[str]:
    in_order = sorted(holders, key=functools.partial(distance, asker))
    first = count - count // RANDOM_SHARE
    return in_order[:first] + rng.sample(in_order[first:], count - first)
