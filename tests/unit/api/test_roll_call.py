"""Many nodes asked at once: who does not answer in time is done without."""

import threading

import pytest
import zmq
from shoal.api import roll_call
from shoal.protocol import messages
from shoal.protocol.errors import WireCode
from shoal.protocol.messages import Error, State, StateRequest


def test_answers_are_gathered_and_nonsense_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roll_call, "LIMIT_S", 0.5)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    replies = {
        "right": messages.encode(State("part", 1, 2)),
        "older": messages.encode(Error(WireCode.UNSUPPORTED, "unknown")),
        "nonsense": b"no message",
        "strange": messages.encode(State("a\x1b[31m")),
        "silent": None,
    }
    addresses, threads, sockets = {}, [], []
    for node, reply in replies.items():
        sock = context.socket(zmq.REP)
        port = sock.bind_to_random_port("tcp://127.0.0.1")
        addresses[node] = f"tcp://127.0.0.1:{port}"
        sockets.append(sock)

        def serve(sock: "zmq.Socket[bytes]" = sock, reply: bytes | None = reply) -> None:
            request = messages.decode(sock.recv(), messages.NodeRequest)
            assert request == StateRequest("a", None)
            if reply is not None:
                sock.send(reply)

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
    addresses["nowhere"] = "tcp://no-such-host.invalid:11001"
    assert roll_call.states(addresses, "a", None) == {"right": State("part", 1, 2)}
    for thread in threads:
        thread.join()
    for sock in sockets:
        sock.close()
    context.term()


def test_nobody_need_be_asked() -> None:
    assert roll_call.states({}, "a", None) == {}
