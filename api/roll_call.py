"""Asks many nodes at the same time for the state of one thing."""

import time
from collections.abc import Mapping

import zmq
from shoal.protocol import messages
from shoal.protocol.errors import MalformedMessageError
from shoal.protocol.keyring import Keyring, knows, towards_node
from shoal.protocol.messages import NodeReply, State, StateRequest
from shoal.wire import sockets
from shoal.wire.host_names import HOST_NAMES, LOOK_S, HostNameError

LIMIT_S = 1.5  # A node answers at once, or is too busy to be waited for.
MOST_NODES = 500  # One connection each.
STATES = {"whole", "part", "hashing", "changed", "other", "none"}
REPLY_FRAMES = 3  # Tag, delimiter, body.

Socket = zmq.Socket[bytes]


def states(
    addresses: Mapping[str, str], name: str, content_id: str | None, ring: Keyring | None = None
) -> dict[str, State]:
    """Return the answers of those nodes that answer in time, by node.

    A host name in `addresses` is looked up, so it must not be a peer's word. `ring` has our keys,
    and those of the nodes; None if the cluster file has none.
    """
    body = messages.encode(StateRequest(name, content_id))
    context: zmq.Context[Socket] = zmq.Context()
    context.set(zmq.MAX_SOCKETS, MOST_NODES + 10)
    asked: dict[Socket, str] = {}
    try:
        known = [(node, address) for node, address in addresses.items() if knows(ring, node)]
        return _RollCall(context, body, asked, ring).states(dict(sorted(known)[:MOST_NODES]))
    finally:
        for sock in asked:
            sock.close(linger=0)
        context.term()


class _RollCall:
    """One question to many nodes."""

    def __init__(
        self,
        context: "zmq.Context[Socket]",
        body: bytes,
        asked: dict[Socket, str],
        ring: Keyring | None,
    ) -> None:
        self._context = context
        self._body = body
        self._asked = asked
        self._ring = ring
        self._poller = zmq.Poller()

    def states(self, addresses: dict[str, str]) -> dict[str, State]:
        found: dict[str, State] = {}
        unasked, waiting = addresses, 0
        deadline = time.monotonic() + LIMIT_S
        while (unasked or waiting) and (left_s := deadline - time.monotonic()) > 0:
            unasked = {node: at for node, at in unasked.items() if not self._ask(node, at)}
            waiting = len(self._poller.sockets)
            left_s = min(left_s, LOOK_S) if unasked else left_s
            for sock, _ in self._poller.poll(int(1000 * left_s) + 1):
                self._poller.unregister(sock)
                waiting -= 1
                reply = state_in(sock.recv_multipart())
                if reply is not None:
                    found[self._asked[sock]] = reply
        return found

    def _ask(self, node: str, address: str) -> bool:
        """Return whether the node was asked, or cannot be."""
        try:
            numbers = HOST_NAMES.find(address)
        except HostNameError:
            return True
        if numbers is None:
            return False
        sock = sockets.dealer(self._context, numbers, towards_node(self._ring, node))
        self._asked[sock] = node
        self._poller.register(sock, zmq.POLLIN)
        sock.send_multipart([b"state", b"", self._body], zmq.NOBLOCK)
        return True


def state_in(frames: list[bytes]) -> State | None:
    """Return the state that a node's reply tells, given its frames; None if it is no such reply."""
    if len(frames) != REPLY_FRAMES:
        return None
    try:
        reply = messages.decode(frames[-1], NodeReply)
    except MalformedMessageError:
        return None
    return reply if isinstance(reply, State) and reply.state in STATES else None
