"""`shoal hosts check`: prints whether the hosts have what their roles need. Changes nothing."""

from collections.abc import Sequence
from pathlib import Path

from shoal.commands import terminal
from shoal.commands.exit_codes import ExitCode
from shoal.commands.hosts import HostsOptions, Scope, asker_of, opened
from shoal.commands.table import put_table
from shoal.config.cluster import Cluster
from shoal.hosts.preflight import Found, Room, examine, size_told
from shoal.hosts.reasons import reason
from shoal.protocol.errors import OperatorError

HEADINGS = ("NAME", "HOST", "SSH", "PYTHON", "SHOAL", "FREE", "PORT", "PROBLEM")


def run_hosts_check(
    cluster: Cluster, options: HostsOptions, python: str | None, what: str | None, *, as_json: bool
) -> int:
    """Print a row for each role; the exit code is 2 if anything is missing."""
    with opened(cluster, options) as scope:
        room = _room(cluster, scope, what)
        found = examine(scope.hosts, scope.roles, cluster, python, room)
    if options.is_dry_run:
        return ExitCode.DONE
    if as_json:
        terminal.put_json(found)
    else:
        put_table([HEADINGS, *map(_row, found)], flexible=1, optional=(4, 3))
    return ExitCode.USAGE if any(one.problem for one in found) else ExitCode.DONE


def _room(cluster: Cluster, scope: Scope, what: str | None) -> Room:
    """Return how much room something takes: a path here, or what the tracker knows."""
    if what is None or scope.hosts.is_dry_run:
        return Room()
    if Path(what).exists():
        every = [Path(what), *Path(what).rglob("*")]
        return Room(sum(one.lstat().st_size for one in every if one.is_file()))
    asker = asker_of(cluster, scope, scope.every_role)
    words = ("run", "where", what, "--json")
    (outcome,) = scope.hosts.on_each(
        [asker], f"asked how large {what} is", lambda role: scope.hosts.act(role, *words)
    )
    try:
        return size_told(outcome.stdout)
    except ValueError:
        message = f"cannot tell how large {what} is: {reason(outcome)}"
        raise OperatorError(f"{message}; name a path on this machine") from None


def _row(found: Found) -> Sequence[str]:
    installed = {True: "yes", False: "no", None: "?"}[found.installed]
    free = "?" if found.free_bytes is None else terminal.size(found.free_bytes)
    port = found.port if found.port in {"free", "ours"} else "?" if found.port is None else "no"
    cells = (found.node, found.host, "ok" if found.ssh else "no", found.python or "?", installed)
    return (*cells, free, port, found.problem or "")
