"""Addresses as text: where a process listens, and where a node may connect to. Opens nothing."""

import ipaddress
import re

PATTERN = (
    r"^tcp://(?:\[(?P<v6>[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)\]|(?P<host>[A-Za-z0-9._-]+))"
    r":(?P<port>[0-9]{1,5})\Z"
)
_ADDRESS = re.compile(PATTERN)
# What the C library accepts as IPv4 addresses: 127.1, 0x7f000001 and 2130706433 are 127.0.0.1.
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:0[xX][0-9A-Fa-f]*|[0-9]+)\.?\Z")
MAX_PORT = 65535
FIRST_UNPRIVILEGED_PORT = 1024


def split(address: str) -> tuple[str, int]:
    """Return host and port of `tcp://HOST:PORT`.

    Raises:
        ValueError: it is not of that form; the message is a phrase that says so.
    """
    match = _ADDRESS.match(address)
    if match is None or not 1 <= int(match["port"]) <= MAX_PORT:
        raise ValueError("is not of the form tcp://HOST:PORT")
    return match["v6"] or match["host"], int(match["port"])


def may_be_holder(address: str, tracker_address: str) -> bool:
    """Return whether a holder that the tracker names may be connected to.

    A tracker that lies must not make nodes knock on other services (CVE-2025-59352's kind): no
    system ports, no multicast or link-local addresses, nothing on this machine unless the tracker
    is on this machine too, and never the tracker itself. Judged by the text alone: what a host name
    resolves to is the name service's word.
    """
    try:
        host, port = split(address)
        tracker_host, tracker_port = split(tracker_address)
    except ValueError:
        return False
    if port < FIRST_UNPRIVILEGED_PORT or not _may_be_host(host):
        return False
    if is_loopback(host):
        return is_loopback(tracker_host) and port != tracker_port
    return (host.lower(), port) != (tracker_host.lower(), tracker_port)


def _may_be_host(host: str) -> bool:
    ip = _ip(host)
    if ip is None:
        return not _ENDS_IN_NUMBER.match(host)
    if ip.is_loopback:  # Before the others: ::1 is in a reserved block.
        return True
    return not (ip.is_multicast or ip.is_link_local or ip.is_unspecified or ip.is_reserved)


def is_loopback(host: str) -> bool:
    """Return whether `host` is this machine by its text alone, without a DNS lookup."""
    ip = _ip(host)
    if ip is None:
        return f".{host.lower().rstrip('.')}".endswith(".localhost")  # RFC 6761
    return ip.is_loopback


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if ":" not in host and not host.replace(".", "").isdigit():
        return None  # An exception would take ten times as long.
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        return ip.ipv4_mapped  # ::ffff:127.0.0.1 is this machine too.
    return ip
