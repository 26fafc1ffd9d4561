"""The cluster file: where the tracker and the nodes are, and who holds what at the start.

Not the reading of YAML, which is config.document's. The reference is docs/use/cluster-file.md.
"""

import ipaddress
import os
import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
from shoal.config.document import Value, choices, read, shown
from shoal.config.limits import NodeLimits, TrackerLimits, node_limits, tracker_limits
from shoal.protocol import addresses, names
from shoal.protocol.errors import OperatorError

DEFAULT_FILE = "lan.yaml"
DEFAULT_STATE_FOLDER = ".shoal"
ENVIRONMENT_VARIABLE = "SHOAL_CONFIG"
SHIPPED_FOLDER = Path(__file__).parent
EXAMPLE = SHIPPED_FOLDER / DEFAULT_FILE  # Runs on one machine as it is.
TEMPLATE = "hosts.yaml"  # For several machines, to be filled in.
MAX_QUOTA_GB = 1e9
MAX_ZONE_CHARACTERS = 64  # As long as a node's name may be.
MAX_HOST_CHARACTERS = 253  # RFC 1035: 255 bytes on the wire.

_NODE_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HOST_LABEL = re.compile(
    r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
)  # RFC 1123, and `_`, which containers use.
_AN_ADDRESS = "tcp://HOST:PORT, as in tcp://192.168.1.10:11001"


class Endpoint(NamedTuple):
    """An address taken apart."""

    host: str
    port: int


class TrackerEntry(msgspec.Struct, frozen=True):
    """Where the tracker listens, and the folder in which it keeps `tracker.db`."""

    address: str
    state_folder: Path
    limits: TrackerLimits = TrackerLimits()


class NodeEntry(msgspec.Struct, frozen=True):
    """Where a node listens, and the folder of the files it serves."""

    name: str
    address: str
    folder: Path
    zone: str | None = None
    quota_bytes: int | None = None
    limits: NodeLimits = NodeLimits()


class Cluster(msgspec.Struct, frozen=True):
    """A cluster file that was checked. All paths are absolute."""

    path: Path
    tracker: TrackerEntry
    nodes: dict[str, NodeEntry]  # by name, in the file's order
    holdings: dict[str, tuple[str, ...]]  # by file name: the nodes that hold it at the start


def find(
    name: str | None, environ: Mapping[str, str], cwd: Path, *, in_clone: bool = False
) -> Path:
    """Return the path of the cluster file to use: `name`, else $SHOAL_CONFIG, else lan.yaml.

    It is looked for in `cwd`. If there is none, the example that ships with shoal is used for the
    name lan.yaml, and by default `in_clone`; otherwise files for the user's own cluster would end
    up where shoal is installed.

    Raises:
        OperatorError: there is none.
    """
    origin, given = "--config", name
    if name is None:
        origin = f"${ENVIRONMENT_VARIABLE}"
        name = environ.get(ENVIRONMENT_VARIABLE) or None
    if name is None:
        origin, name = "by default", DEFAULT_FILE
    if not Path(name).is_absolute():
        _require_place(cwd)
    if os.path.lexists(cwd / name):
        return cwd / name
    if given == DEFAULT_FILE or (in_clone and origin == "by default"):
        return EXAMPLE
    template = names.display(str(SHIPPED_FOLDER / TEMPLATE))
    remedy = f"copy {template} to {DEFAULT_FILE} and fill it in"
    if origin == "by default":
        looked = names.display(str(cwd.absolute()))
        message = (
            f"there is no cluster file {name} in {looked}; {remedy}, or name one with --config"
        )
        raise OperatorError(message)
    message = f"{names.display(name)}: no such cluster file (named by {origin}); {remedy}"
    raise OperatorError(f"{message}, or name another")


def _require_place(cwd: Path) -> None:
    try:
        cwd.absolute()
    except OSError:
        raise OperatorError("the working directory is gone; change to one that exists") from None


def load(path: Path) -> Cluster:
    """Return the cluster that the file at `path` describes.

    Raises OperatorError, in one line with file, line, key, what was found and what is expected,
    where the file cannot be read or is not a cluster file.
    """
    document = read(path).fields(required=("tracker", "nodes"), optional=("limits", "holdings"))
    absolute = path.absolute()
    tracker = _tracker(document["tracker"], absolute.parent)
    limits = node_limits(document.get("limits"), NodeLimits())
    nodes = _Nodes(absolute.parent, tracker.address, limits).read(document["nodes"])
    holdings = _holdings(document["holdings"], nodes) if "holdings" in document else {}
    return Cluster(absolute, tracker, nodes, holdings)


def node_named(cluster: Cluster, name: str) -> NodeEntry:
    """Return the node of that name; raises OperatorError, with the names there are, if none is."""
    if name not in cluster.nodes:
        place = names.display(str(cluster.path))
        raise OperatorError(f"{place}: no node {shown(name)}; {choices(name, cluster.nodes)}")
    return cluster.nodes[name]


def _tracker(value: Value, base: Path) -> TrackerEntry:
    fields = value.fields(required=("address",), optional=("state_folder", "limits"))
    address, _ = _address(fields["address"])
    place = fields.get("state_folder")
    folder = base / DEFAULT_STATE_FOLDER if place is None else _folder(place, base)
    return TrackerEntry(address, folder, tracker_limits(fields.get("limits")))


class _Nodes:
    """The nodes that have been read so far, and what they have taken."""

    def __init__(self, base: Path, tracker_address: str, limits: NodeLimits) -> None:
        self._base = base
        self._tracker_address = tracker_address
        self._limits = limits  # Of nodes that have none of their own.
        self._taken: dict[Hashable, str] = {_endpoint(tracker_address): "the tracker"}

    def read(self, value: Value) -> dict[str, NodeEntry]:
        """Return the nodes by name, in the file's order."""
        entries = value.entries("nodes by name")
        if not entries:
            raise value.error("found no nodes", "expected at least one")
        return {name: self._node(name, entry) for name, entry in entries.items()}

    def _node(self, name: str, entry: Value) -> NodeEntry:
        if not _NODE_NAME.fullmatch(name):
            expected = "expected 1 to 64 of A-Z, a-z, 0-9, `.`, `_`, `-`"
            raise entry.error("not a node's name", expected)
        fields = entry.fields(("address", "folder"), ("zone", "quota_gb", "limits"))
        address, endpoint = _address(fields["address"])
        _claim(self._taken, endpoint, name, fields["address"])
        _refuse_unreachable(fields["address"], self._tracker_address)
        folder = _folder(fields["folder"], self._base)
        _claim_folder(self._taken, _machine(endpoint), folder, name, fields["folder"])
        zone = _zone(fields["zone"]) if "zone" in fields else None
        quota_bytes = _quota(fields.get("quota_gb"))
        limits = node_limits(fields.get("limits"), self._limits)
        return NodeEntry(name, address, folder, zone, quota_bytes, limits)


def _holdings(value: Value, nodes: Mapping[str, NodeEntry]) -> dict[str, tuple[str, ...]]:
    return {
        file_name: _holders(file_name, entry, nodes)
        for file_name, entry in value.entries("lists of nodes by file name").items()
    }


def _holders(file_name: str, entry: Value, nodes: Mapping[str, NodeEntry]) -> tuple[str, ...]:
    try:
        names.check_name(file_name)
    except ValueError as error:
        raise entry.error(f"the file name {error}", "expected one such as data/net.txt") from None
    holders: list[str] = []
    for item in entry.items("a list of node names, as in [n1, n2]"):
        holder = item.text("a node's name")
        if holder not in nodes:
            raise item.error(f"unknown node {shown(holder)}", choices(holder, nodes))
        if holder in holders:
            raise item.error(f"found {holder} twice", "expected each node once")
        holders.append(holder)
    return tuple(holders)


def _folder(value: Value, base: Path) -> Path:
    """Return the folder as an absolute path. Does not look at the disk: it may be another's."""
    text = value.text("the path of a folder")
    try:
        return Path(os.path.normpath(base / Path(text).expanduser()))
    except RuntimeError:
        found = f"found {shown(text)}, and there is no such home folder"
        raise value.error(found, "expected the path of a folder") from None


def _zone(value: Value) -> str:
    zone = value.text("the name of a zone, as in rack-1")
    if len(zone) > MAX_ZONE_CHARACTERS:
        found = f"found {len(zone)} characters"
        raise value.error(found, f"expected a zone of at most {MAX_ZONE_CHARACTERS}")
    return zone


def _quota(value: Value | None) -> int | None:
    """Return the quota in bytes."""
    if value is None:
        return None
    gigabytes = value.number("a number of gigabytes, as in 500 or 0.5")
    if not 0 < gigabytes < MAX_QUOTA_GB:
        raise value.error(
            f"found {gigabytes:g}", f"expected more than 0 gigabytes and less than {MAX_QUOTA_GB:g}"
        )
    return int(gigabytes * 1_000_000_000)


def _address(value: Value) -> tuple[str, Endpoint]:
    text = value.text(_AN_ADDRESS)
    try:
        return text, _endpoint(text)
    except ValueError as error:
        raise value.error(
            f"found {shown(text)}, which {error}", f"expected {_AN_ADDRESS}"
        ) from None


def _endpoint(address: str) -> Endpoint:
    """Return the host and port, equal for two spellings of one; ValueError says what is wrong."""
    if address.startswith("tcp://*:"):
        raise ValueError("others cannot connect to")
    host, port = addresses.split(address)
    if not address.endswith(f":{port}"):
        raise ValueError("has a port that is not plain digits")
    if ":" in host or not host.strip("0123456789."):
        return Endpoint(_ip(host), port)
    if len(host) > MAX_HOST_CHARACTERS or not all(map(_HOST_LABEL.fullmatch, host.split("."))):
        raise ValueError("has a host that is neither a host name nor an IP address")
    return Endpoint("127.0.0.1" if host.lower() == "localhost" else host.lower(), port)


def _ip(host: str) -> str:
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        raise ValueError(f"has {shown(host)} as host, which is not an IP address") from None
    if ip.is_unspecified:
        raise ValueError("others cannot connect to: it means all addresses of one host")
    return str(ip)


def _machine(endpoint: Endpoint) -> str:
    return "127.0.0.1" if addresses.is_loopback(endpoint.host) else endpoint.host


def _refuse_unreachable(value: Value, tracker_address: str) -> None:
    """Refuse an address that every fetching node would silently refuse to connect to."""
    address = value.text(_AN_ADDRESS)
    if not addresses.may_be_holder(address, tracker_address):
        raise value.error(
            f"found {address}, to which other nodes will not connect",
            f"expected a port from {addresses.FIRST_UNPRIVILEGED_PORT} and a unicast host",
            "loopback only if the tracker's address is loopback too",
        )


def _claim_folder(
    taken: dict[Hashable, str], machine: str, folder: Path, name: str, value: Value
) -> None:
    """Refuse a folder in another node's on the same machine: each would share the other's files."""
    _claim(taken, (machine, folder), name, value)
    found = f"found {shown(value.text('a text'))}"
    for parent in folder.parents:
        if (machine, parent) in taken:
            found += f", which is within the folder of {taken[machine, parent]}"
            raise value.error(found, "expected a folder apart from it")
        taken.setdefault((machine, parent, "has a folder in it"), name)
    if (machine, folder, "has a folder in it") in taken:
        inner = taken[machine, folder, "has a folder in it"]
        raise value.error(
            f"{found}, which has the folder of {inner} in it", "expected a folder apart from it"
        )


def _claim(taken: dict[Hashable, str], thing: Hashable, name: str, value: Value) -> None:
    if thing in taken:
        found = f"found {shown(value.text('a text'))}, already taken by {taken[thing]}"
        raise value.error(found, "expected one of its own")
    taken[thing] = name
