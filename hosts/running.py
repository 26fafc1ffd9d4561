"""A cluster's processes on the hosts: started, used, looked at, stopped."""

import time
from collections.abc import Sequence

import msgspec
from shoal.config.cluster import Cluster
from shoal.config.units import unit_name
from shoal.hosts.roles import Role
from shoal.hosts.sending import send
from shoal.hosts.ssh import Hosts, Outcome, failures, reached

READY_TIMEOUT_S = 30.0  # A node speaks within a second; a busy disk may hold up its start.
READY_INTERVAL_S = 0.5


class _Node(msgspec.Struct):
    node: str
    alive: bool


class _Status(msgspec.Struct):
    nodes: list[_Node]


def start(
    hosts: Hosts, roles: Sequence[Role], every_role: Sequence[Role], cluster: Cluster
) -> list[Outcome]:
    """Send what the roles need and start them in the background.

    What runs already stays, and reads the cluster file again.
    """
    sent = send(hosts, roles, every_role, cluster)
    started = hosts.on_each(
        reached(sent), "starting", lambda role: hosts.act(role, "start", *role.words)
    )
    return [*failures(sent), *started]


def wait_for_nodes(hosts: Hosts, asker: Role, wanted: set[str]) -> set[str]:
    """Return the nodes that the tracker has not heard in time: none, if all is well.

    It is asked from the host of `asker`.
    """
    give_up_at = time.monotonic() + READY_TIMEOUT_S
    silent = wanted
    while silent and time.monotonic() < give_up_at:
        doing = f"waiting for the tracker to hear {', '.join(sorted(silent))}"
        (outcome,) = hosts.on_each(
            [asker], doing, lambda role: hosts.act(role, "run", "status", "--json")
        )
        if outcome.exit_code == 0:
            silent = silent_nodes(outcome.stdout, wanted)
        if silent:
            time.sleep(READY_INTERVAL_S)
    return silent


def silent_nodes(answer: str, wanted: set[str]) -> set[str]:
    """Return which nodes are not alive, as `status --json` says; all, if it says nothing of it."""
    try:
        told = msgspec.json.decode(answer, type=_Status)
    except (msgspec.MsgspecError, ValueError, RecursionError):  # Other words before, or instead.
        return wanted
    return wanted - {one.node for one in told.nodes if one.alive}


def have_services(hosts: Hosts, roles: Sequence[Role]) -> list[Outcome]:
    """Have systemd run the roles from the start of their machines on; start nothing now."""
    return _on_services(hosts, roles, "installing its service", "service")


def have_no_services(hosts: Hosts, roles: Sequence[Role]) -> list[Outcome]:
    """Have systemd run the roles no more, which stops them."""
    return _on_services(hosts, roles, "removing its service", "unservice")


def _on_services(hosts: Hosts, roles: Sequence[Role], doing: str, action: str) -> list[Outcome]:
    def do(role: Role) -> Outcome:
        return hosts.act(role, action, unit_name(hosts.cluster, role.name), *role.words)

    return hosts.on_each(roles, doing, do)


def fetch(hosts: Hosts, roles: Sequence[Role], names: Sequence[str]) -> list[Outcome]:
    """Fetch on all the nodes at the same time, so that they serve each other."""
    words = ["fetch", *names, "--json", "--as"]
    return hosts.on_each(roles, "fetching", lambda role: hosts.act(role, "run", *words, role.name))


def states(hosts: Hosts, roles: Sequence[Role]) -> list[Outcome]:
    """Say of each role whether its process runs; exit code 4 if it does not."""
    return hosts.on_each(roles, "looking", lambda role: hosts.act(role, "state", *role.words))


def stop(hosts: Hosts, roles: Sequence[Role]) -> list[Outcome]:
    """Stop the roles, the trackers last: nodes that leave say goodbye to them."""
    nodes = [role for role in roles if not role.is_tracker]
    trackers = [role for role in roles if role.is_tracker]
    return [
        outcome
        for some in (nodes, trackers)
        for outcome in hosts.on_each(
            some, "stopping", lambda role: hosts.act(role, "stop", *role.words)
        )
    ]
