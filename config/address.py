"""What an address in the cluster file may be. Resolves no names and opens no sockets."""

import ipaddress
import re
from typing import NamedTuple

EXPECTED = "tcp://HOST:PORT, as in tcp://192.168.1.10:11001"
MAX_HOST_CHARACTERS = 253  # RFC 1035, section 2.3.4, without the lengths and the root.

_ADDRESS = re.compile(r"tcp://(?P<host>\[[^\[\]]*\]|[^\[\]:]*):(?P<port>[^:]*)")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")  # RFC 1123, and the `_` that containers use.


class Endpoint(NamedTuple):
    """An address taken apart: equal for two spellings of one address."""

    host: str
    port: int


def parse_address(text: str) -> Endpoint:
    """Return the parts of tcp://HOST:PORT; ValueError says in one phrase what is wrong with it.

    HOST is a host name, an IPv4 address or an [IPv6] address that others can connect to.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise ValueError("not of that form")
    port = match["port"]
    if not _PORT.fullmatch(port) or int(port) > 65535:  # noqa: PLR2004  the width of a TCP port
        raise ValueError("the port is not a number from 1 to 65535")
    return Endpoint(_canonical_host(match["host"]), int(port))


def host_of_machine(endpoint: Endpoint) -> str:
    """Return the host, the same one for all loopback addresses: they are one machine."""
    try:
        is_loopback = ipaddress.ip_address(endpoint.host).is_loopback
    except ValueError:
        return endpoint.host
    return "127.0.0.1" if is_loopback else endpoint.host


def _canonical_host(host: str) -> str:
    if host == "*":
        raise ValueError("others cannot connect to *")
    if host.startswith("["):
        return _canonical_ip(ipaddress.IPv6Address, host[1:-1], "an IPv6 address")
    if re.fullmatch(r"[0-9.]+", host):
        return _canonical_ip(ipaddress.IPv4Address, host, "an IPv4 address")
    if len(host) > MAX_HOST_CHARACTERS or not all(map(_LABEL.fullmatch, host.split("."))):
        raise ValueError("the host is neither a host name nor an IP address")
    name = host.lower()
    return "127.0.0.1" if name == "localhost" else name
