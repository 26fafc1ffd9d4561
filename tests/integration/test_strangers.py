"""Strangers at the ports of the tracker and of a node: they are cut, and nobody else notices."""

import contextlib
import socket
import ssl
from collections.abc import Iterator

import pytest

from tests.integration.cluster import LIMIT_S, Cluster, cluster_in, noise, port_of

HANDSHAKE_S = 5.0  # How long a peer may take to say who it is.

GREETING = b"\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL".ljust(64, b"\0")
READY = b"\4\x1c\5READY\x0bSocket-Type\0\0\0\6DEALER"
PUBLISHER = b"\4\x19\5READY\x0bSocket-Type\0\0\0\3PUB"
SILENT = {"silence": b"", "half a greeting": GREETING[:11], "no handshake": GREETING}  # faults 3, 4
FOREIGN = {
    "random bytes": noise(4096),
    "HTTP": b"GET / HTTP/1.1\r\nHost: shoal\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
    "a publisher": GREETING + PUBLISHER,
}
AFTER_THE_HANDSHAKE = {
    "no delimiter": b"\0\4true",
    "a delimiter only": b"\0\0",
    "many frames": b"\1\0" + 999 * b"\1\1x" + b"\0\1x",
    "a huge frame": b"\2" + (1 << 62).to_bytes(8),
    "no msgpack": b"\1\0\0\1\xc1",
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """n2 runs and holds seeds.txt."""
    with cluster_in(tmp_path_factory.mktemp("strangers") / "cluster") as cluster:
        cluster.put("seeds.txt", b"seeds", "n2")
        cluster.start("n2")
        yield cluster


@pytest.fixture(autouse=True)
def all_goes_on(lab: Cluster) -> Iterator[None]:
    yield
    told = lab.fetch("seeds.txt", node="n1").json
    assert told["holders"] == {"n2": len(b"seeds")}
    (lab.folder("n1") / "seeds.txt").unlink()


@pytest.fixture(scope="module")
def strangers(lab: Cluster) -> Iterator[dict[str, socket.socket]]:
    """A connection of each kind to the tracker, and to n2."""
    with contextlib.ExitStack() as stack:
        opened = {}
        for service, address in (("tracker", lab.tracker_address), ("n2", lab.addresses["n2"])):
            for kind, data in (SILENT | FOREIGN | AFTER_THE_HANDSHAKE).items():
                place = ("127.0.0.1", port_of(address))
                peer = stack.enter_context(socket.create_connection(place, LIMIT_S))
                if kind in AFTER_THE_HANDSHAKE:
                    shake_hands(peer)
                peer.sendall(data)
                opened[f"{kind} to {service}"] = peer
        yield opened


def shake_hands(peer: socket.socket) -> None:
    peer.sendall(GREETING + READY)
    heard = b""
    while b"Socket-Type" not in heard:
        heard += peer.recv(1 << 12)


def test_strangers_at_the_ports_change_nothing(
    lab: Cluster, strangers: dict[str, socket.socket]
) -> None:
    assert len(strangers) == 2 * len(SILENT | FOREIGN | AFTER_THE_HANDSHAKE)
    assert lab.fetch("seeds.txt", node="n3").json["holders"] == {"n2": len(b"seeds")}


def test_tls_at_the_ports_changes_nothing(lab: Cluster) -> None:
    context = ssl.create_default_context()
    for address in (lab.tracker_address, lab.addresses["n2"]):
        place = ("127.0.0.1", port_of(address))
        with (
            socket.create_connection(place, 1.0) as peer,
            pytest.raises((ssl.SSLError, ConnectionError, TimeoutError)),
        ):
            context.wrap_socket(peer, server_hostname="shoal")


def test_who_does_not_shake_hands_is_cut(strangers: dict[str, socket.socket]) -> None:
    for name, peer in strangers.items():
        if name.rsplit(" to ", 1)[0] in SILENT | FOREIGN:
            assert is_cut(peer, 2 * HANDSHAKE_S), name


def is_cut(peer: socket.socket, limit_s: float) -> bool:
    peer.settimeout(limit_s)
    try:
        while peer.recv(1 << 16):
            pass  # Its greeting.
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return True
