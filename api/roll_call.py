"""Asks many nodes at the same time for the state of one thing."""

import contextlib
import time
from collections.abc import Mapping

import zmq
from shoal.protocol import messages
from shoal.protocol.errors import MalformedMessageError
from shoal.protocol.messages import NodeReply, State, StateRequest
from shoal.wire import sockets

LIMIT_S = 1.5  # A node answers at once, or is too busy to be waited for.
MOST_NODES = 500  # One connection each.
STATES = {"whole", "part", "hashing", "changed", "other", "none"}
REPLY_FRAMES = 3  # Tag, delimiter, body.

Socket = zmq.Socket[bytes]


def states(addresses: Mapping[str, str], name: str, content_id: str | None) -> dict[str, State]:
    """Return the answers of those nodes that answer in time, by node."""
    body = messages.encode(StateRequest(name, content_id))
    context: zmq.Context[Socket] = zmq.Context()
    context.set(zmq.MAX_SOCKETS, MOST_NODES + 10)
    asked: dict[Socket, str] = {}
    try:
        for node, address in sorted(addresses.items())[:MOST_NODES]:
            with contextlib.suppress(zmq.ZMQError):  # No such host.
                sock = sockets.dealer(context, address)
                asked[sock] = node
                sock.send_multipart([b"state", b"", body], zmq.NOBLOCK)
        return _replies(asked)
    finally:
        for sock in asked:
            sock.close(linger=0)
        context.term()


def _replies(asked: dict[Socket, str]) -> dict[str, State]:
    found: dict[str, State] = {}
    poller = zmq.Poller()
    for sock in asked:
        poller.register(sock, zmq.POLLIN)
    waiting = set(asked)
    deadline = time.monotonic() + LIMIT_S
    while waiting and (left_s := deadline - time.monotonic()) > 0:
        for sock, _ in poller.poll(int(1000 * left_s) + 1):
            poller.unregister(sock)
            waiting.discard(sock)
            reply = _state_in(sock.recv_multipart())
            if reply is not None:
                found[asked[sock]] = reply
    return found


def _state_in(frames: list[bytes]) -> State | None:
    if len(frames) != REPLY_FRAMES:
        return None
    try:
        reply = messages.decode(frames[-1], NodeReply)
    except MalformedMessageError:
        return None
    return reply if isinstance(reply, State) and reply.state in STATES else None
