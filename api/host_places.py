"""Where hosts are: their numbers in one network, looked up now and side by side."""

import ipaddress
import socket
import time
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple

from shoal.config.document import listed
from shoal.wire.host_names import HOST_NAMES, HostNameError

LIMIT_S = 20.0  # For all together: 64 at a time, each within 5 s.
_LOOK_S = 0.02
_SOMEWHERE = ipaddress.ip_network("192.0.2.0/24")  # RFC 5737: reached as any other network is.

Network = IPv4Network | IPv6Network


class Place(NamedTuple):
    """What is known of a host."""

    host: str
    number: str | None = None  # None: not known, and the note says why.
    note: str | None = None  # One line, if the number is missing, or may be the wrong one.

    def address(self, port: int) -> str:
        """Return where a process on it listens, by name if the number is not known."""
        host = self.number or self.host
        return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"


def places_of(hosts: Iterable[str], net: Network | None) -> dict[str, Place]:
    """Return where each host is, in `net` if one is given. Takes LIMIT_S at most."""
    return {host: _place(host, found, net) for host, found in _looked_up(hosts).items()}


def _looked_up(hosts: Iterable[str]) -> dict[str, tuple[str, ...] | str]:
    """Return the numbers of each host, or why there are none."""
    until = time.monotonic() + LIMIT_S
    found: dict[str, tuple[str, ...] | str] = {
        host: f"the name service has not answered for {host}" for host in hosts
    }
    waiting, done = list(found), set[str]()
    while waiting and time.monotonic() < until:
        for host in waiting:
            try:
                if HOST_NAMES.find(f"tcp://{host}:1") is None:
                    continue
                found[host] = HOST_NAMES.known(host)
            except HostNameError as error:
                found[host] = str(error)
            done.add(host)
        waiting = [host for host in waiting if host not in done]
        time.sleep(_LOOK_S if waiting else 0)
    return found


def _place(host: str, found: tuple[str, ...] | str, net: Network | None) -> Place:
    if isinstance(found, str):
        return Place(host, None, found)
    usable = [number for number in found if _is_for_others(number)]
    if not usable:  # Debian's /etc/hosts gives a machine's own name 127.0.1.1 there.
        usable = _own_numbers(net)
    if net is not None:
        inside = [number for number in usable if ipaddress.ip_address(number) in net]
        if not inside:
            note = host if found == (host,) else f"{host} has {listed(found)}"
            return Place(host, None, note)
        return Place(host, inside[0])
    if not usable:
        return Place(host, None, f"{host} has {listed(found)}, where no other machine can connect")
    usable.sort(key=lambda number: ":" in number)  # IPv4 first.
    if len(usable) == 1:
        return Place(host, usable[0])
    note = f"{host} has {listed(usable)}; the first is taken, and --net NETWORK chooses another"
    return Place(host, usable[0], note)


def _is_for_others(number: str) -> bool:
    ip = ipaddress.ip_address(number.partition("%")[0])
    return not (ip.is_loopback or ip.is_link_local or ip.is_unspecified)


def _own_numbers(net: Network | None) -> list[str]:
    """Return the number from which this machine would speak to a network. Sends nothing."""
    towards = net or _SOMEWHERE
    try:
        family = socket.AF_INET6 if isinstance(towards, IPv6Network) else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(towards.network_address + min(1, towards.num_addresses - 1)), 9))
            number = str(probe.getsockname()[0])
    except OSError:
        return []
    return [number] if _is_for_others(number) else []
