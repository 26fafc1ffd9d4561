"""What must hold, whatever happens: looked at as things get names, every second, at the end."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from shoal.protocol import listing
from shoal.protocol.messages import Query
from shoal.protocol.names import RESERVED_FOLDER

from tests.simulation.faults import patterns, watched
from tests.simulation.faults.content import look, put
from tests.simulation.faults.trace import Finding
from tests.unit.node.sample_trees import Item, Items

if TYPE_CHECKING:
    from shoal.node.agent import Agent

    from tests.simulation.faults.cluster import Cluster
    from tests.simulation.faults.hosts import NodeHost

FILES = {listing.FILE, listing.EXECUTABLE, listing.LINK}
MOST_NODES = 16  # With all strangers.
MOST_TWICE = 8  # Chunks that one fetch may get twice, and …
TWICE_SHARE = 1.0  # … such a share of all: under faults a request is overdue again and again.


class Checks:
    """The checkers of one simulation."""

    def __init__(self, cluster: "Cluster") -> None:
        self._cluster = cluster
        self._own: dict[tuple[str, str], Item] = {}  # What users put, by host and path.
        self.rotten: dict[tuple[str, str], Item] = {}  # What rot has made of it, …
        self.forced: set[tuple[str, str]] = set()  # What may be replaced, by host and name.
        self.rotten_parts: set[tuple[str, str]] = set()  # Of what was being fetched, by path in it.
        self.shown: set[str] = set()  # Ids of what liars have sent right chunks of.
        self.bad_disks: set[str] = set()  # Hosts on which anything has ever rotted.
        self._before_rot: dict[tuple[str, str], Item] = {}  # … and what it was before.

    # What users do.

    def put(self, host: str, name: str, items: Items) -> None:
        """Note that a user has put something there, which nobody else may remove."""
        self._cluster.archive.note_own(host, name, items)
        for inside, item in items.items():
            path = path_of(name, inside)
            self.rotten.pop((host, path), None)  # Rot that its user takes for granted is none.
            self._before_rot.pop((host, path), None)
            if item[0] in FILES:
                self._own[host, path] = item

    def let_go(self, host: str, name: str) -> None:
        """Note that a user has removed something, or lets it be replaced."""
        for key in [key for key in self._own if key[0] == host and is_in(key[1], name)]:
            del self._own[key]

    def owns(self, host: str, name: str) -> bool:
        return any(key[0] == host and is_in(key[1], name) for key in self._own)

    def rotted(self, host: str, path: str, before: Item, now: Item) -> None:
        """Note that a file has rotted."""
        if before != self.rotten.get((host, path)):
            self._before_rot[host, path] = before
        self.rotten[host, path] = now

    def before_rot(self, host: str, name: str, items: Items) -> Items:
        """Return the same items without what has rotted in them, which may be healed."""
        known = self._before_rot
        return {
            inside: known.get((host, path_of(name, inside)), item) for inside, item in items.items()
        }

    def restore(self) -> None:
        """Have users put back, from a backup, what has rotted and no other host has."""
        for (host, path), before in self._before_rot.items():
            node, name = self._cluster.nodes[host], path.split("/")[0]
            place = node.place(path)
            is_lost = not self._is_sound_elsewhere(node, name)
            if is_lost and item_at(place) == self.rotten[host, path]:
                place.unlink()
                put(place, {"": before})

    def _is_sound_elsewhere(self, node: "NodeHost", name: str) -> bool:
        """Say whether another node shares what a node has, or had, and none of it has rotted."""
        if node.agent is None:
            return False
        whole, damage = node.agent.inventory.whole(name), node.agent._rules.of(name).damage
        known = whole.id if whole else damage.id if damage else None
        for other in self._cluster.nodes.values():
            has_rotted = any(key[0] == other.name and is_in(key[1], name) for key in self.rotten)
            held = other.agent.inventory.whole(name) if other.agent else None
            if other is not node and held is not None and held.id == known and not has_rotted:
                return True
        return False

    # While it happens.

    def named(self, host: "NodeHost", path: str) -> None:
        """Look at what has just been given a name."""
        inside = self._inside(host, path)
        if inside is None:
            return
        found = look(host.folder / inside)
        if found is None:
            return
        name, _, rest = inside.partition("/")
        items = {path_of(rest, one): item for one, item in found.items()} if rest else found
        self._require_right(host.name, name, items, "early")
        for one, item in found.items():
            self._require_spare(host.name, path_of(inside, one), item)

    def _inside(self, host: "NodeHost", path: str) -> str | None:
        """Return where in a host's folder a path is, None if it is elsewhere or in `.shoal`."""
        inside = os.path.relpath(os.path.realpath(Path(path).parent), os.path.realpath(host.folder))
        if inside.startswith("..") or inside.split("/")[0] == RESERVED_FOLDER:
            return None
        last = Path(path).name
        found = last if inside == "." else f"{inside}/{last}"
        return None if found == RESERVED_FOLDER else found

    def _require_right(self, host: str, name: str, items: Items, checker: str) -> None:
        sound = {
            inside: item
            for inside, item in items.items()
            if self.rotten.get((host, path_of(name, inside))) != item
            and (host, inside) not in self.rotten_parts  # Nobody has read it since.
        }
        wrong = self._cluster.archive.wrong(host, name, sound)
        if wrong is not None:
            raise Finding(checker, f"{host}: {wrong} has bytes that nobody put there")

    def _require_spare(self, host: str, path: str, item: Item) -> None:
        own = self._own.get((host, path))
        is_there = own in {None, item} or self.rotten.get((host, path)) == item
        if own is None or is_there or (host, path.split("/", maxsplit=1)[0]) in self.forced:
            return
        self._require_elsewhere(host, path, own)
        del self._own[host, path]

    def _require_elsewhere(self, host: str, path: str, item: Item) -> None:
        """Require that another host has this too: otherwise it is lost."""
        others = (one for one in self._cluster.nodes.values() if one.name != host)
        if any(item_at(one.place(path)) == item for one in others):
            return
        name, _, inside = path.partition("/")
        by_id = self._cluster.archive.by_id
        held = (by_id[one] for one in self.shown if by_id[one].name == name)
        if any(version.items.get(inside) == item for version in held):
            return  # A liar has it as well.
        raise Finding("user's own", f"{host}: {path} is lost, and no other host has it")

    # Again and again.

    def look(self) -> None:
        cluster = self._cluster
        cluster.outside.look()
        for node in cluster.nodes.values():
            agent = node.agent
            if agent is None:
                continue
            for what, (size, most) in _sizes(agent).items():
                if size > most:
                    raise Finding("memory", f"{node.name}: {size} in {what}, at most {most}")
        known = (host.tracker for host in cluster.trackers if host.tracker is not None)
        if any(len(tracker._state.members.by_node) > MOST_NODES for tracker in known):
            raise Finding("memory", "a tracker knows more nodes than there are")
        for download in watched.downloads:
            if download.twice > MOST_TWICE + TWICE_SHARE * download.chunk_count:
                text = f"{download.host} got {download.twice} chunks of {download.name} twice"
                raise Finding("duplicates", text)

    # After a crash, and at the end.

    def scan(self, checker: str = "bytes") -> None:
        """Look at everything in all folders."""
        for node in self._cluster.nodes.values():
            for path in sorted(node.folder.iterdir()):
                found = None if path.name == RESERVED_FOLDER else look(path)
                if found is not None:
                    self._require_right(node.name, path.name, found, checker)
        self._cluster.outside.scan()
        for (host, inside), item in list(self._own.items()):
            node, rotten = self._cluster.nodes[host], self.rotten.get((host, inside))
            there = {item_at(node.folder / inside), item_at(node.place(inside))}
            if not there & {item, rotten}:
                self._require_elsewhere(host, inside, item)

    def require_answers(self) -> None:
        """Require that each request that came has been answered; for a quiet moment."""
        for owner in self._cluster.net.bound.values():
            is_node = owner.process.host in self._cluster.nodes
            if is_node and isinstance(owner, patterns.Router) and any(owner.owed.values()):
                raise Finding("accounted", f"{owner.process.host} has not answered a request")

    def require_no_ban(self) -> None:
        """Require that no fetch has banned a holder that never did anything wrong."""
        cluster = self._cluster
        guilty = {*cluster.liars, *self.bad_disks}
        for download in watched.downloads:
            for node, reason in download.roster._banned.items():
                if node not in guilty:
                    raise Finding("banned", f"{download.host} banned {node}: it {reason}")

    def keeps(self, host: str, name: str) -> bool:
        """Say whether a host is the first that holds a newest version."""
        newest, nodes = self.newest(name), self._cluster.nodes.values()
        wholes = {one.name: one.agent.inventory.whole(name) for one in nodes if one.agent}
        return host == min(
            (one for one, whole in wholes.items() if whole and whole.id in newest), default=""
        )

    def can_be_had(self, name: str) -> bool:
        """Say whether an honest node holds the version that the tracker takes for the newest.

        Not if there are two of one number, as rivals have published them before and after the
        tracker lost its state: then each publisher keeps its own, and the others may wait.
        """
        tracker = self._cluster.tracker.tracker
        assert tracker is not None
        reply = tracker._answers.holders(Query(name), self._cluster.clock())
        return reply is not None and {reply.id} == self.newest(name)

    def newest(self, name: str) -> set[str]:
        """Return the ids of the newest version that an honest node holds and a tracker confirmed.

        There may be two of one number, if the tracker's state was lost in between.
        """
        nodes = self._cluster.nodes.values()
        wholes = (one.agent.inventory.whole(name) for one in nodes if one.agent)
        held = [one for one in wholes if one is not None and not one.title.claims]
        number = max((one.title.version for one in held), default=0)
        return {one.id for one in held if one.title.version == number}


def path_of(name: str, inside: str) -> str:
    return f"{name}/{inside}" if inside else name


def is_in(path: str, name: str) -> bool:
    return path == name or path.startswith(f"{name}/")


def _sizes(agent: "Agent") -> dict[str, tuple[int, int]]:
    """Return how much is in what a node keeps, and how much may be."""
    announcer, server = agent._session._announcer, agent._server._server
    return {
        "what is announced": (len(announcer._wanted) + len(announcer._announced), 24),
        "complaints": (len(agent._healer._recent), 64),
        "jobs": (len(agent._jobs._running), 16),
        "requests that wait": (len(server._waiting), 64),
        "replies that have not left": (len(server._pacing.unsent), 32),
        "partial things": (len(agent.inventory._partial), 8),
    }


def item_at(path: Path) -> Item | None:
    """Return the file or link at a path, None if there is none."""
    if path.is_symlink():
        return listing.LINK, os.fsencode(path.readlink())
    if not path.is_file():
        return None
    found = look(path)
    return None if found is None else found[""]
