"""Half of the holders killed, stopped or cut off at random times; each chunk has two holders."""

import contextlib
import dataclasses
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.faults.scene import Fetched, Scene, scene
from tests.integration.cluster import noise

RATE_MBIT = 100.0
PAIRS = {"left.bin": ("n2", "n3"), "right.bin": ("n4", "n5")}
HOSTS = 5
LIMIT_S = 60.0
SHORT_BYTES, LONG_BYTES = 4 << 20, 16 << 20
FAULTS = ("killed", "stopped", "cut off")


@dataclasses.dataclass(frozen=True)
class Loss:
    """One holder that is lost once a share of a thing has come."""

    thing: str
    node: str
    fault: str
    at: float

    def __str__(self) -> str:
        return f"{self.node} {self.fault} at {self.at:.0%}"


@dataclasses.dataclass(frozen=True)
class Run:
    """What one run lost, and the longest time in which nothing of a thing came."""

    losses: list[Loss]
    stall_s: float
    elapsed_s: float
    twice_bytes: int

    def __str__(self) -> str:
        lost = ", ".join(map(str, self.losses))
        return f"{lost}: {self.elapsed_s:.1f} s, longest stall {self.stall_s:.2f} s"


def drawn(rng: random.Random, faults: Sequence[str] = FAULTS) -> list[Loss]:
    """Draw one of each pair, what befalls it, and when."""
    return [
        Loss(name, rng.choice(pair), rng.choice(faults), rng.uniform(0.0, 0.98))
        for name, pair in PAIRS.items()
    ]


def run(made: Scene, losses: list[Loss]) -> Run:
    """Fetch all things at once while their holders are lost; all of it must arrive."""
    with ThreadPoolExecutor(len(losses)) as pool:
        fetches = list(pool.map(lambda loss: _fetch(made, loss), losses))
    made.restore()
    return Run(
        losses,
        max(one.stall_s for one in fetches),
        max(one.elapsed_s for one in fetches),
        sum(one.document["duplicate_bytes"] for one in fetches),
    )


def _fetch(made: Scene, loss: Loss) -> Fetched:
    befall = {"killed": made.kill, "stopped": made.stop, "cut off": made.cut}[loss.fault]
    return made.fetch(loss.thing, lambda: befall(loss.node), loss.at, LIMIT_S)


@contextlib.contextmanager
def pairs(size_bytes: int) -> Iterator[Scene]:
    """Give a cluster where each thing, of that size, has two holders; n1 has nothing."""
    sources = {name: noise(size_bytes, seed) for seed, name in enumerate(PAIRS, start=1)}
    with scene(HOSTS, RATE_MBIT, sources, PAIRS) as made:
        yield made
