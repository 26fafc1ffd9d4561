"""The cluster file: where the trackers and the nodes are, and who holds what at the start.

Not the reading of YAML, which is config.document's. The reference is docs/use/cluster-file.md.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
from shoal.config.document import Value, choices, read, shown
from shoal.config.endpoints import (
    Endpoint,
    address_in,
    listen_in,
    refuse_unreachable,
)
from shoal.config.folders import claim, claim_folder, folder_at, links_in, state_in
from shoal.config.limits import (
    NodeLimits,
    TrackerLimits,
    common_limits,
    node_limits,
    tracker_limits,
)
from shoal.config.metrics import MetricsPlace, MetricsPlaces
from shoal.config.security import Draft, Keys, check_name
from shoal.config.store import StoreEntry, store_in
from shoal.protocol import addresses, names
from shoal.protocol.errors import NotAllowedError, OperatorError

DEFAULT_FILE = "lan.yaml"
DEFAULT_STATE_FOLDER = ".shoal"
ENVIRONMENT_VARIABLE = "SHOAL_CONFIG"
SHIPPED_FOLDER = Path(__file__).parent
EXAMPLE = SHIPPED_FOLDER / DEFAULT_FILE  # Runs on one machine as it is.
MAX_QUOTA_GB = 1e9
MAX_ZONE_CHARACTERS = 64  # As long as a node's name may be.
MAX_TRACKERS = 9  # Each hears of every change.

_OF_A_TRACKER = "state_folder", "limits", "listen", "metrics"
_OF_THE_ONLY_TRACKER = "state_folder", "limits", "key", "listen", "metrics"
_OF_A_NODE = "zone", "quota_gb", "limits", "in_place", "key", "listen", "metrics", "links"
_PLACES_OF_A_NODE = "state_folder", "read_only"
_OPTIONAL = "limits", "holdings", "readers", "admins", "publish", "accept_pushes", "metrics"
_OF_TRACKERS = "store", "tracker_key"


class TrackerEntry(msgspec.Struct, frozen=True):
    """Where a tracker is, and the folder in which it keeps `tracker.db` if there is no store."""

    address: str
    state_folder: Path
    limits: TrackerLimits = TrackerLimits()
    listen: str | None = None  # Where it listens, if that is not its address.
    metrics: MetricsPlace | None = None

    @property
    def bound_to(self) -> str:
        """Where it listens."""
        return self.listen or self.address


class NodeEntry(msgspec.Struct, frozen=True):
    """Where a node is, and the folder of the files it serves.

    A reader has one too while it fetches: with no address, since it never serves.
    """

    name: str
    address: str
    folder: Path
    zone: str | None = None
    quota_bytes: int | None = None
    limits: NodeLimits = NodeLimits()
    serves: bool = True
    in_place: bool = False  # Directories that are pushed to it are fetched file by file.
    listen: str | None = None  # Where it listens, if that is not its address.
    metrics: MetricsPlace | None = None

    @property
    def bound_to(self) -> str:
        """Where it listens."""
        return self.listen or self.address

    links: tuple[Path, ...] = ()  # What lies elsewhere on its machine, and is served from there.
    state_folder: Path | None = None  # Where its `.shoal` is, if that is not the folder.
    read_only: bool = False  # Nothing is written into the folder.

    @property
    def home(self) -> Path:
        """What its `.shoal` is in."""
        return self.state_folder or self.folder


class Cluster(msgspec.Struct, frozen=True):
    """A cluster file that was checked. All paths are absolute."""

    path: Path
    trackers: tuple[TrackerEntry, ...]  # in the file's order
    nodes: dict[str, NodeEntry]  # by name, in the file's order
    holdings: dict[str, tuple[str, ...]]  # by file name: the nodes that hold it at the start
    cluster_up: int | None = None  # What all nodes may send together, in bytes/s.
    accepts_pushes: bool = False  # Without keys: whoever reaches the tracker may push.
    keys: Keys | None = None  # None: no security
    store: StoreEntry | None = None  # What all trackers share; None: one keeps its own.

    @property
    def tracker_addresses(self) -> tuple[str, ...]:
        """Where the trackers are, in the file's order."""
        return tuple(entry.address for entry in self.trackers)


def find(
    name: str | None,
    environ: Mapping[str, str],
    cwd: Path,
    *,
    in_clone: bool = False,
    named_by: str = "--config",
) -> Path:
    """Return the path of the cluster file to use: `name`, else $SHOAL_CONFIG, else lan.yaml.

    It is looked for in `cwd`. If there is none, the example that ships with shoal is used for the
    name lan.yaml, and by default `in_clone`; otherwise files for the user's own cluster would end
    up where shoal is installed.

    Raises:
        OperatorError: there is none.
    """
    origin, given = named_by, name
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
    remedy = "make one with `shoal init`"
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
    cluster, draft = load_draft(path)
    return msgspec.structs.replace(cluster, keys=draft.complete())


def load_draft(path: Path) -> tuple[Cluster, Draft]:
    """Return the cluster without its keys, and the keys, of which some may be missing.

    Raises as `load`.
    """
    document = _top(read(path))
    absolute = path.absolute()
    draft = Draft()
    places = MetricsPlaces(document.get("metrics"))
    store = store_in(document["store"], absolute.parent) if "store" in document else None
    trackers = _trackers(document, absolute.parent, draft, places)
    limits, cluster_up = common_limits(document.get("limits"))
    about = tuple(entry.address for entry in trackers), limits, draft
    nodes = _Nodes(absolute.parent, *about, places).read(document["nodes"])
    holdings = _holdings(document["holdings"], nodes) if "holdings" in document else {}
    draft.take_others(document, absolute.parent)
    accepts = "accept_pushes" in document and document["accept_pushes"].flag()
    return Cluster(absolute, trackers, nodes, holdings, cluster_up, accepts, None, store), draft


def node_named(cluster: Cluster, name: str) -> NodeEntry:
    """Return the node of that name.

    Raises:
        NotAllowedError: a reader or an admin has it.
        OperatorError: nobody has it; it says which nodes there are.
    """
    if name in cluster.nodes:
        return cluster.nodes[name]
    if cluster.keys is not None and name in cluster.keys.readers:
        message = f"{name} is a reader, which fetches and lists and never serves"
        raise NotAllowedError(f"{message}; name a node, {choices(name, cluster.nodes)}")
    if cluster.keys is not None and name in cluster.keys.admins:
        message = f"{name} is an admin and has no folder"
        raise NotAllowedError(f"{message}; name a node, {choices(name, cluster.nodes)}")
    place = names.display(str(cluster.path))
    raise OperatorError(f"{place}: no node {shown(name)}; {choices(name, cluster.nodes)}")


def fetcher_named(cluster: Cluster, name: str) -> NodeEntry:
    """Return the node or the reader of that name. Raises as `node_named`."""
    if cluster.keys is not None and name in cluster.keys.readers:
        return NodeEntry(name, "", cluster.keys.readers[name].folder, serves=False)
    return node_named(cluster, name)


def _top(value: Value) -> dict[str, Value]:
    """Return what is at the top, which has a tracker or several."""
    if not value.is_mapping or "trackers" not in value.entries("a cluster file"):
        return value.fields(("tracker", "nodes"), (*_OPTIONAL, "store", "trackers"))
    fields = value.fields(("trackers", "nodes"), (*_OPTIONAL, *_OF_TRACKERS, "tracker"))
    if "tracker" in fields:
        raise fields["tracker"].error("found beside trackers", "expected one of the two")
    return fields


def _trackers(
    document: Mapping[str, Value], base: Path, draft: Draft, places: MetricsPlaces
) -> tuple[TrackerEntry, ...]:
    if "tracker" in document:
        value = document["tracker"]
        fields = value.fields(("address",), _OF_THE_ONLY_TRACKER)
        draft.take_tracker(value, fields.get("key"))
        return (_tracker(fields, base, places),)
    value = document["trackers"]
    draft.take_tracker(value, document.get("tracker_key"), is_list=True)
    items = value.items("a list of trackers, each with an address")
    if not 1 <= len(items) <= MAX_TRACKERS:
        raise value.error(f"found {len(items)} trackers", f"expected 1 to {MAX_TRACKERS}")
    if len(items) > 1 and "store" not in document:
        found = f"found {len(items)} trackers and no store"
        raise value.error(
            found, "expected store: redis://HOST:PORT/0, where they keep what they know"
        )
    return tuple(_tracker(one.fields(("address",), _OF_A_TRACKER), base, places) for one in items)


def _tracker(fields: Mapping[str, Value], base: Path, places: MetricsPlaces) -> TrackerEntry:
    address, endpoint = address_in(fields["address"])
    listen = listen_in(fields.get("listen"))
    place = fields.get("state_folder")
    folder = base / DEFAULT_STATE_FOLDER if place is None else folder_at(place, base)
    claim(places.taken, endpoint, "the tracker", fields["address"])
    metrics = places.of("the tracker", fields.get("metrics"), _machine(endpoint))
    return TrackerEntry(address, folder, tracker_limits(fields.get("limits")), listen, metrics)


class _Nodes:
    """The nodes that have been read so far, and what they have taken."""

    def __init__(
        self,
        base: Path,
        trackers: tuple[str, ...],
        limits: NodeLimits,
        draft: Draft,
        places: MetricsPlaces,
    ) -> None:
        self._base = base
        self._trackers = trackers
        self._limits = limits  # Of nodes that have none of their own.
        self._draft = draft
        self._places = places
        self._taken = places.taken  # By whom: addresses, folders and ports.

    def read(self, value: Value) -> dict[str, NodeEntry]:
        """Return the nodes by name, in the file's order."""
        entries = value.entries("nodes by name")
        if not entries:
            raise value.error("found no nodes", "expected at least one")
        return {name: self._node(name, entry) for name, entry in entries.items()}

    def _node(self, name: str, entry: Value) -> NodeEntry:
        check_name(name, entry, "a node's")
        fields = entry.fields(("address", "folder"), (*_OF_A_NODE, *_PLACES_OF_A_NODE))
        self._draft.take_node(name, entry, fields.get("key"))
        address, endpoint = address_in(fields["address"])
        claim(self._taken, endpoint, name, fields["address"])
        refuse_unreachable(fields["address"], address, self._trackers)
        listen = listen_in(fields.get("listen"))
        folder = folder_at(fields["folder"], self._base)
        machine = _machine(endpoint)
        if listen is not None and machine != "127.0.0.1":  # Behind NAT machines have one address.
            machine = name
        claim_folder(self._taken, machine, folder, name, fields["folder"])
        state = state_in(fields, self._base)
        if state.folder is not None:
            claim_folder(self._taken, machine, state.folder, name, fields["state_folder"])
        zone = _zone(fields["zone"]) if "zone" in fields else None
        quota_bytes = _quota(fields.get("quota_gb"))
        limits = node_limits(fields.get("limits"), self._limits)
        in_place = "in_place" in fields and fields["in_place"].flag()
        others = zone, quota_bytes, limits
        rest = in_place, listen, self._places.of(name, fields.get("metrics"), machine)
        links = links_in(fields.get("links"), self._base)
        own = state.folder, state.read_only
        return NodeEntry(name, address, folder, *others, True, *rest, links, *own)  # noqa: FBT003 (it serves)


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
    holders: dict[str, None] = {}
    for item in entry.items("a list of node names, as in [n1, n2]"):
        holder = item.text("a node's name")
        if holder not in nodes:
            raise item.error(f"unknown node {shown(holder)}", choices(holder, nodes))
        if holder in holders:
            raise item.error(f"found {holder} twice", "expected each node once")
        holders[holder] = None
    return tuple(holders)


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


def _machine(endpoint: Endpoint) -> str:
    return "127.0.0.1" if addresses.is_loopback(endpoint.host) else endpoint.host
