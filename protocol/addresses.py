"""Addresses as text: where a process listens, and where a node may connect to. Opens nothing."""

import functools
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


def may_be_holder(address: str, trackers: tuple[str, ...], listed: str | None = None) -> bool:
    """Return whether a holder that one of the `trackers`, by address, names may be connected to.

    A tracker that lies must not make nodes knock on other services (CVE-2025-59352's kind): no
    system ports, no multicast or link-local addresses, nothing on this machine unless all trackers
    are on this machine too, and never a tracker itself. Nor may it make them look up host names:
    a name has to be the address that the node has in our own cluster file, `listed`. Judged by
    the text alone: what that name resolves to is the name service's word.
    """
    try:
        host, port = split(address)
        places = [split(tracker) for tracker in trackers]
    except ValueError:
        return False
    if port < FIRST_UNPRIVILEGED_PORT or not _may_be_host(host):
        return False
    if ip(host) is None and address != listed:
        return False
    if is_loopback(host):
        return all(is_loopback(own) and port != taken for own, taken in places)
    return all((host.lower(), port) != (own.lower(), taken) for own, taken in places)


def _may_be_host(host: str) -> bool:
    found = ip(host)
    if found is None:
        return not _ENDS_IN_NUMBER.match(host)
    if found.is_loopback:  # Before the others: ::1 is in a reserved block.
        return True
    is_for_many = found.is_multicast or found.is_unspecified
    return not (is_for_many or found.is_link_local or found.is_reserved)


def is_loopback(host: str) -> bool:
    """Return whether `host` is this machine by its text alone, without a DNS lookup."""
    found = ip(host)
    if found is None:
        return f".{host.lower().rstrip('.')}".endswith(".localhost")  # RFC 6761
    return found.is_loopback


def is_any(host: str) -> bool:
    """Return whether `host` means all addresses of a machine, at which it may listen."""
    found = ip(host)
    return found is not None and found.is_unspecified


def is_numeric(address: str) -> bool:
    """Return whether the host of `address`, which is of the right form, is a number."""
    return ip(split(address)[0]) is not None


def are_one_host(one: str, other: str) -> bool:
    """Return whether two hosts are the same by their text alone; all of loopback is one."""
    if one.lower() == other.lower() or (is_loopback(one) and is_loopback(other)):
        return True
    found = ip(one)
    return found is not None and found == ip(other)


def network_of(host: str) -> str:
    """Return what one machine can have any number of addresses in.

    That is loopback, and an IPv6 network of 64 bits. Of IPv4 it is one address.
    """
    if is_loopback(host):
        return "loopback"
    found = ip(host)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Address(int(found) >> 64 << 64))
    return host if found is None else str(found)


@functools.lru_cache(maxsize=1024)  # The rules ask again and again; parsing takes 5 us.
def ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the IP address that `host` is, by its text alone; None if it is a name."""
    if ":" not in host and not host.replace(".", "").isdigit():
        return None  # An exception would take ten times as long.
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped  # ::ffff:127.0.0.1 is this machine too.
    return found
