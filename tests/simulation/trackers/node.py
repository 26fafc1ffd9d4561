"""A node, with the real announcer: it publishes, copies, moves to another tracker, and leaves."""

from collections.abc import Sequence
from random import Random

from shoal.node.serving.announcer import Announcer, Key
from shoal.node.serving.settings import NodeSettings
from shoal.protocol.message import Message
from shoal.protocol.messages import Holders, Holding, Query, TrackerReply

from tests.simulation.trackers.peer import Peer
from tests.simulation.trackers.world import World

SETTINGS = NodeSettings(renew_s=10, tracker_patience_s=0.5)
PATIENCE_S = 1.0
DELAY_S = (0.0001, 0.003)
SIZE_BYTES = 10


class Node:
    """One process after another, each with an epoch of its own."""

    def __init__(self, world: World, name: str, address: str, peers: Sequence[Peer]) -> None:
        self.name = name
        self.is_up = False
        self.lost_share = 0.0  # Of messages, each way.
        self.peer = peers[world.rng.randrange(len(peers))]
        self.held: dict[Key, Holding] = {}
        self._world = world
        self._address = address
        self._peers = peers
        self._epoch = 0
        self._token = ""
        self._newest: dict[str, int] = {}  # By name, as far as it was told.
        self._number = 0
        self.start()

    def start(self) -> None:
        self._epoch += 1
        rng = Random(self._world.rng.random())
        told = self.name, self._address, self._epoch, rng, SETTINGS, self._token
        self.announcer = Announcer(*told)
        for holding in self.held.values():
            self.announcer.added(holding, self._world.now)
        self.announcer.all_known(self._world.now)
        self.is_up = True
        self._speak()

    def stop(self, *, says_so: bool) -> None:
        farewell = self.announcer.farewell()
        self._token = self.announcer.token
        self.is_up = False
        self._number += 1
        if says_so and farewell is not None:
            self._send(farewell, self._number)

    def publish(self, name: str, content_id: str) -> None:
        """Claim to publish the next version, as far as this node knows."""
        number = self._newest.get(name, 0) + 1
        said = {"version": number, "publisher": self.name, "claims": True}
        self._add(Holding(name, content_id, SIZE_BYTES, **said))  # type: ignore[arg-type]

    def copy(self, name: str, *, is_whole: bool) -> None:
        """Fetch the newest version of a name that the tracker knows of."""

        def answer(reply: TrackerReply) -> None:
            if isinstance(reply, Holders) and reply.id is not None:
                told = reply.version, reply.publisher
                self._add(Holding(name, reply.id, SIZE_BYTES, is_whole, *told))

        self.peer.ask(Query(name, self.name, partial=True), answer)

    def drop(self) -> None:
        """Hold something no longer, and say so."""
        if self.held:
            key = self._world.rng.choice(sorted(self.held))
            del self.held[key]
            self.announcer.removed(key, self._world.now)
            self._speak()

    def ask_for_what_is_lost(self, name: str) -> None:
        """Ask for something that the tracker has this node hold, perhaps: it is no longer there."""
        for key in [key for key in self.held if key[0] == name]:
            del self.held[key]
            self.announcer.removed(key, self._world.now)
        self._send(Query(name, self.name, token=self.announcer.token), -1)
        self._speak()

    def move(self) -> None:
        """Go over to the next tracker."""
        self.peer = self._peers[(self._peers.index(self.peer) + 1) % len(self._peers)]

    def _add(self, holding: Holding) -> None:
        self.held[holding.name, holding.id] = holding
        self._newest[holding.name] = max(holding.version, self._newest.get(holding.name, 0))
        self.announcer.added(holding, self._world.now)
        self._speak()

    def _speak(self) -> None:
        """Say what there is to say now, and see to it that the rest is said in time."""
        if not self.is_up:
            return
        message = self.announcer.next_message(self._world.now)
        if message is not None:
            self._number += 1
            number = self._number
            self._send(message, number)
            self._world.after(PATIENCE_S, lambda: self._gives_up(number))
            return
        deadline = self.announcer.deadline
        if deadline is not None:
            number = self._number
            delay_s = max(0.001, deadline - self._world.now)
            self._world.after(delay_s, lambda: self._speak() if number == self._number else None)

    def _send(self, message: Message, number: int) -> None:
        world, peer = self._world, self.peer
        if world.rng.random() < self.lost_share:
            return
        there_s, back_s = (world.rng.uniform(*DELAY_S) for _ in range(2))

        def answer(reply: TrackerReply) -> None:
            if world.rng.random() >= self.lost_share:
                world.after(back_s, lambda: self._answered(reply, number))

        world.after(there_s, lambda: peer.ask(message, answer))  # type: ignore[arg-type]

    def _answered(self, reply: TrackerReply, number: int) -> None:
        if number != self._number or not self.is_up:
            return
        self._number += 1
        self.announcer.answered(reply, self._world.now)
        for told in self.announcer.taken_told():
            self._newest[told.name] = max(told.version, self._newest.get(told.name, 0))
        self.held = dict(self.announcer._wanted)
        self._speak()

    def _gives_up(self, number: int) -> None:
        if number == self._number and self.is_up:
            self._number += 1
            self.move()
            self.announcer.unanswered(self._world.now)
            self._speak()
