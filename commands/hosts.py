"""`shoal hosts`: prints what came of running a cluster on several computers over ssh."""

import contextlib
import json
from collections.abc import Iterator, Sequence

import msgspec
from shoal.commands import terminal
from shoal.commands.exit_codes import ExitCode
from shoal.commands.hosts_view import HostsView, heeded_signals
from shoal.config.cluster import Cluster
from shoal.hosts import running
from shoal.hosts.connections import Connections
from shoal.hosts.installing import install
from shoal.hosts.reasons import reason
from shoal.hosts.roles import Role, chosen_roles
from shoal.hosts.sending import send
from shoal.hosts.ssh import Hosts, Outcome, failures, reached
from shoal.protocol.errors import OperatorError


class HostsOptions(msgspec.Struct, frozen=True):
    """The options that all of these commands have."""

    on: str | None = None
    host: tuple[str, ...] = ()  # NAME=HOST each
    ssh: str = "ssh"
    shoal: str = "shoal"
    is_dry_run: bool = False
    accepts_new: bool = False  # Hosts whose keys ssh does not know.


class _Fetched(msgspec.Struct):
    name: str
    size_bytes: int
    elapsed_s: float
    holders: dict[str, int]  # The bytes that each sent.


class Scope(msgspec.Struct, frozen=True):
    """The way to the hosts, and the roles on them that are meant."""

    hosts: Hosts
    tracker: Role  # The first, if there are several.
    roles: list[Role]
    every_role: list[Role]  # Of the cluster.


def run_up(
    cluster: Cluster, options: HostsOptions, python: str | None, *, as_service: bool | None = None
) -> int:
    """Install shoal on the hosts, and send them what their roles need.

    Then systemd is to run the roles `as_service`, or no longer; None leaves that as it is.
    """
    with opened(cluster, options) as scope:
        installed = install(scope.hosts, scope.roles, python)
        there = {outcome.role.host for outcome in installed if outcome.exit_code == 0}
        roles = [role for role in scope.roles if role.host in there]
        sent = send(scope.hosts, roles, scope.every_role, cluster)
        code = _report([*failures(sent), *installed])
        if as_service is None or (code and not there):
            return code
        roles = roles if scope.hosts.is_dry_run else reached(sent)
        change = running.have_services if as_service else running.have_no_services
        changed = _report(change(scope.hosts, roles))
        return changed if code in {0, changed} else ExitCode.PARTLY_DONE


def run_start(cluster: Cluster, options: HostsOptions) -> int:
    """Start the roles in the background; return when the tracker hears every node among them."""
    with opened(cluster, options) as scope:
        outcomes = running.start(scope.hosts, scope.roles, scope.every_role, cluster)
        code = _report(outcomes)
        wanted = {role.name for role in reached(outcomes) if not role.is_tracker}
        if scope.hosts.is_dry_run or not wanted:
            return code
        asker = asker_of(cluster, scope, reached(outcomes))
        silent = running.wait_for_nodes(scope.hosts, asker, wanted)
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
    with opened(cluster, options) as scope:
        nodes = [role for role in scope.roles if not role.is_tracker]
        if not nodes:
            raise OperatorError("only nodes fetch; name some with --on, or leave it out for all")
        outcomes = running.fetch(scope.hosts, nodes, names)
    if options.is_dry_run:
        return ExitCode.DONE
    if as_json:
        terminal.put_json([_document(outcome) for outcome in outcomes])
        return _common_code(outcomes)
    return _report([outcome._replace(stdout=_in_words(outcome)) for outcome in outcomes])


def run_status(cluster: Cluster, options: HostsOptions) -> int:
    """Show which processes run, and then the tracker's own view of the cluster."""
    with opened(cluster, options) as scope:
        states = running.states(scope.hosts, scope.roles)
        code = _report(states)
        asker = asker_of(cluster, scope, reached(states))
        (outcome,) = scope.hosts.on_each(
            [asker], "asked for the nodes", lambda role: scope.hosts.act(role, "run", "status")
        )
    if outcome.stdout:
        terminal.put(outcome.stdout)
    if outcome.stderr and outcome.exit_code:
        terminal.say(f"{asker.name} on {asker.host}: {reason(outcome)}")
    return code or outcome.exit_code


def run_stop(cluster: Cluster, options: HostsOptions) -> int:
    """Stop what `start` has started, services too."""
    with opened(cluster, options) as scope:
        return _report(running.stop(scope.hosts, scope.roles))


@contextlib.contextmanager
def opened(cluster: Cluster, options: HostsOptions) -> Iterator[Scope]:
    """Give the way to the hosts; end what is still running there, and the connections, after it."""
    elsewhere = dict(_name_and_host(text) for text in options.host)
    connections = Connections(options.ssh, accepts_new=options.accepts_new)
    show = terminal.put if options.is_dry_run else None
    roles = chosen_roles(cluster, options.on, elsewhere)
    with heeded_signals(), HostsView() as view:
        hosts = Hosts(cluster.path.stem, options.shoal, connections, show=show, look=view.look)
        every_role = chosen_roles(cluster, None, elsewhere)
        with hosts:
            yield Scope(hosts, every_role[0], roles, every_role)


def asker_of(cluster: Cluster, scope: Scope, roles: Sequence[Role]) -> Role:
    """Return the one of the roles from whose host a tracker is asked.

    With keys it takes a node's: the tracker's own secret is for none that asks.
    """
    tracker = next((role for role in roles if role.is_tracker), scope.tracker)
    if cluster.keys is None:
        return tracker
    nodes = (role for role in roles if not role.is_tracker)
    return min(nodes, key=lambda role: role.host != tracker.host, default=tracker)


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
    except (ValueError, RecursionError):
        return {**role, "error": reason(outcome) if outcome.stderr else outcome.stdout}


def _in_words(outcome: Outcome) -> str:
    return "; ".join(
        f"{one.name}: {one.size_bytes} bytes in {one.elapsed_s:.1f} s "
        f"from {', '.join(one.holders) or 'nobody: it was already here'}"
        for one in _fetched(outcome.stdout)
    )


def _fetched(answer: str) -> list[_Fetched]:
    """Return what a host says it fetched; what is not that is left out."""
    try:
        told = msgspec.json.decode(answer)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return []
    fetched = []
    for one in told if isinstance(told, list) else [told]:
        with contextlib.suppress(msgspec.ValidationError):
            fetched.append(msgspec.convert(one, _Fetched))
    return fetched


def _report(outcomes: Sequence[Outcome]) -> int:
    """Print a line for each host; return the exit code of all."""
    for outcome in outcomes:
        role, exit_code = outcome.role, outcome.exit_code
        place = f"{role.name} on {role.host}: "
        if outcome.stdout:
            terminal.put(place + outcome.stdout)
        if exit_code != 0:
            terminal.say(f"{place}failed (exit code {exit_code}): {reason(outcome)}")
    return _common_code(outcomes)


def _common_code(outcomes: Sequence[Outcome]) -> int:
    codes = {outcome.exit_code for outcome in outcomes}
    return codes.pop() if len(codes) == 1 else ExitCode.PARTLY_DONE
