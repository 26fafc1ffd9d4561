"""Networks that lose, delay, reorder, repeat, cut, divide and narrow: what each does to a fetch.

In some cases everything is slow, or away for a while: nobody may be given up. In the others one of
two holders is cut off from the fetcher, which has to go on without it.
"""

import contextlib
import dataclasses
import random
import time
from collections.abc import Callable, Iterator

from tests.faults.scene import Fetched, Scene, scene
from tests.integration.cluster import noise
from tests.multihost.relay import BLACK_HOLE, FAULTS, Relay, Way

HOSTS = 3
RATE_MBIT = 50.0
FILE, TREE = "disk.img", "tree"
FILE_BYTES = 4 << 20
SOURCES = {
    FILE: noise(FILE_BYTES),
    f"{TREE}/large": noise(1 << 20, seed=2),
    f"{TREE}/empty": b"",
    **{f"{TREE}/small/{number}": noise(1000 * number, seed=number) for number in range(9)},
}
LIMIT_S = 60.0


@dataclasses.dataclass(frozen=True)
class Case:
    """What is done, in turn and after so many seconds each, once a share of the bytes has come."""

    steps: tuple[tuple[float, Callable[["Network"], object]], ...]
    at: float = 0.0  # That share; 0 is before the fetch begins.
    is_slow: bool = True  # And nothing else: all holders are alive, and count as such.
    is_relayed: bool = True  # The relays do it.


class Network:
    """A scene whose first two hosts have relays for cables: the fetcher, and one of two holders."""

    def __init__(self, scene: Scene, seed: int) -> None:
        self.scene = scene
        self.ours: Relay = scene.lab.relay(1, seed)
        self.holders: Relay = scene.lab.relay(2, seed + 1)

    def weather(self, way: Way) -> None:
        """Have this befall all that the fetcher sends and receives."""
        self.ours.set(up=way, down=way)

    def rate(self, rate_mbit: float) -> None:
        self.scene.lab.set_rate(1, rate_mbit)

    def clear(self) -> int:
        """Repair everything; return to how many packets something has happened."""
        counts = self.ours.set(), self.holders.set()
        self.rate(RATE_MBIT)
        return sum(number for count in counts for what, number in count.items() if what in FAULTS)

    def run(self, case: Case, name: str, limit_s: float = LIMIT_S) -> Fetched:
        """Fetch under a fault; check what came, and who was given up."""

        def strike() -> None:
            for wait_s, step in case.steps:
                time.sleep(wait_s)
                step(self)

        before = self.clear()
        if not case.at:
            strike()
        try:
            done = self.scene.fetch(name, strike if case.at else _nothing, case.at, limit_s)
        finally:
            befell = self.clear() - before
            self.scene.restore()
        if case.is_relayed and not case.at:  # Otherwise all may have come before it struck.
            assert befell, "the relay has not done what it was to do"
        assert len(done.dropped) == done.document["lost_holders"], done  # A line for each.
        assert done.document["wrong_chunks"] == 0, done
        if case.is_slow:
            assert not done.dropped, done
        return done


def _nothing() -> None:
    pass


def _weather(**way: float) -> Case:
    return Case(((0.0, lambda network: network.weather(Way(**way))),))  # type: ignore[arg-type]


def _rates(*steps: tuple[float, float]) -> Case:
    """Return the case of a link that changes its rate in Mbit/s, after so many seconds each."""

    def change(rate_mbit: float) -> Callable[[Network], None]:
        return lambda network: network.rate(rate_mbit)

    return Case(
        tuple((wait_s, change(rate_mbit)) for wait_s, rate_mbit in steps), 0.1, is_relayed=False
    )


def _cut(host: int, for_s: float | None, at: float = 0.3) -> Case:
    """Return the case of a cable that is out, for a while or for good; ours is that of host 1."""

    def pull(network: Network) -> None:
        network.scene.lab.link(host, up=False)

    def plug(network: Network) -> None:
        network.scene.lab.link(host, up=True)

    steps = ((0.0, pull), *(() if for_s is None else ((for_s, plug),)))
    return Case(steps, at, is_slow=host == 1, is_relayed=False)


def _holder(*, up: Way = Way(), down: Way = Way(), at: float = 0.3) -> Case:  # noqa: B008 (frozen)
    return Case(((0.0, lambda one: one.holders.set(up=up, down=down)),), at, is_slow=False)


def _divided(for_s: float) -> Case:
    """Return the case of one holder in the fetcher's half, and one in the other, for a while."""
    divide = (0.0, lambda network: network.scene.lab.part([3]))
    heal = (for_s, lambda network: network.scene.lab.heal())
    return Case((divide, heal), 0.3, is_slow=False, is_relayed=False)


SHORT = {
    "lost, late, overtaken and repeated": _weather(
        lost=0.02, delay_s=0.01, jitter_s=0.01, held_back=0.1, repeated=0.1, held_back_s=0.01
    ),
    "a rate that changes": _rates((0.0, 0.5), (0.8, 100), (0.2, 2), (0.4, 20)),
    "our cable out for 1 s": _cut(1, 1.0),
    "nothing from a holder": _holder(up=BLACK_HOLE),
    "nothing to a holder": _holder(down=BLACK_HOLE),
    "long packets vanish": _holder(up=Way(longest_bytes=600)),
    "connections are reset": Case(
        ((0.0, lambda network: network.ours.set(down=Way(reset=0.004))),), is_slow=False
    ),
    "two halves for 1 s": _divided(1.0),
}
LONG = {
    "5 % lost": _weather(lost=0.05),
    "30 % lost": _weather(lost=0.3),
    "50 ms late, or up to 80": _weather(delay_s=0.05, jitter_s=0.03),
    "200 ms late": _weather(delay_s=0.1),
    "every fifth overtaken": _weather(held_back=0.2),
    "every fifth repeated": _weather(repeated=0.2),
    "64 kbit/s for 20 s": _rates((0.0, 0.064), (20.0, 50)),
    "our cable out for 10 s": _cut(1, 10.0),
    "a holder's cable out": _cut(2, None),
    "a holder's cable out for 1 s": _cut(2, 1.0),
    "a holder's cable out for 10 s": _cut(2, 10.0),
    "long packets vanish from the start": _holder(up=Way(longest_bytes=600), at=0.0),
    "two halves for 10 s": _divided(10.0),
}
CASES = SHORT | LONG


@contextlib.contextmanager
def network(seed: int) -> Iterator[Network]:
    """Give a cluster of three hosts, of which the second and the third hold everything."""
    holders = ("n2", "n3")
    with scene(HOSTS, RATE_MBIT, SOURCES, {FILE: holders, TREE: holders}) as made:
        yield Network(made, random.Random(seed).getrandbits(32))
