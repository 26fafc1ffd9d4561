"""One simulation: users at work under faults; then the faults end, and everybody must get all."""

import contextlib
import gc
import math
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tests.simulation.faults import (
    acts,
    content,
    keyed,
    limits,
    places,
    pushing,
    readers,
    system,
    threads,
)
from tests.simulation.faults.cluster import Cluster
from tests.simulation.faults.disk import Habits
from tests.simulation.faults.liars import KINDS, Complainer, Liar, Replayer, Stranger
from tests.simulation.faults.threads import Loop, StuckError
from tests.simulation.faults.trace import Finding
from tests.simulation.faults.users import User

SETTLE_S = 35.0  # Leases of what has died run out, and nodes renew theirs.
BOUND_S = 300.0  # After that everybody has everything, …
PUSHED_S = 700.0  # … unless others took what is pushed instead: then a fetch waits 600 s for it.
QUIET_S = 6.0
MEMORY = Path("/dev/shm")  # noqa: S108 (a directory of its own in it)


class Outcome(msgspec.Struct, frozen=True):
    """What became of one seed."""

    seed: int
    finding: str | None
    hits: dict[str, int]
    digest: str
    lines: tuple[str, ...]
    virtual_s: float
    took_s: float
    healed_s: float = 0.0  # How long it took until everybody had everything.


class Story:
    """Everything that happens in one seed."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.rng = cluster.rng
        self.users: dict[str, User] = {}
        self.names: dict[str, bool] = {}  # And whether it is a tree.
        self.liars: list[Stranger] = []
        self.healed_s = 0.0
        self.has_pushes = False
        self.has_readers = False
        self.joins_late = ""  # The node that is not in the cluster file at first.
        often = self.rng.choice((math.inf, math.inf, math.inf, 5.0))
        self.usual = Habits(slow_every=often)  # Of all disks: threads interleave where one waits.

    def run(self) -> None:
        """Tell it from the beginning to the end.

        Raises:
            Finding: something was not as it must be.
        """
        self._set_out()
        self.cluster.run(self.rng.uniform(15.0, 60.0))
        self._heal()
        if self.has_pushes:
            pushing.Settlement(self).settle()
        if self.has_readers:
            readers.Settlement(self).settle()
        self._require_all()
        pushing.Settlement(self).require_over()
        self._end()

    def _set_out(self) -> None:
        rng, cluster = self.rng, self.cluster
        for number in range(1, rng.randint(2, 5) + 1):
            quota_bytes = 800_000 if rng.random() < 0.1 else None
            host = cluster.add_node(number, quota_bytes)
            host.disk.behave(self.usual)
            child = random.Random(rng.getrandbits(64))
            self.users[host.name] = User(cluster, host, child)
            cluster.loop.at(rng.choice((0.0, 0.5, 5.0)) * rng.random(), host.start)
        for tracker in cluster.trackers:
            cluster.loop.at(rng.choice((0.0, 0.0, 3.0)), tracker.start)
        for number in range(rng.randint(1, 3)):
            self.names[f"{'file' if number % 2 else 'tree'}{number}"] = number % 2 == 0
        if rng.random() < 0.5:
            self._add_strangers()
        acts.draw(self)
        pushing.draw(self)
        if cluster.several is None:
            keyed.draw(self)
            limits.draw(self)
        else:
            cluster.several.draw(self)
        places.draw(self)
        readers.draw(self)

    def _add_strangers(self) -> None:
        rng = self.rng
        for number in range(100, 100 + rng.choice((1, 1, 2, 4))):
            child = random.Random(rng.getrandbits(64))
            liar = Liar(self.cluster, number, rng.choice(KINDS), child)
            self.cluster.hits[f"liar: {liar.kind}"] += 1
            self.liars.append(liar)
        others: list[type[Complainer | Replayer]] = [Complainer, Replayer]
        for number, kind in enumerate(others, 120):
            child = random.Random(rng.getrandbits(64))
            if rng.random() < 0.2:
                self.liars.append(kind(self.cluster, number, child))
        for each in self.liars:
            self.cluster.loop.at(rng.uniform(0.0, 10.0), each.begin)

    def items(self, name: str) -> content.Thing:
        """Return a first version of something."""
        return content.random_thing(self.rng, is_tree=self.names[name])

    def _heal(self) -> None:
        """End all faults, and have all honest hosts back."""
        cluster = self.cluster
        cluster.trace.note("the faults are over")
        cluster.is_calm = True
        cluster.net.mend_all()
        if self.rng.random() < 0.5:
            for each in self.liars:
                each.end()
        for node in cluster.nodes.values():
            node.lift_quota()
        keyed.settle(self)
        if cluster.several is not None:
            cluster.several.heal()
        for host in (*cluster.trackers, *cluster.nodes.values()):
            host.disk.behave(self.usual)
            host.disk.is_full = False
            if host.process is not None:
                host.process.go_on()
            host.start()
        cluster.run(SETTLE_S)
        cluster.checks.restore()
        cluster.run(QUIET_S)
        cluster.checks.scan()

    def _require_all(self) -> None:
        """Have each user fetch everything there is, within the bound."""
        cluster, began = self.cluster, self.cluster.loop.now
        wanted = [name for name in self.names if cluster.checks.can_be_had(name)]
        for user in self.users.values():
            user.done.clear()
            threads.Thread(target=user.verify, name=f"{user.host.name}-user").start()
            for name in wanted:
                user.begin(name)
        bound_s = PUSHED_S if self.has_pushes else BOUND_S
        cluster.run(bound_s, lambda: self._is_done(wanted))
        self.healed_s = cluster.loop.now - began
        if not self._is_done(wanted):
            raise Finding("liveness", self._missing(wanted))
        cluster.run(QUIET_S)

    def _is_done(self, wanted: list[str]) -> bool:
        return not self._missing(wanted)

    def _missing(self, wanted: list[str]) -> str:
        for name in wanted:
            newest = self.cluster.checks.newest(name)
            for user in self.users.values():
                if user.done.get(name) not in newest:
                    return f"{user.host.name} did not get {name}, {sorted(newest)}"
        return ""

    def _end(self) -> None:
        """Look at everything once more, and stop everything."""
        cluster = self.cluster
        for name in self.names:
            got = {user.done[name] for user in self.users.values() if name in user.done}
            if len(got) > 1:
                raise Finding("newest", f"{name} is not the same everywhere: {sorted(got)}")
        cluster.checks.scan()
        cluster.checks.require_answers()
        cluster.checks.require_no_ban()
        if cluster.several is not None:
            cluster.several.require_agreement()
        for each in self.liars:
            each.end()
        for host in cluster.nodes.values():
            host.stop()
        cluster.run(10.0)
        still = [host.name for host in cluster.nodes.values() if host.is_up]
        if still:
            raise Finding("left open", f"{still[0]} does not stop")


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Give a directory in memory, if that can be."""
    place = tempfile.mkdtemp(prefix="shoal-sim-", dir=MEMORY if MEMORY.is_dir() else None)
    try:
        yield Path(place)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def run(seed: int) -> Outcome:
    """Simulate one seed; for one process at a time, and its main thread."""
    began = time.perf_counter()
    rng = random.Random(seed)
    loop = Loop(random.Random(rng.getrandbits(64)))
    threads.begin(loop)
    os.umask(0o022)
    finding = None
    gc.disable()  # When it collects is not decided by the seed.
    with scratch() as place, system.replaced(loop):
        cluster = Cluster(seed, loop, place)
        story = Story(cluster)
        try:
            story.run()
        except Finding as found:
            finding = str(found)
        except StuckError as error:
            finding = f"deadlock: {error}"
        finally:
            for host in (*cluster.trackers, *cluster.nodes.values()):
                host.kill()
            loop.run(loop.now + 0.001)
    gc.enable()
    hits = dict(sorted(cluster.hits.items()))
    lines, took_s = tuple(cluster.trace.lines), time.perf_counter() - began
    return Outcome(
        seed, finding, hits, cluster.trace.digest, lines, loop.now, took_s, story.healed_s
    )
