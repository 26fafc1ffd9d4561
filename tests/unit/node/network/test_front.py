"""The ROUTER at a node's address, and the holders' side of a fetch: what they have in common."""

import time
from typing import TypeAlias

import zmq
from shoal.node.network.front import Front
from shoal.node.serving import steps
from shoal.protocol import messages
from shoal.protocol.errors import WireCode
from shoal.protocol.keyring import NO_LONGER_KNOWN, Keyring, Towards
from shoal.protocol.message import Message
from shoal.protocol.messages import StateRequest, WrongChunk
from shoal.protocol.permits import Role, Who
from shoal.wire import sockets
from shoal.wire.curve import gate_of

from tests.unit.wire.places import LIMIT_S, free_address, key_pair

Context: TypeAlias = "zmq.Context[zmq.Socket[bytes]]"


def test_a_slow_link_s_queue_ends_no_connection_to_a_holder(context: Context) -> None:
    """A link went from 50 Mbit/s to 64 kbit/s, and a live holder counted as lost."""
    queue_bytes, bytes_per_s = 128 << 10, 64_000 / 8
    front = Front(context, free_address())
    client = sockets.dealer(context, free_address())
    for each in (front.sockets[0], client):
        assert int(each.getsockopt(zmq.TCP_MAXRT)) / 1000 > 1.5 * queue_bytes / bytes_per_s
    client.close()
    front.close()


class Guarded:
    """A node's address for those with keys, and n1, who asks there."""

    def __init__(self, context: Context) -> None:
        self.server, self.pair = key_pair(), key_pair()
        self.ring = Keyring("n2", self.server)
        self.know(Who("n1", Role.NODE))
        self.far: Context = zmq.Context()
        self.front = Front(context, address := free_address(), gate_of(self.ring))
        towards = Towards(self.pair, self.server.public, "n1")
        self.client = sockets.dealer(self.far, address, towards)

    def know(self, who: Who | None) -> None:
        table = {} if who is None else {self.pair.public: who}
        self.ring.replace(self.server.public, {}, table)

    def arrived(self, request: Message) -> steps.Event:
        """Return what comes of a request."""
        self.client.send_multipart([b"", messages.encode(request)])
        until = time.monotonic() + LIMIT_S
        while time.monotonic() < until:
            polled = [(each, zmq.POLLIN) for each in self.front.sockets]
            ready = [each for each, _ in zmq.zmq_poll(polled, 10)]
            for event in self.front.news(ready, time.monotonic()):
                return event
        raise AssertionError("nothing came")

    def close(self) -> None:
        self.client.close()
        self.far.term()
        self.front.close()


def refused(event: steps.Event) -> str:
    assert isinstance(event, steps.NonsenseArrived)
    assert event.code == WireCode.NOT_ALLOWED
    return event.reason


def test_with_keys_each_request_is_judged_by_who_sends_it(context: Context) -> None:
    guarded = Guarded(context)
    mine, another_s = (WrongChunk("b3:" + "0" * 64, 0, node) for node in ("n1", "n3"))
    event = guarded.arrived(mine)
    assert isinstance(event, steps.RequestArrived)
    assert event.request == mine
    assert "the key of n1, which may not speak for n3" in refused(guarded.arrived(another_s))
    guarded.know(Who("n1", Role.ADMIN))
    assert isinstance(guarded.arrived(another_s), steps.RequestArrived)
    guarded.close()


def test_a_key_that_has_been_taken_out_is_told_so(context: Context) -> None:
    guarded = Guarded(context)
    request = StateRequest("a.bin", None)
    assert isinstance(guarded.arrived(request), steps.RequestArrived)
    guarded.know(None)
    assert refused(guarded.arrived(request)) == NO_LONGER_KNOWN
    guarded.close()
