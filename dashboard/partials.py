"""Asks those who have part of a thing which chunks they have, as often as a page is drawn.

As long as somebody looks, one connection to each is kept, with one request at a time.
"""

import time
from collections.abc import Mapping

import zmq
from shoal.api.roll_call import state_in
from shoal.protocol import messages
from shoal.protocol.keyring import Keyring, knows, towards_node
from shoal.protocol.messages import State, StateRequest
from shoal.wire import sockets
from shoal.wire.host_names import HOST_NAMES, HostNameError

MOST_NODES = 500  # With a connection each.
MOST_ASKED = 125  # In one round; with more, each has its turn.
WAIT_S = 0.25  # For answers in a round: a node answers at once, or in the next round.
LOST_S = 3.0  # A node that has not answered for so long is asked over another connection.
TAG = b"state"

Socket = zmq.Socket[bytes]


class _Asked:
    def __init__(self, sock: Socket) -> None:
        self.sock = sock
        self.since: float | None = None  # When the request was sent that is not answered yet.


class Partials:
    """Which chunks of one thing its holders have. Belongs to one thread; close it in the end."""

    def __init__(
        self, context: "zmq.Context[Socket]", name: str, content_id: str, ring: Keyring | None
    ) -> None:
        """`ring` has our keys and those of the nodes; None if the cluster file has none."""
        self.told: dict[str, State] = {}  # What each has said last.
        self._context = context
        self._body = messages.encode(StateRequest(name, content_id))
        self._ring = ring
        self._asked: dict[str, _Asked] = {}
        self._nodes: dict[Socket, str] = {}
        self._turns: dict[str, float] = {}  # When each had its turn.
        self._poller = zmq.Poller()

    def ask(self, addresses: Mapping[str, str]) -> None:
        """Ask those nodes, of whom some may have to wait for the next round.

        A host name in `addresses` is looked up, so it must not be a peer's word.
        """
        for node in [*self._asked]:
            if node not in addresses:
                self._drop(node)
        self.told = {node: state for node, state in self.told.items() if node in addresses}
        now = time.monotonic()
        known = [node for node in sorted(addresses)[:MOST_NODES] if knows(self._ring, node)]
        known.sort(key=lambda node: self._turns.get(node, 0.0))
        for node in known[:MOST_ASKED]:
            self._turns[node] = now
            self._send(node, addresses[node], now)
        self._receive(now + WAIT_S)

    def close(self) -> None:
        for node in [*self._asked]:
            self._drop(node)

    def _send(self, node: str, address: str, now: float) -> None:
        asked = self._asked.get(node)
        if asked is not None and asked.since is not None:
            if now - asked.since < LOST_S:
                return
            self._drop(node)
            asked = None
        try:
            numbers = HOST_NAMES.find(address)
        except HostNameError:
            return
        if numbers is None:
            return
        if asked is None:
            sock = sockets.dealer(self._context, numbers, towards_node(self._ring, node))
            asked = self._asked[node] = _Asked(sock)
            self._nodes[sock] = node
            self._poller.register(sock, zmq.POLLIN)
        asked.sock.send_multipart([TAG, b"", self._body], zmq.NOBLOCK)
        asked.since = now

    def _receive(self, deadline: float) -> None:
        """Take in the answers that come in time; those of an earlier round are as good."""
        waiting = sum(asked.since is not None for asked in self._asked.values())
        while waiting and (left_s := deadline - time.monotonic()) > 0:
            for sock, _ in self._poller.poll(int(1000 * left_s) + 1):
                node = self._nodes[sock]
                state = state_in(sock.recv_multipart())
                waiting -= self._asked[node].since is not None
                self._asked[node].since = None
                if state is not None:
                    self.told[node] = state

    def _drop(self, node: str) -> None:
        asked = self._asked.pop(node)
        self._poller.unregister(asked.sock)
        del self._nodes[asked.sock]
        asked.sock.close(linger=0)
