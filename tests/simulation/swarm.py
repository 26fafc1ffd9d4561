"""A whole swarm from one seed: a tracker, a first holder, and N hosts that want what it has."""

import dataclasses
import functools
import random
import statistics

from broker.initial import Initial
from broker.tracker import Tracker
from protocol import bitmap, cutting, manifest
from protocol.manifest import Manifest, encode, id_of
from protocol.messages import Message
from tests.simulation.host import Host, Shelf
from tests.simulation.network import place
from tests.simulation.world import World

EFFICIENCY = 0.95  # What TCP leaves of a link's rate to its user, measured on limited links.


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be simulated. Rates are those of the links, sizes in bytes, times in seconds."""

    hosts: int
    size_bytes: int
    rate_mbit: float
    seed: int = 1
    latency_s: float = 0.0001
    chunk_bytes: int | None = None
    slow_hosts: int = 0
    slow_rate_mbit: float = 0.0
    late_hosts: int = 0
    late_at_s: float = 0.0
    limit_s: float = 36_000.0

    @property
    def rate_bytes_per_s(self) -> float:
        return EFFICIENCY * self.rate_mbit * 1e6 / 8

    @property
    def bound_s(self) -> float:
        """The least time in which anybody can have it all from one host."""
        return self.size_bytes / self.rate_bytes_per_s


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of it. `finished_s` are the times since each host joined, in order of hosts."""

    plan: Plan
    finished_s: list[float | None]
    seed_sent_bytes: int
    duplicate_bytes: int

    def multiple(self, seconds: float) -> float:
        return seconds / self.plan.bound_s

    @property
    def all_s(self) -> list[float]:
        times = [time for time in self.finished_s if time is not None]
        assert len(times) == len(self.finished_s), "somebody never finished"
        return times

    def lines(self) -> str:
        times = sorted(self.all_s)
        first, last = self.multiple(times[0]), self.multiple(times[-1])
        median = self.multiple(statistics.median(times))
        total = self.plan.size_bytes * self.plan.hosts
        return (
            f"first {first:.3f}  median {median:.3f}  last {last:.3f} x the bound of"
            f" {self.plan.bound_s:.2f} s;"
            f" the seed sent {self.seed_sent_bytes / self.plan.size_bytes:.2f} x the file,"
            f" {100 * self.duplicate_bytes / total:.2f} % were duplicates"
        )


def thing(size_bytes: int, chunk_bytes: int | None = None) -> Manifest:
    """Return the manifest of a file whose chunks all differ."""
    if chunk_bytes is None:
        sizes = cutting.file_cut(size_bytes)
    else:
        count, rest = divmod(size_bytes, chunk_bytes)
        sizes = [chunk_bytes] * count + [rest] * bool(rest)
    digests = (index.to_bytes(manifest.DIGEST_BYTES, "big") for index in range(len(sizes)))
    return manifest.of_file(manifest.PLAIN_MODE, sizes, b"".join(digests))


def run(plan: Plan) -> Outcome:
    """Simulate `plan`; the same plan gives the same outcome."""
    rng = random.Random(plan.seed)
    world = World()
    tracker = Tracker(Initial("tcp://tracker:4000"), random.Random(rng.getrandbits(64)), 0.0)

    def ask(message: Message) -> Message:
        return tracker.handle(message, world.now).reply  # type: ignore[arg-type]

    seed, *fetchers = _hosts(plan, world)
    seed.announce(ask, complete=True)
    joined_at: list[float] = []
    for number, host in enumerate(fetchers):
        is_late = number >= plan.hosts - plan.late_hosts
        joined_at.append(plan.late_at_s if is_late else rng.uniform(0.0, 0.05))
        child = random.Random(rng.getrandbits(64))
        world.at(joined_at[-1], functools.partial(host.join, child, ask))

    world.run(plan.limit_s, lambda: all(host.finished_at for host in fetchers))
    return Outcome(
        plan,
        [
            None if host.finished_at is None else host.finished_at - at
            for host, at in zip(fetchers, joined_at, strict=True)
        ],
        seed.at.up.sent_bytes,
        sum(host.download.tally.duplicate_bytes for host in fetchers if host.download),
    )


def _hosts(plan: Plan, world: World) -> list[Host]:
    """Return the first holder, and those who want what it has: the slow ones first."""
    shared = thing(plan.size_bytes, plan.chunk_bytes)
    content_id = id_of(encode(shared))
    hosts: dict[str, Host] = {}
    for number in range(plan.hosts + 1):
        is_slow = 1 <= number <= plan.slow_hosts
        rate_mbit = plan.slow_rate_mbit if is_slow else plan.rate_mbit
        have = bitmap.full(shared.chunk_count) if number == 0 else 0
        at = place(EFFICIENCY * rate_mbit * 1e6 / 8, plan.latency_s)
        name = f"h{number:04}"
        hosts[name] = Host(name, at, Shelf(content_id, shared, have), world, hosts)
    return list(hosts.values())
