"""The ideas of the swarm's policy, each of which can be switched off, here and nowhere else.

An idea is switched off by other values of the constants that make it, or by another function. The
product has no switches: it does not know that it is simulated.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence
from random import Random
from types import ModuleType
from typing import Any, NamedTuple
from unittest import mock

from shoal.broker.tracking import handout
from shoal.node.fetching import manifest_requests, roster
from shoal.node.fetching.settings import FetchSettings
from shoal.node.scheduling import hedges, holders, scheduler
from shoal.node.scheduling.holders import Peer
from shoal.node.scheduling.wanted import Wanted
from shoal.node.serving import demand, pacing
from shoal.protocol import bitmap

from tests.simulation import host, swarm

MEBIBYTE = 1 << 20


class Change(NamedTuple):
    """What is in the place of something of a module or class while an idea is switched off."""

    of: ModuleType | type
    name: str
    value: Any


class Idea(NamedTuple):
    what: str
    instead: str
    changes: Sequence[Change]


def _in_order(_: Wanted, candidates: int, *, is_scattered: bool) -> int:
    del is_scattered
    return bitmap.lowest(candidates)


def _one_sided(one: str, other: str) -> int:
    """Return a distance that each node draws for itself."""
    return Random(f"{one}\n{other}").getrandbits(64)


def _at_random(_: str, rng: Random, named: list[str], count: int) -> list[str]:
    return rng.sample(named, count)


def _always_30_s(*_: Any) -> float:
    return holders.MOST_PATIENCE_S


def _settings(**changed: float) -> Change:
    return Change(host, "SETTINGS", FetchSettings(**changed))  # type: ignore[arg-type]


IDEAS = {
    "super-seeding": Idea(
        "a whole holder that several nodes ask sends each chunk once before any twice",
        "it sends what it is asked for",
        [Change(demand, "RECENT_REQUESTS", 1)],
    ),
    "random-order": Idea(
        "in a swarm, any of the free chunks is as likely as any other",
        "the first one",
        [Change(Wanted, "pick", _in_order)],
    ),
    "early-lookups": Idea(
        "the tracker is asked again after 0.02 s, then at doubling intervals up to 3 s",
        "every 3 s",
        [_settings(requery_first_s=3.0)],
    ),
    "guesses": Idea(
        "holders that may have something by now are asked for it",
        "only those that are known to have something",
        [Change(scheduler, "GUESSES", 0)],
    ),
    "slowing-guesses": Idea(
        "a holder that has had no news for long is asked less often",
        "every 0.02 s",
        [Change(holders, "QUIET_SHARE", math.inf)],
    ),
    "same-neighbours": Idea(
        "two nodes are equally far from each other",
        "each node draws an order of its own",
        [Change(roster, "distance", _one_sided), Change(handout, "distance", _one_sided)],
    ),
    "near-names": Idea(
        "three in four of the partial holders that the tracker names are near the asker",
        "all are drawn at random",
        [Change(handout, "_favouring_next", _at_random)],
    ),
    "bounded-circle": Idea(
        "the nearest 32 holders are asked",
        "all that are known",
        [_settings(most_holders=100_000)],
    ),
    "several-manifests": Idea(
        "a second holder is asked for the manifest after 0.1 s; one that many ask refers to others",
        "the first is waited for, and sends it to all",
        [
            Change(manifest_requests, "FIRST_S", 60.0),
            Change(manifest_requests, "MOST_S", 60.0),
            Change(manifest_requests, "MOST_RESTS", 0),
        ],
    ),
    "hedges": Idea(
        "at the end, idle holders take over requests that are far too slow",
        "each chunk is waited for until it is overdue",
        [Change(hedges, name, 0) for name in ("LEAST_HEDGES", "LAST_CHUNKS")]
        + [Change(hedges, "HEDGED_SHARE", 1 << 30)],
    ),
    "pacing": Idea(
        "on slow links 2 to 6 replies are sent at a time",
        "8",
        [Change(pacing, "SLOW_BYTES_PER_S", 0.0)],
    ),
    "windows": Idea(
        "a holder's window shrinks while its replies take more than 0.6 s",
        "it only grows",
        [
            Change(holders, "QUEUED_LATENCY_S", math.inf),
            Change(holders, "CALM_LATENCY_S", math.inf),
        ],
    ),
    "far-windows": Idea(
        "the way to a far holder does not count as latency, and two chunks are always on it",
        "no holder is far",
        [Change(holders, "FAR_S", math.inf)],
    ),
    "measured-patience": Idea(
        "when a request is overdue depends on its holder's latency and the best pace so far",
        "after 30 s",
        [Change(Peer, "patience_s", _always_30_s)],
    ),
    "patience-at-pace": Idea(
        "no request is overdue before 16 chunks could have come at the best pace so far",
        "four latencies of its holder are enough",
        [Change(holders, "QUEUED_CHUNKS", 0), Change(holders, "FIRST_PATIENCE_BYTES", 1 << 40)],
    ),
    "short-chunks": Idea(
        "chunks of 128 or 160 KiB for files of up to 160 MiB",
        "1 MiB",
        [Change(swarm, "CHUNK_BYTES", MEBIBYTE)],
    ),
}


@contextlib.contextmanager
def without(names: Sequence[str]) -> Iterator[None]:
    """Switch these ideas off meanwhile, also in processes that are forked."""
    with contextlib.ExitStack() as stack:
        for name in names:
            for change in IDEAS[name].changes:
                stack.enter_context(mock.patch.object(change.of, change.name, change.value))
        yield


def lines() -> str:
    """Return a line for each idea, and what is in its place when it is switched off."""
    width = max(map(len, IDEAS))
    return "\n".join(
        f"{name:{width}}  {idea.what}; without it: {idea.instead}" for name, idea in IDEAS.items()
    )
