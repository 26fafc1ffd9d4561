"""Addresses: their form, and where a lying tracker cannot send a node."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shoal.protocol import addresses

LAN_TRACKER = "tcp://192.168.1.10:12000"
LOCAL_TRACKER = "tcp://127.0.0.1:12000"


@pytest.mark.parametrize(
    ("address", "endpoint"),
    [
        ("tcp://127.0.0.1:11001", ("127.0.0.1", 11001)),
        ("tcp://render-07.farm.lan:1", ("render-07.farm.lan", 1)),
        ("tcp://my_host:65535", ("my_host", 65535)),
        ("tcp://[fd00::7]:11001", ("fd00::7", 11001)),
    ],
)
def test_splits(address: str, endpoint: tuple[str, int]) -> None:
    assert addresses.split(address) == endpoint


@pytest.mark.parametrize(
    "address",
    [
        "",
        "127.0.0.1:11001",
        "udp://127.0.0.1:11001",
        "ipc:///tmp/socket",
        "inproc://node",
        "tcp://:11001",
        "tcp://*:11001",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:",
        "tcp://127.0.0.1:0",
        "tcp://127.0.0.1:65536",
        "tcp://127.0.0.1:-1",
        "tcp://127.0.0.1:*",
        "tcp://127.0.0.1:١٢٣",
        "tcp://127.0.0.1:11001\n",
        "tcp://127.0.0.1:11001/",
        "tcp://eth0;10.0.0.1:11001",
        "tcp://fd00::7:11001",
        "tcp://[10.0.0.1]:11001",
        "tcp://[fe80::1%eth0]:11001",
        "tcp://münchen:11001",
        "tcp://a b:11001",
    ],
)
def test_refuses_other_forms(address: str) -> None:
    with pytest.raises(ValueError, match="not of the form"):
        addresses.split(address)
    assert not addresses.may_be_holder(address, (LAN_TRACKER,))


@given(st.text(), st.text())
def test_never_fails_on_what_a_peer_says(address: str, tracker: str) -> None:
    assert addresses.may_be_holder(address, (tracker,)) in {True, False}
    assert not addresses.may_be_holder(f"tcp://{address}:80", (LAN_TRACKER,))


@pytest.mark.parametrize(
    "host",
    [
        "192.168.1.11",
        "10.0.0.1",
        "8.8.8.8",
        "[fd00::7]",
        "[2001:db8::7]",
    ],
)
def test_a_node_on_the_network_may_be_a_holder(host: str) -> None:
    assert addresses.may_be_holder(f"tcp://{host}:11001", (LAN_TRACKER,))


@pytest.mark.parametrize("host", ["n1", "n1.lan", "7up.lan"])
def test_a_host_name_is_only_taken_from_our_own_cluster_file(host: str) -> None:
    address = f"tcp://{host}:11001"
    assert addresses.may_be_holder(address, (LAN_TRACKER,), listed=address)
    for listed in (None, "tcp://10.0.0.1:11001", f"tcp://{host}:11002", f"tcp://x{host}:11001"):
        assert not addresses.may_be_holder(address, (LAN_TRACKER,), listed)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.9.9.9",
        "localhost",
        "LocalHost",
        "localhost.",
        "n1.localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
    ],
)
def test_this_machine_may_be_a_holder_only_if_it_has_the_tracker_too(host: str) -> None:
    address = f"tcp://{host}:11001"
    assert addresses.is_loopback(addresses.split(address)[0])
    assert not addresses.may_be_holder(address, (LAN_TRACKER,))
    assert addresses.may_be_holder(address, (LOCAL_TRACKER,), address)
    assert addresses.may_be_holder(address, ("tcp://localhost:12000",), address)


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",  # The metadata service of clouds.
        "[::ffff:169.254.169.254]",
        "[fe80::1]",
        "224.0.0.1",
        "[ff02::1]",
        "255.255.255.255",
        "0.0.0.0",  # noqa: S104  # Refusing it is the point.
        "[::]",
        "127.1",  # From here on: what the C library takes for 127.0.0.1.
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.0.0.0x1",
    ],
)
@pytest.mark.parametrize("tracker", [LAN_TRACKER, LOCAL_TRACKER])
def test_no_node_is_there(host: str, tracker: str) -> None:
    assert not addresses.may_be_holder(f"tcp://{host}:11001", (tracker,))


@pytest.mark.parametrize("port", [1, 22, 80, 1023])
def test_no_node_is_at_a_system_port(port: int) -> None:
    assert not addresses.may_be_holder(f"tcp://192.168.1.11:{port}", (LAN_TRACKER,))


@pytest.mark.parametrize(
    ("address", "tracker"),
    [
        (LAN_TRACKER, LAN_TRACKER),
        (LOCAL_TRACKER, LOCAL_TRACKER),
        ("tcp://localhost:12000", LOCAL_TRACKER),
        ("tcp://[::1]:12000", LOCAL_TRACKER),
        ("tcp://Tracker.lan:12000", "tcp://tracker.lan:12000"),
    ],
)
def test_the_tracker_is_no_holder(address: str, tracker: str) -> None:
    assert not addresses.may_be_holder(address, (tracker,))


def test_is_loopback_by_its_text() -> None:
    assert not addresses.is_loopback("192.168.1.11")
    assert not addresses.is_loopback("notlocalhost")
    assert not addresses.is_loopback("localhost.lan")
