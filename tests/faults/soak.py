"""A cluster in which, each second, a node joins, leaves or is killed, or a new version appears.

The tracker and two nodes stay all the time; their descriptors, threads and memory must not grow.
"""

import contextlib
import dataclasses
import random
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from shoal.api.asking import ask
from shoal.commands.exit_codes import ExitCode
from shoal.protocol.errors import OperatorError
from shoal.protocol.messages import Holders, Query
from shoal.protocol.trackers import Trackers

from tests.integration.cluster import Cluster, cluster_in, noise
from tests.multihost.host_process import HostProcess
from tests.unit.node.things import id_of, plain

PUBLISHER, READER = "n1", "n2"
CHURNERS = ("n3", "n4", "n5", "n6", "n7")
STAYING = {"tracker": ("tracker",), PUBLISHER: ("node", PUBLISHER), READER: ("node", READER)}
THINGS = tuple(f"thing-{number}.bin" for number in range(6))
LARGEST_BYTES = 2 << 20
EVENT_S = 1.0
LIMIT_S = 60.0
LOG_CHARACTERS = 4000  # Of a node's log, in messages.
REST = 2  # So many descriptors or threads more than at first may be left when all is quiet.


@dataclasses.dataclass(frozen=True)
class Sample:
    """What a process uses at a time."""

    at_s: float
    descriptors: int
    threads: int
    memory_kib: int  # That it shares with nobody.


def sample(pid: int, at_s: float) -> Sample:
    process = Path("/proc", str(pid))
    threads = sum(1 for _ in (process / "task").iterdir())
    descriptors = sum(1 for _ in (process / "fd").iterdir())
    rollup = (process / "smaps_rollup").read_text().splitlines()
    private = [int(line.split()[1]) for line in rollup if line.startswith("Private_")]
    return Sample(at_s, descriptors, threads, sum(private))


def per_hour(samples: list[Sample], field: str) -> float:
    """Return by how much a field grows in an hour, by least squares, after the first third."""
    kept = samples[len(samples) // 3 :]
    times = [one.at_s for one in kept]
    return 3600 * statistics.linear_regression(times, [getattr(one, field) for one in kept]).slope


class Soak:
    """The cluster, what its things should be, and what has been measured."""

    def __init__(self, cluster: Cluster, rng: random.Random) -> None:
        self.cluster = cluster
        self.samples: dict[str, list[Sample]] = {name: [] for name in STAYING}
        self.events = dict.fromkeys(("joined", "left", "killed", "published", "fetched"), 0)
        self._rng = rng
        self._right: dict[str, bytes] = {}
        self._up: dict[str, HostProcess] = {}
        self._leaving: dict[str, HostProcess] = {}
        self._commands: dict[str, HostProcess] = {}
        self._started = time.monotonic()

    def start(self) -> None:
        for name in THINGS:
            self._put(name)
        self.cluster.start(PUBLISHER, READER)
        for node in CHURNERS:
            self._join(node)
        self._settle()

    def run(self, seconds: float) -> None:
        """Go on for so long."""
        self._at_rest = {name: self._sample(name) for name in STAYING}
        until = time.monotonic() + seconds
        tick = time.monotonic()
        while tick < until:
            self._step()
            tick += EVENT_S
            time.sleep(max(0.0, tick - time.monotonic()))
            for name in STAYING:
                self.samples[name].append(self._sample(name))

    def finish(self) -> None:
        """Make all quiet, and check that everything is everywhere, and nothing is left over."""
        self._settle()
        self._check()
        for name, before in self._at_rest.items():
            self.cluster.wait(
                lambda name=name, before=before: self._is_as_before(name, before),  # type: ignore[misc]
                f"{name} has as many descriptors and threads as before: {before}",
                LIMIT_S,
            )

    def _sample(self, name: str) -> Sample:
        return sample(self.cluster.process(*STAYING[name]).pid, time.monotonic() - self._started)

    def _is_as_before(self, name: str, before: Sample) -> bool:
        now = self._sample(name)
        more = now.descriptors - before.descriptors, now.threads - before.threads
        return max(more) <= REST

    # What happens.

    def _step(self) -> None:
        """Let something happen, drawn from what can; and somebody fetch something."""
        self._reap()
        # A fetch whose node has gone may be using its folder.
        busy = self._up.keys() | self._leaving.keys() | self._commands.keys()
        down = sorted(set(CHURNERS) - busy)
        up = sorted(self._up)
        # Before that a command for it would be the node itself, and a signal would just end it.
        ready = [node for node in up if "ready to serve" in self._up[node].stderr]
        draw = self._rng.choice
        events: list[Callable[[], None]] = [lambda: self._publish(draw(THINGS))]
        events += [lambda: self._join(draw(down))] * 2 if down else []
        events += [lambda: self._leave(draw(ready))] if ready else []
        events += [lambda: self._kill(draw(up))] if up else []
        draw(events)()
        self._fetch(draw([READER, *(node for node in ready if node in self._up)]), draw(THINGS))

    def _publish(self, name: str) -> None:
        """Change a thing and share it: a node finds by itself only now and then what changes often.

        If another one is being shared, this is found, or shared at the end.
        """
        self._put(name)
        if PUBLISHER not in self._commands:
            path = str(self.cluster.folder(PUBLISHER) / name)
            self._commands[PUBLISHER] = self.cluster.launch("share", path, "--as", PUBLISHER)
        self.events["published"] += 1

    def _put(self, name: str) -> None:
        self._right[name] = noise(self._rng.randint(1, LARGEST_BYTES), self._rng.getrandbits(32))
        self.cluster.put(name, self._right[name], PUBLISHER)

    def _join(self, node: str) -> None:
        self._up[node] = self.cluster.launch("node", node)
        self.events["joined"] += 1

    def _leave(self, node: str) -> None:
        process = self._up.pop(node)
        process.send_signal(signal.SIGTERM)
        self._leaving[node] = process
        self.events["left"] += 1

    def _kill(self, node: str) -> None:
        del self._up[node]
        self.cluster.kill("node", node)
        self.events["killed"] += 1

    def _fetch(self, node: str, name: str) -> None:
        if node not in self._commands:
            options = ("--force", "--timeout", str(int(LIMIT_S)))
            self._commands[node] = self.cluster.launch_fetch(name, node, *options)
            self.events["fetched"] += 1

    def _reap(self) -> None:
        """Take note of who has ended, and how."""
        for node, process in list(self._leaving.items()):
            if process.exit_code is not None:
                done = self.cluster.finish(self._leaving.pop(node))
                assert done.exit_code == 0, str(done)
        for node, process in list(self._commands.items()):
            if process.exit_code is not None:
                done = self.cluster.finish(self._commands.pop(node))
                assert done.exit_code != ExitCode.BUG, str(done)

    # The end.

    def _settle(self) -> None:
        """Have everybody there, and nothing under way."""

        def is_quiet() -> bool:
            self._reap()
            return not self._commands and not self._leaving

        self.cluster.wait(is_quiet, "all commands and those who leave have ended", LIMIT_S)
        for node in sorted(set(CHURNERS) - self._up.keys()):
            self._join(node)
        for node in CHURNERS:
            self.cluster.wait_for_node(node)

    def _check(self) -> None:
        """Have everybody fetch the newest of everything: it must be what was published last."""
        for name, data in self._right.items():
            path = str(self.cluster.folder(PUBLISHER) / name)
            shared = self.cluster.run("share", path, "--as", PUBLISHER, limit_s=LIMIT_S)
            assert shared.exit_code == 0, str(shared)
            newest = id_of(plain(data))
            self.cluster.wait(
                lambda name=name, newest=newest: self._newest(name) == newest,  # type: ignore[misc]
                f"{PUBLISHER} has announced {newest} as {name}",
            )
        for node in (READER, *CHURNERS):
            done = self.cluster.run(
                "fetch", *THINGS, "--as", node, "--force", "--json", limit_s=LIMIT_S
            )
            assert done.exit_code == 0, str(done)
        for node in (PUBLISHER, READER, *CHURNERS):
            files = self.cluster.files(node)
            wrong = sorted(name for name in THINGS if files.get(name) != self._right[name])
            log = self.cluster.log("node", node)
            assert not wrong, f"{node} does not have the newest {wrong}:\n{log[-LOG_CHARACTERS:]}"
            assert files.keys() == self._right.keys(), node

    def _newest(self, name: str) -> str | None:
        with contextlib.suppress(OperatorError):
            reply = ask(Trackers([self.cluster.tracker_address]), Query(name), Holders)
            return reply.id
        return None


@contextlib.contextmanager
def soak(folder: Path, seed: int) -> Iterator[Soak]:
    """Give a cluster that is ready; its end is that no process says that it has a bug."""
    with cluster_in(folder, nodes=(PUBLISHER, READER, *CHURNERS)) as cluster:
        made = Soak(cluster, random.Random(seed))
        made.start()
        yield made
