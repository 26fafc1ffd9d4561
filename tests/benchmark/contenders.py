"""shoal and libtorrent as swarms on a lab: how long each host took, and what that cost.

Hosts 1 to `holders` have the file, the others want it.
"""

import json
import statistics
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from shoal.api.orders import OrderDesk
from shoal.protocol.control import Fetched, FetchOrder, Working
from shoal.protocol.errors import OperatorError

from tests.benchmark import scraper, usage
from tests.benchmark.workspace import PAYLOAD
from tests.multihost.host_process import HostProcess
from tests.multihost.lab import Lab
from tests.multihost.swarm import ROOT, Setup, Swarm
from tests.multihost.wait import wait_until

MEMBER = [sys.executable, "-m", "tests.benchmark.torrent_member"]
LIMIT_S = 600.0
SETTLE_S = 3.0  # From the start of the processes to the moment at which all begin.
PIECES = 512
LEAST_PIECE_BYTES = 128 << 10  # As small as shoal's chunks: nobody can pass on half a piece.


@dataclass(frozen=True)
class Plan:
    """Who takes part. Rates in Mbit/s, sizes in bytes."""

    fetchers: int
    rate_mbit: float
    size_bytes: int
    holders: int = 1
    holder_mbit: float | None = None  # None: the same as the fetchers.
    slow: int = 0  # So many of the fetchers, the first ones, …
    slow_mbit: float = 10.0  # … have this.
    late: int = 0  # So many of them, the last ones, begin when the first are half done.
    dying: int = 0  # So many, the last of those that are not late, lose their cables, …
    dying_within_s: float = 0.0  # … at even intervals within so long after the begin.
    is_secured: bool = False  # shoal's nodes and tracker have keys.
    is_watched: bool = False  # Their metrics are read each second, from host 1.
    checkouts: tuple[Path, ...] = (ROOT,)  # The states of shoal that the nodes run, in turn.

    @property
    def hosts(self) -> int:
        return self.holders + self.fetchers

    @property
    def early(self) -> int:
        """How many begin at once and live on: the first ones."""
        return self.fetchers - self.late - self.dying

    def limit_links(self, lab: Lab) -> None:
        """Give the hosts that differ their own rates."""
        for host in range(1, self.holders + 1) if self.holder_mbit else ():
            lab.set_rate(host, self.holder_mbit)
        for host in range(self.holders + 1, self.holders + 1 + self.slow):
            lab.set_rate(host, self.slow_mbit)


@dataclass(frozen=True)
class Outcome:
    """How one swarm went: how long after it was told to begin each host that lived was done.

    Times are in seconds, and in the order of hosts.
    """

    plan: Plan
    times_s: list[float]
    seed_sent_bytes: int  # On the wire, headers included, by the first holder.
    busy_s: float  # Of all processors, whoever was to blame.
    duplicate_share: float | None = None
    fetchers_busy_s: dict[Path, list[float]] = field(default_factory=dict)  # By what they run.

    @property
    def early_s(self) -> list[float]:
        """The times of those that are neither slow nor late."""
        return self.times_s[self.plan.slow : self.plan.early]

    @property
    def late_s(self) -> list[float]:
        return self.times_s[self.plan.early :]

    def line(self, bound_s: float) -> str:
        first, middle, last = (
            seconds / bound_s
            for seconds in (min(self.early_s), statistics.median(self.early_s), max(self.early_s))
        )
        late = f"  late ones' last {max(self.late_s) / bound_s:.3f}" if self.plan.late else ""
        twice = (
            "" if self.duplicate_share is None else f", {100 * self.duplicate_share:.2f} % twice"
        )
        sent = self.seed_sent_bytes / self.plan.size_bytes
        return (
            f"first {first:.3f}  median {middle:.3f}  last {last:.3f}{late} x the bound of"
            f" {bound_s:.2f} s; the seed sent {sent:.2f} x the file{twice};"
            f" {self.busy_s:.1f} processor seconds"
        )


class _Order:
    """One node's fetch, ordered from a thread."""

    def __init__(self, swarm: Swarm, node: str) -> None:
        self.report: Fetched | None = None
        self.trouble: OperatorError | None = None
        self.have_bytes = 0
        self._desk = OrderDesk(node, swarm.folder(node))
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> Fetched:
        self._thread.join(LIMIT_S)
        self._desk.close()
        if self.trouble is not None:
            raise self.trouble
        assert self.report is not None
        return self.report

    def _run(self) -> None:
        try:
            report = self._desk.give(FetchOrder(PAYLOAD), self._progress)
        except OperatorError as error:  # Of one that dies nobody asks.
            self.trouble = error
            return
        assert isinstance(report, Fetched)
        self.report, self.have_bytes = report, report.size_bytes

    def _progress(self, working: Working) -> None:
        self.have_bytes = working.have_bytes


def shoal(lab: Lab, folder: Path, payload: Path, plan: Plan) -> Outcome:
    """Run a tracker and a node on each host; order all fetches at once."""
    swarm = Swarm(
        lab,
        folder,
        checkouts=plan.checkouts,
        setup=Setup(is_secured=plan.is_secured, is_watched=plan.is_watched),
    )
    names = list(swarm.nodes)
    holders, fetchers = names[: plan.holders], names[plan.holders :]
    for node in holders:
        swarm.folder(node).joinpath(PAYLOAD).hardlink_to(payload)
    swarm.start({PAYLOAD: holders})
    if plan.is_watched:
        _read_metrics(lab, swarm)
    plan.limit_links(lab)
    time.sleep(SETTLE_S)
    orders = [_Order(swarm, node) for node in fetchers]
    early, late = orders[: plan.early], orders[plan.fetchers - plan.late :]
    with _Watched(lab, plan) as watched:
        before_s = _busy_s(swarm, fetchers)
        for order in orders[: plan.fetchers - plan.late]:
            order.start()
        half = plan.size_bytes / 2
        if late:
            wait_until(
                lambda: statistics.median(one.have_bytes for one in early) >= half, LIMIT_S, "half"
            )
        for order in late:
            order.start()
        reports = [order.finish() for order in early + late]
        after_s = _busy_s(swarm, fetchers)
    twice = sum(one.duplicate_bytes for one in reports) / (len(reports) * plan.size_bytes)
    outcome = watched.outcome([one.elapsed_s for one in reports], twice)
    for node in fetchers:
        costs_s = outcome.fetchers_busy_s.setdefault(swarm.checkouts[node], [])
        costs_s.append(after_s[node] - before_s[node])
    return outcome


def _read_metrics(lab: Lab, swarm: Swarm) -> None:
    """Begin to read the metrics of all processes; return when all could be."""
    places = swarm.metrics()
    reading = lab.start(1, [sys.executable, Path(scraper.__file__), *places])
    count = len(places)
    wait_until(lambda: f"{count} of {count}" in reading.stdout, LIMIT_S, "all metrics are read")


def push(lab: Lab, folder: Path, payload: Path, plan: Plan) -> Outcome:
    """Have all hosts get it by one `shoal push --wait`: its time stands for each of them."""
    swarm = Swarm(lab, folder, checkouts=plan.checkouts, setup=Setup(is_secured=plan.is_secured))
    holder = next(iter(swarm.nodes))
    swarm.folder(holder).joinpath(PAYLOAD).hardlink_to(payload)
    swarm.start({PAYLOAD: [holder]})
    plan.limit_links(lab)
    time.sleep(SETTLE_S)
    with _Watched(lab, plan) as watched:
        began = time.monotonic()
        pushing = swarm.spawn(1, "push", PAYLOAD, "--wait", "--json")
        assert pushing.wait(LIMIT_S) == 0, pushing
        elapsed_s = time.monotonic() - began
    return watched.outcome([elapsed_s] * plan.fetchers, None)


def _busy_s(swarm: Swarm, nodes: list[str]) -> dict[str, float]:
    """Return the processor time of each node so far."""
    return {node: usage.cpu_s([swarm.process(node).pid]) for node in nodes}


def torrent(lab: Lab, folder: Path, payload: Path, plan: Plan) -> Outcome:
    """Run a peer on each host, all of whom know all addresses, and let them begin at once."""
    metadata, go = folder / "payload.torrent", folder / "late-ones-go"
    make_torrent(payload, metadata)
    peers = [lab.address(host) for host in lab.hosts]
    seeds = [
        lab.start(host, [*MEMBER, metadata, payload.parent, address, "0"])
        for host, address in zip(lab.hosts, peers, strict=True)
        if host <= plan.holders
    ]
    wait_until(lambda: all(seed.stdout for seed in seeds), LIMIT_S, "the seeds have checked")
    plan.limit_links(lab)
    start_at = time.monotonic() + SETTLE_S + 0.2 * len(peers)
    members = []
    for host in lab.hosts[plan.holders :]:
        begin = str(go) if host > plan.hosts - plan.late else str(start_at)
        place: list[str | Path] = [metadata, folder / str(host), lab.address(host)]
        members.append(lab.start(host, [*MEMBER, *place, begin, *peers]))
    early, late = members[: plan.early], members[plan.fetchers - plan.late :]
    time.sleep(max(0.0, start_at - time.monotonic()))
    with _Watched(lab, plan) as watched:
        if plan.late:
            wait_until(
                lambda: sum("half" in one.stdout for one in early) > len(early) // 2,
                LIMIT_S,
                "half",
            )
            go.touch()
        living = early + late
        wait_until(lambda: all("elapsed" in one.stdout for one in living), LIMIT_S, "all have it")
    return watched.outcome([_elapsed_s(member) for member in living], None)


class _Watched:
    """What the swarm cost between entry and exit. From the entry on some lose their cables."""

    def __init__(self, lab: Lab, plan: Plan) -> None:
        self._lab = lab
        self._plan = plan

    def __enter__(self) -> Self:
        self._sent_bytes = self._lab.sent_bytes(1)
        self._busy_s = usage.busy_s()
        self._is_over = threading.Event()
        self._puller = threading.Thread(target=self._pull_cables)
        self._puller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._sent_bytes = self._lab.sent_bytes(1) - self._sent_bytes
        self._busy_s = usage.busy_s() - self._busy_s
        self._is_over.set()
        self._puller.join()

    def _pull_cables(self) -> None:
        plan = self._plan
        for host in self._lab.hosts[plan.holders + plan.early : plan.hosts - plan.late]:
            if self._is_over.wait(plan.dying_within_s / (plan.dying + 1)):
                return
            self._lab.link(host, up=False)

    def outcome(self, times_s: list[float], duplicate_share: float | None) -> Outcome:
        return Outcome(self._plan, times_s, self._sent_bytes, self._busy_s, duplicate_share)


def make_torrent(payload: Path, metadata: Path) -> None:
    import libtorrent  # noqa: PLC0415 (swarms of shoal alone do without)

    piece_bytes = LEAST_PIECE_BYTES
    while piece_bytes * PIECES < payload.stat().st_size:
        piece_bytes *= 2
    files = libtorrent.list_files(str(payload))
    creator = libtorrent.create_torrent(files, piece_bytes, libtorrent.create_torrent.v1_only)
    libtorrent.set_piece_hashes(creator, str(payload.parent))
    metadata.write_bytes(libtorrent.bencode(creator.generate()))


def _elapsed_s(member: HostProcess) -> float:
    elapsed_s: float = json.loads(member.stdout.splitlines()[-1])["elapsed_s"]
    return elapsed_s
