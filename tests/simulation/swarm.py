"""A whole swarm, decided by one seed: a tracker, a first holder, and N hosts that fetch."""

import dataclasses
import random
import statistics
from typing import NamedTuple

import msgspec
from shoal.protocol import bitmap, manifest, size_cutting
from shoal.protocol.manifest import Manifest, encode, id_of

from tests.simulation.crew import Crew, Mail, together
from tests.simulation.host import Host, Shelf, address_of
from tests.simulation.network import Place, place
from tests.simulation.pushed import (
    DESK,
    PUSH_AT_S,
    START_WITHIN_S,
    PushedHost,
    Pusher,
    PushTracker,
    Tally,
)
from tests.simulation.station import TRACKER, Sent, Station, TrackerHost
from tests.simulation.world import World

CHUNK_BYTES: int | None = None  # Of all files; else what a file of that size has.
EFFICIENCY = 0.95  # What TCP leaves of a link's rate to its user, measured on limited links.
JOIN_WITHIN_S = 0.05
TRACKER_BYTES_PER_S = 125e6
SEED = 1  # The number of the first holder; the tracker's is 0.


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to simulate. Rates are those of the links, sizes in bytes, times in seconds."""

    hosts: int
    size_bytes: int
    rate_mbit: float
    seed: int = 1
    latency_s: float = 0.0001
    chunk_bytes: int | None = None
    up_mbit: float | None = None  # If other than `rate_mbit`, which is then the downlinks' alone.
    slow_hosts: int = 0
    slow_rate_mbit: float = 0.0
    late_hosts: int = 0
    late_at_s: float = 0.0
    dying_hosts: int = 0
    bad_disks: int = 0  # Of the first hosts: each refuses one operation.
    pushed: bool = False  # Nodes that are running get it by a push, and the tracker is counted.
    limit_s: float = 36_000.0

    @property
    def bound_s(self) -> float:
        """The least time in which any host can have it all, if the seed sends it only once."""
        up_mbit = self.rate_mbit if self.up_mbit is None else self.up_mbit
        return self.size_bytes / bytes_per_s(min(self.rate_mbit, up_mbit))


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The result. `finished_s`: of the hosts that did not die, in order, since each joined."""

    plan: Plan
    finished_s: list[float | None]
    seed_sent_bytes: int
    duplicate_bytes: int
    lost_holders: int
    tracker: Tally | None = None  # Of a push.

    def multiple(self, seconds: float) -> float:
        return seconds / self.plan.bound_s

    @property
    def all_s(self) -> list[float]:
        times = [time for time in self.finished_s if time is not None]
        assert len(times) == len(self.finished_s), "a host never finished"
        return times

    def lines(self) -> str:
        times = sorted(self.all_s)
        first, last = self.multiple(times[0]), self.multiple(times[-1])
        median = self.multiple(statistics.median(times))
        total = self.plan.size_bytes * self.plan.hosts
        pushed = "" if self.tracker is None else f"\n{self.tracker.lines(self.plan.hosts)}"
        return (
            f"first {first:.3f}  median {median:.3f}  last {last:.3f} x the bound of"
            f" {self.plan.bound_s:.2f} s;"
            f" the seed sent {self.seed_sent_bytes / self.plan.size_bytes:.2f} x the file,"
            f" {100 * self.duplicate_bytes / total:.2f} % were duplicates{pushed}"
        )


def thing(size_bytes: int, chunk_bytes: int | None = None) -> Manifest:
    """Return the manifest of a file whose chunks all differ."""
    if chunk_bytes is None:
        sizes = size_cutting.file_cut(size_bytes)
    else:
        count, rest = divmod(size_bytes, chunk_bytes)
        sizes = [chunk_bytes] * count + [rest] * bool(rest)
    digests = (index.to_bytes(manifest.DIGEST_BYTES, "big") for index in range(len(sizes)))
    return manifest.of_file(manifest.PLAIN_MODE, sizes, b"".join(digests))


def run(plan: Plan, workers: int = 1) -> Outcome:
    """Simulate `plan`; the same plan gives the same outcome, with any number of processes."""

    def begin(worker: int) -> Part:
        return Part(plan, worker, workers)

    def work(crew: Crew, part: Part) -> None:
        crew.run(part, 2 * plan.latency_s, plan.limit_s)

    told = together(workers, begin, work, Part.tell)
    tallies = [part.tracker for part in told if part.tracker is not None]
    seed, *fetchers = [result for _, result in sorted(pair for part in told for pair in part.hosts)]
    return Outcome(
        plan,
        [result.took_s for result in fetchers if not (result.is_dead or result.failure)],
        seed.sent_bytes,
        sum(result.duplicate_bytes for result in fetchers),
        sum(result.lost_holders for result in fetchers),
        tallies[0] if tallies else None,
    )


@dataclasses.dataclass(frozen=True, order=True)
class Result:
    """The result of one host."""

    took_s: float | None
    is_dead: bool
    sent_bytes: int
    duplicate_bytes: int
    lost_holders: int
    failure: str = ""


class Told(NamedTuple):
    """What a worker tells of its stations, in the end."""

    hosts: list[tuple[int, Result]]  # With their numbers.
    tracker: Tally | None


class Part:
    """One worker's share of a plan's hosts: each in turn, the tracker with the first."""

    def __init__(self, plan: Plan, worker: int, workers: int) -> None:
        self.world = World()
        self.mail = msgspec.msgpack.Decoder(list[Mail[Sent]])
        self._plan, self._worker, self._workers = plan, worker, workers
        rng = random.Random(plan.seed)
        self._places = _places(plan, rng)
        self._numbers = {name: number for number, name in enumerate(self._places)}
        self._stations: dict[str, Station] = {}
        self._mail: list[list[Mail[Sent]]] = [[] for _ in range(workers)]
        self._add_stations(rng)
        stations = self._stations.values()
        waiting = [one for one in stations if isinstance(one, Host | Pusher)]
        self._waiting = [one for one in waiting if one.number != SEED]

    def _add_stations(self, rng: random.Random) -> None:
        plan = self._plan
        shared = thing(plan.size_bytes, plan.chunk_bytes or CHUNK_BYTES)
        content_id = id_of(encode(shared))
        everything = bitmap.full(shared.chunk_count)
        for name, number in self._numbers.items():
            # Drawn for those of others too: all workers draw the same.
            child, early_s = random.Random(rng.getrandbits(64)), rng.uniform(0.0, JOIN_WITHIN_S)
            if number % self._workers != self._worker:
                continue
            if name in {TRACKER, DESK}:
                self._stations[name] = self._other(number, name, child)
                continue
            have = everything if number == SEED else 0
            shelf = Shelf(content_id, shared, have)
            if plan.pushed:
                pushed = PushedHost(number, name, self.world, self, shelf, child)
                self._stations[name] = pushed
                pushed.at(START_WITHIN_S * early_s / JOIN_WITHIN_S, pushed.start)
                continue
            host = self._stations[name] = Host(number, name, self.world, self, shelf)
            if SEED < number <= SEED + plan.bad_disks:
                last = shared.chunk_count + 1  # It opens, writes each chunk, and publishes.
                some = random.Random(plan.seed).randint(2, last)
                host.disk.fails_at = (last, 1, some, last + 1)[number % 4]
            if number == SEED:
                host.announce(complete=True)
            else:
                is_late = number > plan.hosts + SEED - plan.late_hosts
                at = plan.late_at_s if is_late else 4 * plan.latency_s + early_s
                host.at(at, host.join, child)

    def _other(self, number: int, name: str, rng: random.Random) -> Station:
        """Return the tracker, or who pushes."""
        if name == DESK:
            pusher = Pusher(number, self.world, self)
            pusher.at(PUSH_AT_S, pusher.push)
            return pusher
        if self._plan.pushed:
            others = {TRACKER, DESK}
            nodes = {
                name: address_of(at) for name, at in self._numbers.items() if name not in others
            }
            return PushTracker(number, self.world, self, rng, nodes)
        return TrackerHost(number, self.world, self, rng)

    # The network of its stations.

    def place_of(self, name: str) -> Place:
        return self._places[name]

    def carry(self, time: float, order: int, name: str, sent: Sent) -> None:
        station = self._stations.get(name)
        if station is not None:
            self.world.put(time, order, station.get, sent)
        else:
            number = self._numbers[name]
            self._mail[number % self._workers].append((time, order, name, sent))

    # Its part in a crew.

    def take_in(self, mail: list[Mail[Sent]]) -> None:
        for each in mail:
            self.carry(*each)

    def take_out(self, worker: int) -> list[Mail[Sent]]:
        mail, self._mail[worker] = self._mail[worker], []
        return mail

    def is_over(self) -> bool:
        """Say whether all are done, have failed or are dead."""
        waiting = self._waiting
        while waiting and (waiting[-1].is_over or not waiting[-1].is_alive):
            waiting.pop()
        return not waiting

    def tell(self) -> Told:
        stations = self._stations
        hosts = [host for host in stations.values() if isinstance(host, Host)]
        tracker = stations.get(TRACKER)
        tally = tracker.tally if isinstance(tracker, PushTracker) else None
        return Told([(host.number, _result(host)) for host in hosts], tally)


def _result(host: Host) -> Result:
    done_at, download = host.finished_at, host.download
    return Result(
        None if done_at is None else done_at - host.joined_at,
        not host.is_alive,
        host.place.up.sent_bytes,
        0 if download is None else download.tally.duplicate_bytes,
        0 if download is None else download.tally.lost_holders,
        host.failure or "",
    )


def bytes_per_s(link_mbit: float) -> float:
    """Return what a link of that rate leaves to its user."""
    return EFFICIENCY * link_mbit * 1e6 / 8


def _places(plan: Plan, rng: random.Random) -> dict[str, Place]:
    """Return the places of the tracker, the first holder and the others, the slow ones first.

    The last of those that are not late die, each at some time before it could be done.
    """
    places = {TRACKER: place(TRACKER_BYTES_PER_S, TRACKER_BYTES_PER_S, plan.latency_s)}
    up_mbit = plan.rate_mbit if plan.up_mbit is None else plan.up_mbit
    first_late = plan.hosts + SEED + 1 - plan.late_hosts
    for number in range(SEED, plan.hosts + SEED + 1):
        is_slow = SEED < number <= SEED + plan.slow_hosts
        up, down = (plan.slow_rate_mbit,) * 2 if is_slow else (up_mbit, plan.rate_mbit)
        at = place(bytes_per_s(up), bytes_per_s(down), plan.latency_s)
        if first_late - plan.dying_hosts <= number < first_late:
            at.dies_at = rng.uniform(0.0, plan.bound_s)
        places[f"h{number:04}"] = at
    if plan.pushed:
        places[DESK] = place(TRACKER_BYTES_PER_S, TRACKER_BYTES_PER_S, plan.latency_s)
    return places
