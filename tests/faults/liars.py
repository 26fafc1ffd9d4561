"""Nine holders of ten that are bad, each kind in its way; the tenth is a real node, and honest."""

import contextlib
import dataclasses
import functools
import random
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import zmq
from shoal.protocol.messages import Holding, Leave, Update

from tests.faults.announce import tell
from tests.faults.drip import Drip
from tests.integration.cluster import Cluster, cluster_in, noise, port_of
from tests.unit.node import hostile
from tests.unit.node.hostile import LIARS, NUISANCES, AnyHolder, Way
from tests.unit.node.things import id_of, plain

Context = zmq.Context[zmq.Socket[bytes]]

NAME = hostile.NAME
DATA, OLD = noise(2 << 20), noise(2 << 20, seed=2)
BAD = 9
HONEST, ASKER = "honest", "asker"
LIMIT_S = 60.0
DROPPED_HONEST = re.compile(rf": dropped {HONEST}: it (.+)$", re.MULTILINE)


class Bad(NamedTuple):
    """How one bad holder answers, and from which bytes."""

    way: Way
    data: bytes = DATA
    drips: bool = False


KINDS: Mapping[str, Bad] = {
    "wrong bytes": Bad(LIARS["wrong bytes"]),
    "short": Bad(LIARS["short"]),
    "long": Bad(LIARS["long"]),
    "another chunk": Bad(LIARS["another index"]),
    "stale version": Bad(hostile.HONEST, OLD),
    "wrong manifest": Bad(LIARS["false manifest"]),
    "garbage": Bad(LIARS["garbage"]),
    "silent": Bad(NUISANCES["silent"]),
    "silent after the manifest": Bad(NUISANCES["silent later"]),
    "1 kB/s": Bad(hostile.HONEST, drips=True),
    "errors": Bad(NUISANCES["refuses"]),
    "busy for ever": Bad(NUISANCES["busy for ever"]),
    "claims all, has none": Bad(NUISANCES["has nothing"]),
}
MIXED = "each in its way"
SHORT = ("wrong bytes", "stale version", "1 kB/s", "claims all, has none", MIXED)


@dataclasses.dataclass(frozen=True)
class Run:
    """What a fetch among nine bad holders took."""

    elapsed_s: float
    wrong_chunks: int
    from_honest_bytes: int


def drawn(kind: str, rng: random.Random) -> list[Bad]:
    """Return nine of a kind, or nine different ones."""
    return rng.sample(list(KINDS.values()), BAD) if kind == MIXED else [KINDS[kind]] * BAD


def run(cluster: Cluster, bad: list[Bad], number: int) -> Run:
    """Fetch from all ten; what comes must be right, and the honest one must stay."""
    with bad_holders(cluster, bad, number):
        seen = len(cluster.log("node", ASKER))
        done = cluster.run("fetch", NAME, "--as", ASKER, "--json", limit_s=LIMIT_S)
    log = cluster.log("node", ASKER)[seen:]
    assert done.exit_code == 0, f"{done}\n{log}"
    assert cluster.files(ASKER) == {NAME: DATA}
    assert not DROPPED_HONEST.search(log), log
    cluster.forget_all(ASKER)
    told = done.json
    return Run(done.elapsed_s, told["wrong_chunks"], told["holders"].get(HONEST, 0))


@contextlib.contextmanager
def ten_holders(folder: Path) -> Iterator[Cluster]:
    """Give a cluster whose real nodes are the honest holder and the one that asks."""
    with cluster_in(folder, nodes=(HONEST, ASKER)) as cluster:
        cluster.put(NAME, DATA, HONEST)
        cluster.start(HONEST, ASKER)
        yield cluster


@contextlib.contextmanager
def bad_holders(cluster: Cluster, bad: list[Bad], number: int) -> Iterator[None]:
    """Have these announce themselves, under names of that number, and answer."""
    context: Context = zmq.Context()
    with contextlib.ExitStack() as stack:
        stack.callback(context.destroy, linger=0)
        says = functools.partial(tell, context, cluster.tracker_address)
        for index, each in enumerate(bad):
            holder = AnyHolder(context, each.data, each.way)
            holder.thing = plain(DATA)
            stack.callback(holder.stop)
            address = holder.address
            if each.drips:
                address = stack.enter_context(Drip(port_of(address))).address
            node = f"bad-{number}-{index}"
            holding = Holding(NAME, id_of(holder.thing), len(DATA))
            says(Update(node, address, 1, 1, (holding,)))
            stack.callback(says, Update(node, address, 1, 2, replace=True), Leave(node, 1))
        yield
