"""From which address a node speaks to the tracker."""

import pytest
import zmq
from shoal.protocol.messages import Renew
from shoal.protocol.trackers import Trackers
from shoal.wire.origin import endpoint, of
from shoal.wire.tracker_client import TrackerClient

from tests.unit.wire.places import free_address


@pytest.mark.parametrize(
    ("address", "source", "expected"),
    [
        ("tcp://127.0.0.1:12000", "tcp://127.0.0.7:11001", "tcp://127.0.0.7:0;127.0.0.1:12000"),
        ("tcp://127.0.0.1:12000", "tcp://[::1]:11001", "tcp://127.0.0.1:12000"),
        ("tcp://127.0.0.1:12000", "tcp://192.0.2.77:11001", "tcp://127.0.0.1:12000"),
        ("tcp://[::1]:12000", "tcp://[::1]:11001", "tcp://[::1]:0;[::1]:12000"),
        ("tcp://127.0.0.1:12000", "tcp://localhost:11001", "tcp://127.0.0.1:12000"),
        ("tcp://127.0.0.1:12000", "", "tcp://127.0.0.1:12000"),
        ("tcp://127.0.0.1:12000", "tcp://0.0.0.0:11001", "tcp://127.0.0.1:12000"),
        ("tcp://192.0.2.1:12000", "tcp://127.0.0.7:11001", "tcp://192.0.2.1:12000"),
    ],
)
def test_a_source_is_named_where_it_works(address: str, source: str, expected: str) -> None:
    assert endpoint(address, source) == expected


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        (None, "tcp://10.0.0.1:11001"),
        ("tcp://0.0.0.0:11001", "tcp://10.0.0.1:11001"),
        ("tcp://[::]:11001", "tcp://10.0.0.1:11001"),
        ("tcp://10.5.0.1:1", "tcp://10.5.0.1:1"),
    ],
)
def test_a_node_speaks_from_where_it_listens(listen: str | None, expected: str) -> None:
    assert of("tcp://10.0.0.1:11001", listen) == expected


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_node_is_seen_at_its_own_address(host: str) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    router = context.socket(zmq.ROUTER)
    address = free_address()
    router.bind(address)
    named = address.replace("127.0.0.1", host)
    client = TrackerClient(context, Trackers([named]), source="tcp://127.0.0.7:11001")
    client.send(Renew("n1", 1, 0), 0.0)
    while not router.poll(20):
        client.receive(0.0)  # The name is being looked up.
    frame = router.recv(copy=False)
    assert str(frame.get("Peer-Address")).removeprefix("::ffff:") == "127.0.0.7"
    client.close()
    router.close()
    context.term()
