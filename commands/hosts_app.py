"""The command line of `shoal hosts`: parses options and calls commands/hosts.py."""

from typing import TYPE_CHECKING, Annotated

import typer
from shoal.commands import options as opt
from shoal.commands import setup_options as setup
from shoal.commands.options import described, run
from shoal.commands.places import PLACES as places  # noqa: N811 (it is a variable)

if TYPE_CHECKING:
    from shoal.commands.hosts import HostsOptions

ServiceOption = Annotated[
    bool | None,
    typer.Option(
        "--service/--no-service",
        help="Have systemd run the tracker and nodes there, or no longer.",
        show_default=False,
    ),
]
hosts = typer.Typer(
    help="Install and run a cluster on several computers, over ssh.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@hosts.command("up", **described("Install shoal on the hosts.", "shoal hosts up --config lab.yaml"))
def hosts_up(
    config: opt.ConfigOption = None,
    on: setup.OnOption = None,
    host: setup.HostOption = None,
    ssh: setup.SshOption = "ssh",
    shoal: setup.ShoalOption = "shoal",
    dry_run: setup.DryRunOption = False,
    accept_new: setup.AcceptNewOption = False,
    python: setup.PythonOption = None,
    service: ServiceOption = None,
) -> None:
    """Bring this version of shoal to each host; no package index or compiler is needed there."""
    from shoal.commands.hosts import run_up  # noqa: PLC0415 (--help stays quick)

    options = _hosts_options(on, host, ssh, shoal, dry_run, accept_new)
    run(lambda: run_up(places.cluster(config), options, python, as_service=service))


@hosts.command("check", **described("Check the hosts.", "shoal hosts check big.iso"))
def hosts_check(
    what: setup.NeededArgument = None,
    config: opt.ConfigOption = None,
    on: setup.OnOption = None,
    host: setup.HostOption = None,
    ssh: setup.SshOption = "ssh",
    shoal: setup.ShoalOption = "shoal",
    dry_run: setup.DryRunOption = False,
    accept_new: setup.AcceptNewOption = False,
    python: setup.PythonOption = None,
    as_json: opt.JsonOption = False,
) -> None:
    """Check each host: ssh, Python, room on the disk (enough for WHAT), and the port."""
    from shoal.commands.hosts_check import run_hosts_check  # noqa: PLC0415 (--help stays quick)

    options = _hosts_options(on, host, ssh, shoal, dry_run, accept_new)
    run(
        lambda: run_hosts_check(places.cluster(config), options, python, what, as_json=as_json),
        as_json=as_json,
    )


@hosts.command("start", **described("Start the cluster.", "shoal hosts start --config lab.yaml"))
def hosts_start(
    config: opt.ConfigOption = None,
    on: setup.OnOption = None,
    host: setup.HostOption = None,
    ssh: setup.SshOption = "ssh",
    shoal: setup.ShoalOption = "shoal",
    dry_run: setup.DryRunOption = False,
    accept_new: setup.AcceptNewOption = False,
) -> None:
    """Start the tracker and the nodes in the background; wait until the tracker sees the nodes."""
    from shoal.commands.hosts import run_start  # noqa: PLC0415 (--help stays quick)

    options = _hosts_options(on, host, ssh, shoal, dry_run, accept_new)
    run(lambda: run_start(places.cluster(config), options))


@hosts.command("fetch", **described("Fetch on many nodes.", "shoal hosts fetch big.iso --on n1,n2"))
def hosts_fetch(
    names: setup.FetchedArguments,
    config: opt.ConfigOption = None,
    on: setup.OnOption = None,
    host: setup.HostOption = None,
    ssh: setup.SshOption = "ssh",
    shoal: setup.ShoalOption = "shoal",
    dry_run: setup.DryRunOption = False,
    accept_new: setup.AcceptNewOption = False,
    as_json: opt.JsonOption = False,
) -> None:
    """Fetch on all nodes at the same time, so that they serve each other."""
    from shoal.commands.hosts import run_fetch  # noqa: PLC0415 (--help stays quick)

    options = _hosts_options(on, host, ssh, shoal, dry_run, accept_new)
    run(lambda: run_fetch(places.cluster(config), options, names, as_json=as_json), as_json=as_json)


@hosts.command("status", **described("Show what is running.", "shoal hosts status"))
def hosts_status(
    config: opt.ConfigOption = None,
    on: setup.OnOption = None,
    host: setup.HostOption = None,
    ssh: setup.SshOption = "ssh",
    shoal: setup.ShoalOption = "shoal",
    dry_run: setup.DryRunOption = False,
    accept_new: setup.AcceptNewOption = False,
) -> None:
    """Show which processes are running, and which nodes the tracker sees."""
    from shoal.commands.hosts import run_status  # noqa: PLC0415 (--help stays quick)

    options = _hosts_options(on, host, ssh, shoal, dry_run, accept_new)
    run(lambda: run_status(places.cluster(config), options))


@hosts.command("stop", **described("Stop the cluster.", "shoal hosts stop --config lab.yaml"))
def hosts_stop(
    config: opt.ConfigOption = None,
    on: setup.OnOption = None,
    host: setup.HostOption = None,
    ssh: setup.SshOption = "ssh",
    shoal: setup.ShoalOption = "shoal",
    dry_run: setup.DryRunOption = False,
    accept_new: setup.AcceptNewOption = False,
) -> None:
    """Stop what `shoal hosts start` has started."""
    from shoal.commands.hosts import run_stop  # noqa: PLC0415 (--help stays quick)

    options = _hosts_options(on, host, ssh, shoal, dry_run, accept_new)
    run(lambda: run_stop(places.cluster(config), options))


def _hosts_options(
    on: str | None,
    host: list[str] | None,
    ssh: str,
    shoal: str,
    dry_run: bool,
    accept_new: bool,
) -> "HostsOptions":
    from shoal.commands.hosts import HostsOptions  # noqa: PLC0415 (--help stays quick)

    return HostsOptions(on, tuple(host or ()), ssh, shoal, dry_run, accept_new)
