"""Many nodes that a real tracker believes in: they announce and renew through its protocol."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Self

import msgspec
import zmq
from shoal.protocol import bitmap, messages
from shoal.protocol.message import Message
from shoal.protocol.messages import Holding, Ok, Renew, State, TrackerReply, Update
from shoal.protocol.pushing import Doing, Failure, Transfer

from tests.integration.cluster import CLI, environment, free_address, port_of
from tests.multihost.host_process import HostProcess, launch
from tests.multihost.wait import wait_until

GB = 10**9
MOST_HOLDINGS = 400  # In one update.


def id_of(number: int) -> str:
    return f"b3:{number:064x}"


def holding(number: int, name: str, publisher: str, *, complete: bool = True) -> Holding:
    """Return that a node has the first version of a name."""
    size_bytes = (1 + number * 7 % 40) * GB // 4
    return Holding(name, id_of(number), size_bytes, complete, 1, publisher)


class Crowd:
    """The nodes of one cluster file, and the tracker that they speak to. A context manager."""

    def __init__(self, folder: Path, nodes: Sequence[str], zones: int = 0) -> None:
        """Write a cluster file; with `zones`, the nodes are spread over so many racks."""
        self.file = folder / "lab.yaml"
        self.address = free_address()
        self._port = port_of(free_address())
        self.nodes = list(nodes)
        self.doing = {
            node: Doing("0.1.0", (90 + place * 37 % 800) * GB) for place, node in enumerate(nodes)
        }
        self.holdings: dict[str, dict[str, Holding]] = {node: {} for node in nodes}
        self._sequence = 0
        self._folder = folder
        self._tracker: HostProcess | None = None
        lines = ["tracker:", f"  address: {self.address}", "accept_pushes: true", "nodes:"]
        for place, node in enumerate(nodes):
            zone = f", zone: rack-{1 + place * zones // len(nodes)}" if zones else ""
            lines.append(f"  {node}: {{address: '{self.address_of(node)}', folder: {node}{zone}}}")
        self.file.write_text("\n".join(lines) + "\n")

    def __enter__(self) -> Self:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.start_tracker()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close(linger=0)
        self._context.term()
        self.stop_tracker()

    def start_tracker(self) -> None:
        line = [*CLI, "tracker", "--config", str(self.file)]
        started = launch(line, self._folder / "tracker", cwd=self._folder, env=environment())
        self._tracker = started
        wait_until(lambda: "tracker at" in started.stderr, 20.0, "the tracker listens")
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.connect(self.address)

    def stop_tracker(self) -> None:
        if self._tracker is not None:
            self._tracker.kill()
            self._tracker.wait(10.0)

    @property
    def tracker_pid(self) -> int:
        assert self._tracker is not None
        return self._tracker.pid

    def announce(self, nodes: Sequence[str] | None = None) -> None:
        """Have nodes announce all that they hold, and say what they do."""
        for node in self.nodes if nodes is None else nodes:
            held = list(self.holdings[node].values())
            pages = [held[at : at + MOST_HOLDINGS] for at in range(0, len(held), MOST_HOLDINGS)]
            for place, page in enumerate(pages or [[]]):
                self._sequence += 1
                told = node, self.address_of(node), 1, self._sequence, tuple(page)
                self._ask(Update(*told, replace=place == 0))
            self.renew([node])

    def renew(self, nodes: Sequence[str] | None = None) -> None:
        """Have nodes say what they do."""
        for node in self.nodes if nodes is None else nodes:
            held = len(self.holdings[node])
            self._ask(Renew(node, 1, held, doing=self.doing[node]))

    def hold(self, node: str, one: Holding) -> None:
        """Have a node hold something from its next announcement on."""
        self.holdings[node][f"{one.name}@{one.id}"] = one

    def set(self, node: str, **fields: object) -> None:
        """Change what a node is doing, from its next renewal on."""
        self.doing[node] = msgspec.structs.replace(self.doing[node], **fields)

    def ask(self, message: Message) -> TrackerReply:
        """Return the tracker's answer."""
        self._socket.send_multipart([b"1", b"", messages.encode(message)])
        while self._socket.poll(20_000):
            tag, _, body = self._socket.recv_multipart()
            if tag == b"1":  # Else it is news, for a node that obeys.
                reply: TrackerReply = messages.decode(body, TrackerReply)
                return reply
        raise TimeoutError("the tracker does not answer")

    def _ask(self, message: Message) -> None:
        reply = self.ask(message)
        assert isinstance(reply, Ok), reply

    def address_of(self, node: str) -> str:
        """Return a loopback address of the node's own, so that each is a host."""
        place = self.nodes.index(node)
        return f"tcp://127.{1 + place // 250}.0.{1 + place % 250}:{self._port}"


def filled(crowd: Crowd, things: int, share: float, rng: Random) -> None:
    """Have each node hold a share of so many things, whole or in part."""
    for number in range(1, things + 1):
        name = f"{('dataset', 'image', 'model', 'course')[number % 4]}-{number:03}.tar"
        publisher = crowd.nodes[number % len(crowd.nodes)]
        for node in crowd.nodes:
            if node == publisher or rng.random() < share:
                complete = node == publisher or rng.random() < 0.9
                crowd.hold(node, holding(number, name, publisher, complete=complete))


def busy(crowd: Crowd, rng: Random) -> None:
    """Have some nodes fetch, send, hash and fail."""
    name, content_id, size_bytes = "win11-lab.img", id_of(9001), 24 * GB
    for place, node in enumerate(crowd.nodes):
        draw = rng.random()
        if place == 0:
            crowd.hold(node, Holding(name, content_id, size_bytes, version=3, publisher=node))
            crowd.set(node, sent_rate=112_000_000)
        elif draw < 0.62:
            rate = int(rng.uniform(60e6, 112e6))
            have = int(size_bytes * rng.uniform(0.2, 0.8))
            told = Transfer(name, content_id, have, size_bytes, rate, rng.randint(3, 12))
            crowd.set(node, fetching=(told,), sent_rate=int(rng.uniform(20e6, 110e6)))
            part = Holding(name, content_id, size_bytes, complete=False, version=3)
            crowd.hold(node, part)
        elif draw < 0.66:
            reason = "no space left on device; free 24.0 GB in /srv/shoal"
            crowd.set(node, failed=(Failure(name, content_id, reason, 300),), free_bytes=GB)
        elif draw < 0.69:
            crowd.set(node, hashing=(Transfer("recordings", None, 4 * GB, 11 * GB),))


@contextmanager
def crowd_in(folder: Path, count: int, zones: int = 0) -> Iterator[Crowd]:
    """Give a tracker with so many nodes in its cluster file, of which none has spoken."""
    with Crowd(folder, [f"pc-{number:03}" for number in range(1, count + 1)], zones) as crowd:
        yield crowd


class Chunks(threading.Thread):
    """Answers for the nodes of a crowd which chunks they have of what they fetch."""

    def __init__(self, crowd: Crowd, count: int, seed: int = 1) -> None:
        """`count` is how many chunks each thing has; they come in an order of each node's own."""
        super().__init__(daemon=True)
        self._crowd = crowd
        self._count = count
        self._orders = {node: _order(Random(f"{seed} {node}"), count) for node in crowd.nodes}
        self._is_over = False

    def stop(self) -> None:
        self._is_over = True
        self.join()

    def run(self) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        context.set(zmq.MAX_SOCKETS, len(self._crowd.nodes) + 10)
        poller, asked = zmq.Poller(), {}
        for node in self._crowd.nodes:
            sock = context.socket(zmq.ROUTER)
            sock.bind(self._crowd.address_of(node))
            asked[sock] = node
            poller.register(sock, zmq.POLLIN)
        while not self._is_over:
            for sock, _ in poller.poll(200):
                who, tag, _, _ = sock.recv_multipart()
                state = messages.encode(self._state(asked[sock]))
                sock.send_multipart([who, tag, b"", state])
        for sock in asked:
            sock.close(linger=0)
        context.term()

    def _state(self, node: str) -> State:
        fetching = self._crowd.doing[node].fetching
        if not fetching:
            return State("none")
        one, count = fetching[0], self._count
        have = bitmap.of(self._orders[node][: one.have_bytes * count // one.size_bytes])
        data = bitmap.to_bytes(have, count)
        return State("part", one.have_bytes, one.size_bytes, count, data)


def _order(rng: Random, count: int) -> list[int]:
    """Return an order of chunks as a fetch has it: runs, in random order."""
    run = max(1, count // 48)
    runs = [list(range(at, min(count, at + run))) for at in range(0, count, run)]
    rng.shuffle(runs)
    return [index for each in runs for index in each]
