"""A cluster's processes on the hosts: started, used, looked at, stopped."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

from shoal.hosts.roles import TRACKER, Role
from shoal.hosts.ssh import Hosts, Outcome, failures, reached

READY_TIMEOUT_S = 30.0  # A node speaks within a second; a busy disk may hold up its start.
READY_INTERVAL_S = 0.5


def start(hosts: Hosts, roles: Sequence[Role], cluster_file: Path) -> list[Outcome]:
    """Send the cluster file and start the roles in the background; what runs already stays."""
    sent = hosts.on_each(roles, lambda role: hosts.send_cluster_file(role, cluster_file))
    started = hosts.on_each(reached(sent), lambda role: hosts.act(role, "start", *role.words))
    return [*failures(sent), *started]


def wait_for_nodes(hosts: Hosts, tracker: Role, wanted: set[str]) -> set[str]:
    """Return the nodes that the tracker has not heard in time: none, if all is well."""
    give_up_at = time.monotonic() + READY_TIMEOUT_S
    silent = wanted
    while time.monotonic() < give_up_at:
        outcome = hosts.act(tracker, "run", "status", "--json")
        if outcome.exit_code == 0:
            nodes = json.loads(outcome.stdout)["nodes"]
            silent = wanted - {node["node"] for node in nodes if node["alive"]}
            if not silent:
                break
        time.sleep(READY_INTERVAL_S)
    return silent


def fetch(hosts: Hosts, roles: Sequence[Role], names: Sequence[str]) -> list[Outcome]:
    """Fetch on all the nodes at the same time, so that they serve each other."""
    return hosts.on_each(
        roles, lambda role: hosts.act(role, "run", "fetch", *names, "--as", role.name, "--json")
    )


def states(hosts: Hosts, roles: Sequence[Role]) -> list[Outcome]:
    """Say of each role whether its process runs; exit code 4 if it does not."""
    return hosts.on_each(roles, lambda role: hosts.act(role, "state", *role.words))


def stop(hosts: Hosts, roles: Sequence[Role]) -> list[Outcome]:
    """Stop the roles, the tracker last: nodes that leave say goodbye to it."""
    nodes = [role for role in roles if role.name != TRACKER]
    tracker = [role for role in roles if role.name == TRACKER]
    return [
        outcome
        for some in (nodes, tracker)
        for outcome in hosts.on_each(some, lambda role: hosts.act(role, "stop", *role.words))
    ]
