"""Stations: places in the virtual network that send and receive. The tracker is one."""

import random
from typing import Protocol

import msgspec
from shoal.broker.tracking.initial import Initial
from shoal.broker.tracking.tracker import Tracker
from shoal.node.fetching import steps
from shoal.protocol.messages import Holders, TrackerReply, TrackerRequest
from shoal.protocol.permits import Asker

from tests.simulation.network import Place, receive, send
from tests.simulation.world import Actor, World

TRACKER = "tracker"
TRACKER_ADDRESS = "tcp://10.255.255.254:4000"
REQUEST_BYTES = 300  # A request with its bitmap, and what TCP and ZMTP add.
REPLY_BYTES = 200
HOLDER_BYTES = 60  # For each holder that the tracker names.


class _Letter(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A message between stations."""


class Asked(_Letter, frozen=True):
    """A host requests a chunk or the manifest from another one."""

    asker: str
    request: steps.RequestChunk | steps.RequestManifest


class AskedTracker(_Letter, frozen=True):
    """A request to the tracker."""

    asker: str
    request: TrackerRequest
    line: str = ""  # Over which connection of the asker's.


class Told(_Letter, frozen=True):
    """The tracker answers."""

    reply: TrackerReply
    line: str = ""


Answer = steps.ChunkReceived | steps.ManifestReceived | steps.NothingReceived | steps.RequestRefused
Message = Asked | AskedTracker | Told | Answer


class Sent(msgspec.Struct, frozen=True, array_like=True):
    """A message of so many bytes begins to come in."""

    size_bytes: int
    message: Message


class Network(Protocol):
    """All hosts, and what carries a message from one to another."""

    def place_of(self, name: str) -> Place: ...
    def carry(self, time: float, order: int, name: str, sent: Sent) -> None:
        """Have host `name` get it at `time`."""


class Station(Actor):
    """A place that sends and receives."""

    def __init__(self, number: int, name: str, world: World, network: Network) -> None:
        super().__init__(number, world)
        self.name = name
        self.place = network.place_of(name)
        self._network = network

    def get(self, sent: Sent) -> None:
        """Receive a message."""
        whole_at = receive(self.place, sent.size_bytes, self.world.now)
        self.at(whole_at, self.take, sent.message)

    def take(self, message: Message) -> None:
        """Act on a message that has arrived."""
        raise NotImplementedError

    def send(self, name: str, size_bytes: int, message: Message) -> float:
        """Send a message to another station; return when it has left here."""
        target = self._network.place_of(name)
        left_at, due_at = send(self.place, target, size_bytes, self.world.now)
        self._network.carry(due_at, self.next_order(), name, Sent(size_bytes, message))
        return left_at


class TrackerHost(Station):
    """The tracker at its place."""

    def __init__(self, number: int, world: World, network: Network, rng: random.Random) -> None:
        super().__init__(number, TRACKER, world, network)
        self._tracker = Tracker(Initial(TRACKER_ADDRESS), rng, 0.0)

    def take(self, message: Message) -> None:
        assert isinstance(message, AskedTracker)
        now = self.world.now
        reply = self._tracker.handle(message.request, now, Asker("")).reply
        named = len(reply.holders) if isinstance(reply, Holders) else 0
        self.send(message.asker, REPLY_BYTES + HOLDER_BYTES * named, Told(reply))
