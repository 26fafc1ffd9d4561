"""`shoal hosts`: prints what came of running a cluster on several computers over ssh."""

import json
from collections.abc import Sequence

import msgspec
from shoal.commands import terminal
from shoal.commands.exit_codes import ExitCode
from shoal.config.cluster import Cluster
from shoal.hosts import running
from shoal.hosts.installing import install
from shoal.hosts.roles import TRACKER, Role, chosen_roles, tracker_role
from shoal.hosts.ssh import SSH, Hosts, Outcome, reached
from shoal.protocol.errors import OperatorError


class HostsOptions(msgspec.Struct, frozen=True):
    """The options that all of these commands have."""

    on: str | None = None
    host: tuple[str, ...] = ()  # NAME=HOST each
    ssh: str = SSH
    shoal: str = "shoal"
    is_dry_run: bool = False


class Scope(msgspec.Struct, frozen=True):
    """The way to the hosts, and the roles on them that are meant."""

    hosts: Hosts
    tracker: Role
    roles: list[Role]


def run_up(cluster: Cluster, options: HostsOptions, python: str, *, offline: bool) -> int:
    """Install shoal on the hosts."""
    scope = _scope(cluster, options)
    return _report(install(scope.hosts, scope.roles, cluster.path, python, offline=offline))


def run_start(cluster: Cluster, options: HostsOptions) -> int:
    """Start the roles in the background; return when the tracker hears every node among them."""
    scope = _scope(cluster, options)
    outcomes = running.start(scope.hosts, scope.roles, cluster.path)
    code = _report(outcomes)
    wanted = {role.name for role in reached(outcomes)} - {TRACKER}
    if scope.hosts.is_dry_run or not wanted:
        return code
    silent = running.wait_for_nodes(scope.hosts, scope.tracker, wanted)
    if silent:
        waited = f"after {running.READY_TIMEOUT_S:.0f} s the tracker has not heard from"
        remedy = "look at the logs there, and at the firewalls"
        terminal.say(f"error: {waited} {', '.join(sorted(silent))}; {remedy}")
        return code or ExitCode.TIMED_OUT
    return code


def run_fetch(
    cluster: Cluster, options: HostsOptions, names: Sequence[str], *, as_json: bool
) -> int:
    """Fetch on all the nodes at the same time."""
    scope = _scope(cluster, options)
    nodes = [role for role in scope.roles if role.name != TRACKER]
    if not nodes:
        raise OperatorError("only nodes fetch; name some with --on, or leave it out for all")
    outcomes = running.fetch(scope.hosts, nodes, names)
    if scope.hosts.is_dry_run:
        return ExitCode.DONE
    if as_json:
        terminal.put_json([_document(outcome) for outcome in outcomes])
        return _common_code(outcomes)
    return _report([outcome._replace(stdout=_in_words(outcome)) for outcome in outcomes])


def run_status(cluster: Cluster, options: HostsOptions) -> int:
    """Show which processes run, and then the tracker's own view of the cluster."""
    scope = _scope(cluster, options)
    code = _report(running.states(scope.hosts, scope.roles))
    outcome = scope.hosts.act(scope.tracker, "run", "status")
    if outcome.stdout:
        terminal.put(outcome.stdout)
    if outcome.stderr:
        terminal.say(outcome.stderr)
    return code or outcome.exit_code


def run_stop(cluster: Cluster, options: HostsOptions) -> int:
    """Stop what `start` has started."""
    scope = _scope(cluster, options)
    return _report(running.stop(scope.hosts, scope.roles))


def _scope(cluster: Cluster, options: HostsOptions) -> Scope:
    elsewhere = dict(_name_and_host(text) for text in options.host)
    show = terminal.put if options.is_dry_run else None
    return Scope(
        Hosts(cluster.path.stem, options.ssh, options.shoal, show),
        tracker_role(cluster, elsewhere),
        chosen_roles(cluster, options.on, elsewhere),
    )


def _name_and_host(text: str) -> tuple[str, str]:
    name, equals, host = text.partition("=")
    if not (name and equals and host) or host.startswith("-"):
        raise OperatorError(f"--host: found '{text}'; expected NAME=HOST, as in n1=ann@lab-7")
    return name, host


def _document(outcome: Outcome) -> dict[str, object]:
    """Return what the command said in JSON, or the fact that it did not."""
    role = {"node": outcome.role.name, "host": outcome.role.host, "exit_code": outcome.exit_code}
    try:
        return {**role, "result": json.loads(outcome.stdout)}
    except ValueError:
        return {**role, "error": outcome.stderr or outcome.stdout}


def _in_words(outcome: Outcome) -> str:
    answer = _document(outcome).get("result")
    fetched = answer if isinstance(answer, list) else [answer]
    return "; ".join(
        f"{each['name']}: {each['size_bytes']} bytes in {each['elapsed_s']:.1f} s "
        f"from {', '.join(each['holders']) or 'nobody: it was already here'}"
        for each in fetched
        if isinstance(each, dict) and "name" in each and "holders" in each
    )


def _report(outcomes: Sequence[Outcome]) -> int:
    """Print a line for each host; return the exit code of all."""
    for role, exit_code, stdout, stderr in outcomes:
        place = f"{role.name} on {role.host}: "
        if stdout:
            terminal.put(place + stdout)
        if exit_code != 0:
            reason = stderr or "no reason given"
            terminal.say(f"{place}failed (exit code {exit_code}): {reason}")
    return _common_code(outcomes)


def _common_code(outcomes: Sequence[Outcome]) -> int:
    codes = {outcome.exit_code for outcome in outcomes}
    return codes.pop() if len(codes) == 1 else ExitCode.PARTLY_DONE
