"""`python -m tests.benchmark.tracker_load`: a real tracker under the load of a large cluster.

Each of 20,000 logical nodes renews and asks once in every interval, evenly spread; one in a hundred
announces a change instead. They are on 400 hosts with a connection each; only the first are in the
cluster file, as many as it may have. How long each answer takes is measured from the moment at
which the request was due, so that a client which falls behind hides nothing. Several trackers share
a Redis (--trackers); each node sticks to the one that it prefers.

Runs in a network namespace of its own, as root: all of loopback would be one host.
"""

import argparse
import heapq
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import yaml
import zmq
from shoal.protocol import messages
from shoal.protocol.message import Message
from shoal.protocol.messages import Error, Holding, Query, Renew, TrackerReply, Update
from shoal.protocol.trackers import Trackers

from tests.benchmark import usage
from tests.benchmark.cluster import SHOAL
from tests.benchmark.processes import BenchmarkError, Child, Children, end_when_told

HOSTS = 400
NETWORK = "10.99"  # Of a namespace that nobody else is in.
IN_NAMESPACE = "SHOAL_LOAD_NAMESPACE"
LISTED = 800  # In the cluster file.
FILES_PER_NODE = 5
NODES_PER_NAME = 10
CHANGES_OF = 100  # One renewal in so many is an update instead.
HELLO_S = 60.0
MOST_NODES = 50 * HOSTS  # Of one host, a tracker takes no more than 64 that it does not know.
MOST_WAITING = 200  # While they say for the first time what they have.
LATE_S = (
    0.2  # What this client itself may be behind by; more, and the figures are not the tracker's.
)


@dataclass(frozen=True)
class Load:
    """What was asked of the tracker and what came of it; times in milliseconds."""

    nodes: int
    messages_per_s: float
    seconds: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    worst_ms: float
    tracker_cores: float  # Of all trackers together.
    tracker_mib: float  # Of the largest.
    us_per_message: float  # Of processor time, of all trackers together.
    store_cores: float
    client_late_ms: float


class Swarm:
    """Logical nodes on a few DEALERs. Each socket's answers come in the order of its requests."""

    def __init__(
        self, context: "zmq.Context[zmq.Socket[bytes]]", trackers: Sequence[str], nodes: int
    ) -> None:
        context.set(zmq.MAX_SOCKETS, 2 * HOSTS * len(trackers))
        self._context = context
        self._sockets: dict[tuple[str, str], zmq.Socket[bytes]] = {}  # By host and tracker.
        self._out: dict[zmq.Socket[bytes], deque[float]] = {}
        self._poller = zmq.Poller()
        self.names = max(1, nodes // NODES_PER_NAME)
        self._sequences = [0] * nodes
        self.taken_s: list[float] = []
        self.refusals = 0
        self._preferred = [Trackers(trackers, f"n{node}").addresses[0] for node in range(nodes)]

    @property
    def waiting(self) -> int:
        return sum(map(len, self._out.values()))

    def announce(self, node: int, due: float) -> None:
        self._sequences[node] += 1
        held = tuple(self._holding(node, place) for place in range(FILES_PER_NODE))
        update = Update(f"n{node}", _address(node), 1, self._sequences[node], held, replace=True)
        self._send(node, update, due)

    def renew(self, node: int, due: float) -> None:
        self._send(node, Renew(f"n{node}", 1, FILES_PER_NODE), due)

    def ask(self, node: int, name: int, due: float) -> None:
        self._send(node, Query(f"file{name}", f"n{node}", partial=True), due)

    def receive(self, timeout_s: float) -> None:
        """Take in the answers that come within a time."""
        for sock, _ in self._poller.poll(max(0, int(1000 * timeout_s))):
            self._drain(sock)

    def _holding(self, node: int, place: int) -> Holding:
        """Return one of the node's things: mostly whole, the first in a new version by and by."""
        name = (node * FILES_PER_NODE + place) % self.names
        version = 1 + (self._sequences[node] > 1 and place == 0)
        return Holding(f"file{name}", f"b3:{name * 10 + version:064x}", 1 << 20, place % 4 != 3)

    def close(self) -> None:
        for sock in self._out:
            sock.close()

    def _send(self, node: int, message: Message, due: float) -> None:
        sock = self._socket(_host(node), self._preferred[node])
        sock.send_multipart([b"1", b"", messages.encode(message)])
        self._out[sock].append(due)

    def _socket(self, host: str, tracker: str) -> "zmq.Socket[bytes]":
        """Return the host's connection to a tracker, made when it is first needed."""
        known = self._sockets.get((host, tracker))
        if known is not None:
            return known
        sock = self._sockets[host, tracker] = self._context.socket(zmq.DEALER)
        sock.linger = 0
        sock.sndhwm = sock.rcvhwm = 0
        sock.connect(f"tcp://{host}:0;{tracker.removeprefix('tcp://')}")
        self._poller.register(sock, zmq.POLLIN)
        self._out[sock] = deque()
        return sock

    def _drain(self, sock: "zmq.Socket[bytes]") -> None:
        while True:
            try:
                *_, body = sock.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self.taken_s.append(time.monotonic() - self._out[sock].popleft())
            self.refusals += isinstance(messages.decode(body, TrackerReply), Error)


def _schedule(nodes: int, interval_s: float, rng: Random) -> Iterator[tuple[float, int]]:
    """Yield, for ever, when which node speaks next: each twice in every interval."""
    first = [(rng.uniform(0, interval_s / 2), node) for node in range(nodes)]
    heapq.heapify(first)
    while True:
        due, node = first[0]
        yield due, node
        heapq.heapreplace(first, (due + interval_s / 2, node))


def _spoken(
    swarm: Swarm, schedule: Iterator[tuple[float, int]], began: float, seconds: float
) -> tuple[int, float]:
    """Say all that is due within a time; return how much, and by how much it was late at most."""
    rng, late_s, sent = Random(1), 0.0, 0
    for due, node in schedule:
        if due > seconds:
            break
        while (left_s := began + due - time.monotonic()) > 0:
            swarm.receive(left_s)
        late_s = max(late_s, -left_s)
        if sent % 2:
            swarm.ask(node, rng.randrange(swarm.names), began + due)
        elif rng.randrange(CHANGES_OF):
            swarm.renew(node, began + due)
        else:
            swarm.announce(node, began + due)
        sent += 1
        if sent % 20 == 0:
            swarm.receive(0)
    return sent, late_s


def measured(
    swarm: Swarm, nodes: int, interval_s: float, seconds: float, servers: Sequence[Child]
) -> Load:
    """Keep the load up for so long; return what it was like. The last server is the store."""
    swarm.taken_s.clear()
    pids = [server.pid for server in servers]
    cpu, store_cpu = usage.cpu_s(pids[:-1]), usage.cpu_s(pids[-1:])
    began = time.monotonic()
    sent, late_s = _spoken(swarm, _schedule(nodes, interval_s, Random(1)), began, seconds)
    _wait_for_all(swarm)
    took_s = time.monotonic() - began
    times = sorted(swarm.taken_s)
    p50_ms, p99_ms, p999_ms, worst_ms = (
        1000 * times[min(len(times) - 1, int(len(times) * share))]
        for share in (0.5, 0.99, 0.999, 1)
    )
    spent_s = usage.cpu_s(pids[:-1]) - cpu
    return Load(
        nodes=nodes,
        messages_per_s=sent / took_s,
        seconds=took_s,
        p50_ms=p50_ms,
        p99_ms=p99_ms,
        p999_ms=p999_ms,
        worst_ms=worst_ms,
        tracker_cores=spent_s / took_s,
        tracker_mib=max(usage.anonymous_bytes([pid]) for pid in pids[:-1]) / (1 << 20),
        us_per_message=1e6 * spent_s / sent,
        store_cores=(usage.cpu_s(pids[-1:]) - store_cpu) / took_s,
        client_late_ms=1000 * late_s,
    )


def _wait_for_all(swarm: Swarm) -> None:
    until = time.monotonic() + HELLO_S
    while swarm.waiting:
        if time.monotonic() > until:
            raise BenchmarkError(f"{swarm.waiting} requests were never answered")
        swarm.receive(0.1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=MOST_NODES)
    parser.add_argument(
        "--interval", type=float, default=30.0, help="seconds, two messages in each"
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--trackers", type=int, default=1)
    parser.add_argument("--runs", type=int, default=1)
    options = parser.parse_args()
    if options.nodes > MOST_NODES:
        parser.error(f"no more than {MOST_NODES} nodes")
    _enter_namespace()
    end_when_told()
    for run in range(options.runs):
        try:
            load = _run(options)
        except BenchmarkError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        print(json.dumps({"run": run + 1, **asdict(load)}), flush=True)
    return 0


def _enter_namespace() -> None:
    """Start again in a namespace in which all of a network is this machine."""
    if IN_NAMESPACE not in os.environ:
        command = ["unshare", "--net", sys.executable, "-m", "tests.benchmark.tracker_load"]
        os.execvpe(command[0], [*command, *sys.argv[1:]], os.environ | {IN_NAMESPACE: "1"})  # noqa: S606
    for told in ("link set lo up", f"route add local {NETWORK}.0.0/16 dev lo"):
        subprocess.run(["ip", *told.split()], check=True)


def _run(options: argparse.Namespace) -> Load:
    with tempfile.TemporaryDirectory() as folder, Children(Path(folder)) as children:
        trackers = [_free_address() for _ in range(options.trackers)]
        servers = _started(children, Path(folder), trackers, options.nodes)
        with zmq.Context() as context:
            swarm = Swarm(context, trackers, options.nodes)
            try:
                for node in range(options.nodes):
                    swarm.announce(node, time.monotonic())
                    while swarm.waiting > MOST_WAITING:
                        swarm.receive(0.1)
                _wait_for_all(swarm)
                load = measured(swarm, options.nodes, options.interval, options.seconds, servers)
            finally:
                swarm.close()
        if swarm.refusals:
            raise BenchmarkError(f"{swarm.refusals} requests were refused")
        return load


def _started(children: Children, folder: Path, trackers: Sequence[str], nodes: int) -> list[Child]:
    """Start the trackers and what they share, which is nothing if there is one."""
    config, store = folder / "lan.yaml", _free_address("127.0.0.1").removeprefix("tcp://")
    told: dict[str, Any] = {"tracker": {"address": trackers[0]}}
    server = [sys.executable, "-c", "import time; time.sleep(1e6)"]
    if trackers[1:]:
        told = {"trackers": [{"address": at} for at in trackers], "store": f"redis://{store}/0"}
        server = [
            "redis-server",
            "--port",
            store.rpartition(":")[-1],
            "--save",
            "",
            "--dir",
            str(folder),
        ]
    told["nodes"] = {
        f"n{node}": {"address": _address(node), "folder": f"n{node}"}
        for node in range(min(nodes, LISTED))
    }
    config.write_text(yaml.safe_dump(told))
    last = children.start("store", server)
    command = [*SHOAL, "tracker", "--config", str(config)]
    at = [["--at", address] if trackers[1:] else [] for address in trackers]
    names = (f"tracker{number}" for number in itertools.count(1))
    return [*(children.start(next(names), [*command, *one]) for one in at), last]


def _host(node: int) -> str:
    return f"{NETWORK}.{node % HOSTS >> 8}.{node % HOSTS & 255}"


def _address(node: int) -> str:
    return f"tcp://{_host(node)}:{11_001 + node // HOSTS}"


def _free_address(host: str = f"{NETWORK}.255.1") -> str:
    with zmq.Context() as context, context.socket(zmq.REP) as sock:
        return f"tcp://{host}:{sock.bind_to_random_port(f'tcp://{host}', 20000, 30000)}"


if __name__ == "__main__":
    sys.exit(main())
