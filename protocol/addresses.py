"""Where a process listens, as text, and which such texts a node may be sent to. Opens nothing."""

import ipaddress
import re

_ADDRESS = re.compile(r"tcp://(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>\d{1,5})\Z")
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
    """Say whether a holder that the tracker names may be connected to.

    A tracker that lies must not make nodes knock on other services (CVE-2025-59352's kind): no
    system ports, no multicast or link-local addresses, nothing on this machine unless the tracker is
    on this machine too, and never the tracker itself.
    """
    try:
        host, port = split(address)
        tracker_host, _ = split(tracker_address)
    except ValueError:
        return False
    if port < FIRST_UNPRIVILEGED_PORT or address == tracker_address:
        return False
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return host != "localhost" or is_loopback(tracker_host)
    if ip.is_multicast or ip.is_link_local or ip.is_unspecified or ip.is_reserved:
        return False
    return not ip.is_loopback or is_loopback(tracker_host)


def is_loopback(host: str) -> bool:
    """Say whether `host` is this machine by its text alone (no look-up is made)."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
