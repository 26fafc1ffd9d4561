"""Addresses in a cluster file: where a process is for the others, and where it listens.

They differ behind NAT and in containers. Nothing is looked up or opened here.
"""

import re
from typing import NamedTuple

from shoal.config.document import Value, shown
from shoal.protocol import addresses

MAX_HOST_CHARACTERS = 253  # RFC 1035: 255 bytes on the wire.
_HOST_LABEL = re.compile(
    r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
)  # RFC 1123, and `_`, which containers use.
_AN_ADDRESS = "tcp://HOST:PORT, as in tcp://192.168.1.10:11001"
_A_PLACE = "tcp://HOST:PORT, as in tcp://0.0.0.0:11001 for all addresses of the machine"


class Endpoint(NamedTuple):
    """An address taken apart."""

    host: str
    port: int


def address_in(value: Value) -> tuple[str, Endpoint]:
    """Return an address at which others connect.

    Raises:
        OperatorError: it is none, or means all addresses of a machine.
    """
    text = value.text(_AN_ADDRESS)
    try:
        return text, endpoint_of(text)
    except ValueError as error:
        expected = f"expected {_AN_ADDRESS}"
        raise value.error(f"found {shown(text)}, which {error}", expected) from None


def listen_in(value: Value | None) -> str | None:
    """Return where a process listens, if that is not its address: perhaps at all of the machine's.

    Raises:
        OperatorError: it is no address.
    """
    if value is None:
        return None
    text = value.text(_A_PLACE)
    try:
        endpoint_of(text, may_be_any=True)
    except ValueError as error:
        expected = f"expected {_A_PLACE}"
        raise value.error(f"found {shown(text)}, which {error}", expected) from None
    return text


def endpoint_of(address: str, *, may_be_any: bool = False) -> Endpoint:
    """Return the host and port, equal for two spellings of one; ValueError says what is wrong."""
    if address.startswith("tcp://*:"):
        raise ValueError("others cannot connect to" if not may_be_any else "has * as host")
    host, port = addresses.split(address)
    if not address.endswith(f":{port}"):
        raise ValueError("has a port that is not plain digits")
    if ":" in host or not host.strip("0123456789."):
        return Endpoint(_ip(host, may_be_any=may_be_any), port)
    if len(host) > MAX_HOST_CHARACTERS or not all(map(_HOST_LABEL.fullmatch, host.split("."))):
        raise ValueError("has a host that is neither a host name nor an IP address")
    return Endpoint("127.0.0.1" if host.lower() == "localhost" else host.lower(), port)


def _ip(host: str, *, may_be_any: bool) -> str:
    ip = addresses.ip(host)
    if ip is None:
        raise ValueError(f"has {shown(host)} as host, which is not an IP address")
    if ip.is_unspecified and not may_be_any:
        raise ValueError(
            "others cannot connect to: it means all addresses of one host, which is for `listen`"
        )
    return str(ip)


def refuse_unreachable(value: Value, address: str, trackers: tuple[str, ...]) -> None:
    """Refuse an address that every fetching node would silently refuse to connect to."""
    if not addresses.may_be_holder(address, trackers, listed=address):
        raise value.error(
            f"found {address}, to which other nodes will not connect",
            f"expected a port from {addresses.FIRST_UNPRIVILEGED_PORT} and a unicast host",
            "loopback only if the tracker's address is loopback too",
        )
