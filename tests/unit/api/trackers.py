"""A tracker that answers with what it is told to. For tests."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import zmq
from shoal.protocol import messages
from shoal.protocol.message import Message
from shoal.wire.wake import Wake

Answer = Callable[[Message], Message | bytes]


@contextmanager
def tracker(answer: Answer) -> Iterator[str]:
    """Run a tracker that answers with what it is told to; yield its address."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    router, stop = context.socket(zmq.ROUTER), Wake()
    port = router.bind_to_random_port("tcp://127.0.0.1")

    def serve() -> None:
        poller = zmq.Poller()
        poller.register(router, zmq.POLLIN)
        poller.register(stop, zmq.POLLIN)
        while stop.fileno() not in dict(poller.poll()):
            *envelope, body = router.recv_multipart()
            reply = answer(messages.decode(body, messages.TrackerRequest))
            data = reply if isinstance(reply, bytes) else messages.encode(reply)
            router.send_multipart([*envelope, data])

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"tcp://127.0.0.1:{port}"
    finally:
        stop.set()
        thread.join()
        router.close(linger=0)
        stop.close()
        context.term()
