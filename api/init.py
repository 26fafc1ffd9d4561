"""A new cluster file: for hosts whose addresses are looked up now, or for this machine alone."""

import ipaddress
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
from shoal.api.host_places import Network, Place, places_of
from shoal.config.cluster import load
from shoal.config.document import shown
from shoal.config.host_lists import hosts_in
from shoal.config.new_file import NewFile, NewNode, text_of
from shoal.config.security import TRACKER
from shoal.protocol.errors import OperatorError
from shoal.protocol.names import display
from shoal.system.replacing import replace_file

TRACKER_PORT = 12000
NODE_PORT = 11001
_MOST_TOLD = 8  # Hosts in one message.


class Wishes(msgspec.Struct, frozen=True):
    """What the file is to say."""

    hosts: tuple[str, ...]  # host lists
    net: str | None = None
    folder: str = "~/shoal"
    tracker: str | None = None  # a host; by default the first
    port: int = NODE_PORT
    zones: tuple[str, ...] = ()  # each ZONE=HOSTS


class Made(NamedTuple):
    """A file that is to be written, and what to tell of it."""

    file: NewFile
    places: tuple[Place, ...] = ()  # Of the hosts; notes tell whose address may be a wrong one.


def for_hosts(wishes: Wishes) -> Made:
    """Look the hosts up, and return what the cluster file says of them.

    Takes as long as `places_of`.

    Raises:
        OperatorError: a host list is none, or names too many; a zone has hosts that are no nodes;
            a host has no address in the network; or two of them have the same.
    """
    hosts = hosts_in(wishes.hosts)
    if TRACKER in hosts:
        message = f"a node cannot be called {TRACKER}: with keys, only the tracker has that name"
        raise OperatorError(f"{message}; use another name of that host")
    tracker = hosts[0] if wishes.tracker is None else _only_host(wishes.tracker)
    zones = _zones(wishes.zones, hosts)
    net = None if wishes.net is None else _network(wishes.net)
    places = places_of([*hosts, tracker], net)
    _require_found(places, net)
    _require_apart([places[host] for host in hosts])
    nodes = [
        NewNode(host, places[host].address(wishes.port), wishes.folder, zones.get(host))
        for host in hosts
    ]
    address = places[tracker].address(TRACKER_PORT)
    if address in {node.address for node in nodes}:
        message = f"the tracker has port {TRACKER_PORT} of {tracker}, where node {tracker} is too"
        raise OperatorError(f"{message}; give the nodes another one with --port")
    return Made(NewFile(tracker, address, nodes), tuple(places.values()))


def for_this_machine(count: int, port: int) -> Made:
    """Return a cluster file for some nodes on this machine, with ports from `port` on."""
    nodes = [
        NewNode(f"n{number}", f"tcp://127.0.0.1:{port + number - 1}", f"n{number}")
        for number in range(1, count + 1)
    ]
    tracker = f"tcp://127.0.0.1:{TRACKER_PORT}"
    if tracker in {node.address for node in nodes}:
        message = f"the tracker has port {TRACKER_PORT}, and so would a node"
        raise OperatorError(f"{message}; give the nodes others with --port")
    return Made(NewFile("this machine", tracker, nodes, is_on_loopback=True))


def write(file: NewFile, path: Path, *, force: bool) -> None:
    """Write a cluster file, if it can be loaded.

    Raises:
        OperatorError: there is one already, and no force; or it would not be a valid one.
        OSError: it cannot be written.
    """
    name = display(str(path))
    if path.is_dir():
        raise OperatorError(f"{name} is a directory; name the file in it with --output")
    if os.path.lexists(path) and not force:
        message = f"{name} already exists"
        raise OperatorError(f"{message}; overwrite it with --force, or name another with --output")
    content = text_of(file).encode()
    _require_valid(content, path)
    if os.path.lexists(path):
        replace_file(path, content, lambda _: None)
    else:
        _write_new(path, content)


def _require_valid(content: bytes, path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / "lan.yaml"
        trial.write_bytes(content)
        try:
            load(trial)
        except OperatorError as error:
            reason = str(error).replace(str(trial), display(path.name))
            raise OperatorError(f"nothing was written, as it would be wrong: {reason}") from None


def _write_new(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        try:
            file.write(content)
        except BaseException:
            path.unlink()
            raise


def _zones(texts: Iterable[str], hosts: Sequence[str]) -> dict[str, str]:
    """Return the zones by host."""
    zones: dict[str, str] = {}
    for text in texts:
        zone, equals, members = text.partition("=")
        if not (zone.strip() and equals):
            raise OperatorError(
                f"--zone {shown(text)}: expected ZONE=HOSTS, as in rack-1=pc[01-20]"
            )
        for host in hosts_in([members]):
            if host not in hosts:
                message = f"--zone {shown(text)}: {host} is not one of the hosts"
                raise OperatorError(f"{message}; name it among them too, or take it out here")
            if zones.setdefault(host, zone) != zone:
                message = f"--zone {shown(text)}: {host} is in {shown(zones[host])} already"
                raise OperatorError(f"{message}; a host is in one zone at most")
    return zones


def _only_host(text: str) -> str:
    hosts = hosts_in([text])
    if len(hosts) != 1:
        raise OperatorError(f"--tracker {shown(text)}: names {len(hosts)} hosts; name one")
    return hosts[0]


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        example = "expected a network, as in 192.168.1.0/24"
        raise OperatorError(f"--net {shown(text)} is not a network; {example}") from None


def _require_found(places: Mapping[str, Place], net: Network | None) -> None:
    """Raise OperatorError if hosts have no number in the network that was asked for."""
    missing = [place for place in places.values() if place.number is None]
    if net is None or not missing:
        return
    reasons = "; ".join(str(place.note) for place in missing[:_MOST_TOLD])
    more = f"; and {len(missing) - _MOST_TOLD} more" if len(missing) > _MOST_TOLD else ""
    message = f"{len(missing)} of {len(places)} hosts have no address in {net}: {reasons}{more}"
    raise OperatorError(f"{message}; add them to /etc/hosts, or correct --net")


def _require_apart(places: Iterable[Place]) -> None:
    owners: dict[str, str] = {}
    for place in places:
        if place.number is None:
            continue
        other = owners.setdefault(place.number, place.host)
        if other != place.host:
            message = f"{other} and {place.host} both have the address {place.number}"
            raise OperatorError(f"{message}; correct the name service, or leave one of them out")
