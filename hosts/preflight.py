"""Whether hosts have what their roles need, before anything is installed or started there.

Clocks are not compared: shoal does not need them to agree.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import yaml
from shoal.config.cluster import DEFAULT_STATE_FOLDER, Cluster
from shoal.hosts.installing import PYTHONS
from shoal.hosts.machine import Machine, told
from shoal.hosts.reasons import reason
from shoal.hosts.roles import Role, entry_of, tracker_roles
from shoal.hosts.ssh import Hosts, Outcome
from shoal.protocol import addresses
from shoal.protocol.errors import OperatorError

SSH_FAILED = 255


class Room(msgspec.Struct, frozen=True):
    """How much room what is to be fetched needs, and who has it already."""

    needed_bytes: int = 0
    holders: frozenset[str] = frozenset()


class Found(msgspec.Struct, frozen=True):
    """What was found for a role; None is what could not be looked for."""

    node: str
    host: str
    ssh: bool
    python: str | None = None  # Its version.
    installed: bool | None = None
    free_bytes: int | None = None
    port: str | None = None  # free, ours, or what is wrong.
    problem: str | None = None


class _Place(msgspec.Struct):
    port: str
    free_bytes: int
    is_installed: bool
    place: str
    may_write: bool


def examine(
    hosts: Hosts, roles: Sequence[Role], cluster: Cluster, python: str | None, room: Room
) -> list[Found]:
    """Look at the host of each role; change nothing."""
    folders = _folders(cluster)
    words = ["ask", *([python] if python else PYTHONS)]

    def do(role: Role) -> Outcome:
        asked = hosts.over_ssh(role, words)
        try:
            machine = told(asked.stdout) if asked.exit_code == 0 else None
        except OperatorError as error:
            return Outcome(role, 2, "", f"error: {error}")
        if machine is None:
            return asked
        looked = _look(hosts, role, cluster, machine, folders[role.name])
        return looked._replace(stdout=f"{asked.stdout}\n{looked.stdout}")

    outcomes = hosts.on_each(roles, "looking", do)
    if hosts.is_dry_run:
        return []
    return [_found(outcome, cluster, room) for outcome in outcomes]


def size_told(answer: str) -> Room:
    """Return the room that `where --json` tells of.

    Raises:
        ValueError: it is something else.
    """
    try:
        known = msgspec.json.decode(answer, type=_Where)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    holders = {one.node for one in known.nodes if one.state in {"published", "copy"}}
    return Room(known.size_bytes, frozenset(holders))


class _NodeState(msgspec.Struct):
    node: str
    state: str


class _Where(msgspec.Struct):
    size_bytes: int
    nodes: list[_NodeState]


def _look(hosts: Hosts, role: Role, cluster: Cluster, machine: Machine, folder: str) -> Outcome:
    host, port = addresses.split(entry_of(cluster, role).bound_to)
    words = [hosts.cluster, machine.python, host, str(port), folder, *role.words]
    return hosts.over_ssh(role, ["look", *words])


def _folders(cluster: Cluster) -> Mapping[str, str]:
    """Return the folders as they are in the cluster file: there they are resolved otherwise."""
    document: Any = yaml.safe_load(cluster.path.read_bytes())
    folders = {
        name: str(entry["state_folder" if entry.get("read_only") else "folder"])
        for name, entry in document["nodes"].items()
    }
    listed = document["trackers"] if "trackers" in document else [document["tracker"]]
    for name, entry in zip(tracker_roles(cluster, {}), listed, strict=True):
        folders[name] = str(entry.get("state_folder", DEFAULT_STATE_FOLDER))
    return folders


def _found(outcome: Outcome, cluster: Cluster, room: Room) -> Found:
    role = outcome.role
    has_ssh = outcome.exit_code != SSH_FAILED
    if outcome.exit_code != 0:
        return Found(role.name, role.host, has_ssh, problem=reason(outcome))
    asked, _, looked = outcome.stdout.rpartition("\n")
    try:
        machine, place = told(asked), msgspec.json.decode(looked, type=_Place)
    except (OperatorError, msgspec.MsgspecError, ValueError, RecursionError):
        problem = f"it answered {looked[:80]!r}; see what its shell prints at login"
        return Found(role.name, role.host, has_ssh, problem=problem)
    return Found(
        role.name,
        role.host,
        has_ssh,
        ".".join(map(str, machine.version)),
        place.is_installed,
        place.free_bytes,
        place.port,
        "; ".join(_problems(role, place, cluster, room)) or None,
    )


def _problems(role: Role, place: _Place, cluster: Cluster, room: Room) -> list[str]:
    entry = cluster.nodes.get(role.name)
    needed = room.needed_bytes if entry and role.name not in room.holders else 0
    quota = entry.quota_bytes if entry else None
    address = entry_of(cluster, role).bound_to
    found = {
        f"another program has {address}: stop it, or change the port": place.port == "taken",
        f"{address} is no address of that host: correct it": place.port.startswith("no "),
        f"{place.place} there may not be written to": not place.may_write,
        f"no room for {needed} bytes in {place.place}": place.free_bytes < needed,
        f"its quota_gb is less than {needed} bytes": quota is not None and quota < needed,
    }
    return [problem for problem, is_so in found.items() if is_so]
