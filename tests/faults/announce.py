"""Tells a tracker what a holder of ours has, as a node would."""

import zmq
from shoal.protocol import messages
from shoal.protocol.message import Message

LIMIT_MS = 30_000


def tell(context: "zmq.Context[zmq.Socket[bytes]]", address: str, *told: Message) -> None:
    """Send these to the tracker at `address`, which must agree to each."""
    with context.socket(zmq.DEALER) as tracker:
        tracker.setsockopt(zmq.LINGER, 0)
        tracker.connect(address)
        for message in told:
            tracker.send_multipart([b"tag", b"", messages.encode(message)])
            assert tracker.poll(LIMIT_MS), "the tracker does not answer"
            reply = messages.decode(tracker.recv_multipart()[-1], messages.TrackerReply)
            assert isinstance(reply, messages.Ok), reply
