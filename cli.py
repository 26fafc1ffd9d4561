"""The command line: parses options and calls commands/. Does no work itself."""

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":  # `python cli.py` in a clone: this folder is the package, as installed.
    root = Path(__file__).resolve().parent
    spec = importlib.util.spec_from_file_location(
        "shoal", root / "__init__.py", submodule_search_locations=[str(root)]
    )
    assert spec is not None
    assert spec.loader is not None
    sys.modules["shoal"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["shoal"])
    importlib.import_module("shoal.__main__").heed_signals()

import typer
from shoal.commands import options as opt
from shoal.commands import terminal
from shoal.commands.encoding import insist_on_utf8
from shoal.commands.exit_codes import ExitCode

if TYPE_CHECKING:
    from shoal.commands.hosts import HostsOptions
    from shoal.config.cluster import Cluster, NodeEntry

app = typer.Typer(
    name="shoal",
    help="Peer-to-peer file distribution for LANs and clusters.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
hosts = typer.Typer(
    help="Install and run a cluster on several computers, over ssh.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _told(summary: str, example: str) -> dict[str, Any]:
    """Return what `--help` shows for a command besides its docstring and options."""
    return {"cls": opt.Command, "short_help": summary, "epilog": f"Example: {example}"}


@app.callback()
def shoal(
    version: opt.VersionOption = False,
) -> None:
    """Peer-to-peer file distribution for LANs and clusters."""


@app.command(**_told("Run the tracker.", "shoal tracker --config lan.yaml"))
def tracker(config: opt.ConfigOption = None) -> None:
    """Run the tracker, the directory of who holds what, in the foreground until interrupted."""

    def body() -> ExitCode:
        from shoal.commands.tracker import run_tracker  # noqa: PLC0415 (--help stays quick)

        return run_tracker(_cluster(config))

    _run(body)


@app.command(**_told("Run a node: serve its folder and fetch into it.", "shoal node n1"))
def node(name: opt.NameArgument, config: opt.ConfigOption = None) -> None:
    """Run node NAME in the foreground until interrupted: share its folder, and fetch into it."""

    def body() -> ExitCode:
        from shoal.commands.node import run_node  # noqa: PLC0415 (--help stays quick)

        return run_node(*_cluster_and_node(config, name))

    _run(body)


@app.command(**_told("Fetch files and directories.", "shoal fetch big.iso photos/2024 --as n1"))
def fetch(
    what: opt.WhatArguments,
    as_node: opt.AsOption,
    config: opt.ConfigOption = None,
    as_json: opt.JsonOption = False,
    quiet: opt.QuietOption = False,
    timeout: opt.TimeoutOption = None,
    output: opt.OutputOption = None,
    include: opt.IncludeOption = None,
    exclude: opt.ExcludeOption = None,
    in_place: opt.InPlaceOption = False,
    force: opt.FetchForceOption = False,
    discard: opt.DiscardOption = False,
    offline: opt.OfflineOption = False,
) -> None:
    """Fetch files or directories into NAME's folder. Resumes an interrupted fetch."""

    def body() -> ExitCode:
        if discard:
            from shoal.commands.discard import run_discard  # noqa: PLC0415 (--help stays quick)

            place = _cluster_and_node(config, as_node)
            return run_discard(*place, what, as_json=as_json, quiet=quiet)
        from shoal.api.fetch import FetchOptions  # noqa: PLC0415 (--help stays quick)
        from shoal.commands.fetch import Wishes, run_fetch  # noqa: PLC0415 (the same)

        parts = tuple(include or ()), tuple(exclude or ())
        options = FetchOptions(output, force, *parts, in_place, offline)
        wishes = Wishes(tuple(what), options, timeout, as_json, quiet)
        return run_fetch(*_cluster_and_node(config, as_node), wishes)

    _run(body, as_json=as_json)


@app.command(**_told("Share a file or directory.", "shoal share ~/Downloads/big.iso --as n2"))
def share(
    path: opt.PathArgument,
    as_node: opt.AsOption,
    config: opt.ConfigOption = None,
    as_json: opt.JsonOption = False,
    include: opt.IncludeOption = None,
    exclude: opt.ExcludeOption = None,
    chunking: opt.ChunkingOption = None,
    force: opt.ShareForceOption = False,
    follow_links: opt.FollowLinksOption = False,
) -> None:
    """Share a file or directory as node NAME, copying it into the node's folder if needed."""

    def body() -> ExitCode:
        from shoal.api.share import ShareOptions  # noqa: PLC0415 (--help stays quick)
        from shoal.commands.share import run_share  # noqa: PLC0415 (the same)

        parts = tuple(include or ()), tuple(exclude or ())
        options = ShareOptions(force, *parts, chunking.value if chunking else None, follow_links)
        place = _cluster_and_node(config, as_node)
        return run_share(*place, path, options, as_json=as_json)

    _run(body, as_json=as_json)


@app.command(**_told("Stop sharing something, or delete it.", "shoal forget big.iso --as n2"))
def forget(
    what: opt.WhatArgument,
    as_node: opt.AsOption,
    config: opt.ConfigOption = None,
    as_json: opt.JsonOption = False,
    delete: opt.DeleteOption = False,
) -> None:
    """Stop sharing WHAT. The data stays on disk unless --delete is given."""

    def body() -> ExitCode:
        from shoal.commands.forget import run_forget  # noqa: PLC0415 (--help stays quick)

        place = _cluster_and_node(config, as_node)
        return run_forget(*place, what, delete=delete, as_json=as_json)

    _run(body, as_json=as_json)


@app.command(**_told("Check stored data and repair it.", "shoal verify big.iso --as n2"))
def verify(
    as_node: opt.AsOption,
    what: opt.OptionalWhatArgument = None,
    config: opt.ConfigOption = None,
    as_json: opt.JsonOption = False,
) -> None:
    """Rehash everything that NAME holds, or only WHAT, and fetch corrupt chunks again."""

    def body() -> ExitCode:
        from shoal.commands.verify import run_verify  # noqa: PLC0415 (--help stays quick)

        return run_verify(*_cluster_and_node(config, as_node), what, as_json=as_json)

    _run(body, as_json=as_json)


@app.command("ls", **_told("List shared files and their holders.", "shoal ls --long"))
def list_files(
    config: opt.ConfigOption = None,
    as_json: opt.JsonOption = False,
    long: opt.LongOption = False,
) -> None:
    """List every version of every shared file and directory, with its holders."""

    def body() -> ExitCode:
        from shoal.commands.ls import run_ls  # noqa: PLC0415 (--help stays quick)

        return run_ls(_cluster(config).tracker.address, as_json=as_json, is_long=long)

    _run(body, as_json=as_json)


@app.command(**_told("Show which nodes have a file.", "shoal where big.iso --all"))
def where(
    what: opt.WhatArgument,
    config: opt.ConfigOption = None,
    as_json: opt.JsonOption = False,
    need_all: opt.AllOption = False,
) -> None:
    """Show which nodes have all of WHAT, which have part of it, and which have none."""

    def body() -> ExitCode:
        from shoal.commands.where import run_where  # noqa: PLC0415 (--help stays quick)

        return run_where(_cluster(config), what, as_json=as_json, need_all=need_all)

    _run(body, as_json=as_json)


@app.command(**_told("Show which nodes are alive.", "shoal status"))
def status(config: opt.ConfigOption = None, as_json: opt.JsonOption = False) -> None:
    """Show which nodes are alive, and how long the tracker has been up."""

    def body() -> ExitCode:
        from shoal.commands.status import run_status  # noqa: PLC0415 (--help stays quick)

        return run_status(_cluster(config), as_json=as_json)

    _run(body, as_json=as_json)


@app.command(**_told("Check this machine's setup.", "shoal check"))
def check(config: opt.ConfigOption = None, as_json: opt.JsonOption = False) -> None:
    """Check addresses, folders, disk space and limits, and report problems before they bite."""

    def body() -> ExitCode:
        from shoal.commands.check import run_check  # noqa: PLC0415 (--help stays quick)

        return run_check(_cluster(config), as_json=as_json)

    _run(body, as_json=as_json)


@app.command(**_told("Try shoal on this machine.", "shoal demo"))
def demo(verbose: opt.VerboseOption = False) -> None:
    """Run a tracker and three nodes on this machine, and fetch three files between them."""

    def body() -> ExitCode:
        from shoal.commands.demo import run_demo  # noqa: PLC0415 (--help stays quick)

        return run_demo(Path(__file__).resolve(), is_verbose=verbose)

    _run(body)


@hosts.command("up", **_told("Install shoal on the hosts.", "shoal hosts up --config lab.yaml"))
def hosts_up(
    config: opt.ConfigOption = None,
    on: opt.OnOption = None,
    host: opt.HostOption = None,
    ssh: opt.SshOption = None,
    shoal: opt.ShoalOption = "shoal",
    dry_run: opt.DryRunOption = False,
    python: opt.PythonOption = "python3",
    offline: opt.SendAllOption = False,
) -> None:
    """Install this version of shoal in ~/.shoal-venv on each host."""
    from shoal.commands.hosts import run_up  # noqa: PLC0415 (--help stays quick)

    options = _hosts_options(on, host, ssh, shoal, dry_run)
    _run(lambda: run_up(_cluster(config), options, python, offline=offline))


@hosts.command("start", **_told("Start the cluster.", "shoal hosts start --config lab.yaml"))
def hosts_start(
    config: opt.ConfigOption = None,
    on: opt.OnOption = None,
    host: opt.HostOption = None,
    ssh: opt.SshOption = None,
    shoal: opt.ShoalOption = "shoal",
    dry_run: opt.DryRunOption = False,
) -> None:
    """Start the tracker and the nodes in the background; wait until the tracker sees the nodes."""
    from shoal.commands.hosts import run_start  # noqa: PLC0415 (--help stays quick)

    options = _hosts_options(on, host, ssh, shoal, dry_run)
    _run(lambda: run_start(_cluster(config), options))


@hosts.command("fetch", **_told("Fetch on many nodes.", "shoal hosts fetch big.iso --on n1,n2"))
def hosts_fetch(
    names: opt.FetchedArguments,
    config: opt.ConfigOption = None,
    on: opt.OnOption = None,
    host: opt.HostOption = None,
    ssh: opt.SshOption = None,
    shoal: opt.ShoalOption = "shoal",
    dry_run: opt.DryRunOption = False,
    as_json: opt.JsonOption = False,
) -> None:
    """Fetch on all nodes at the same time, so that they serve each other."""
    from shoal.commands.hosts import run_fetch  # noqa: PLC0415 (--help stays quick)

    options = _hosts_options(on, host, ssh, shoal, dry_run)
    _run(lambda: run_fetch(_cluster(config), options, names, as_json=as_json), as_json=as_json)


@hosts.command("status", **_told("Show what is running.", "shoal hosts status"))
def hosts_status(
    config: opt.ConfigOption = None,
    on: opt.OnOption = None,
    host: opt.HostOption = None,
    ssh: opt.SshOption = None,
    shoal: opt.ShoalOption = "shoal",
    dry_run: opt.DryRunOption = False,
) -> None:
    """Show which processes are running, and which nodes the tracker sees."""
    from shoal.commands.hosts import run_status  # noqa: PLC0415 (--help stays quick)

    options = _hosts_options(on, host, ssh, shoal, dry_run)
    _run(lambda: run_status(_cluster(config), options))


@hosts.command("stop", **_told("Stop the cluster.", "shoal hosts stop --config lab.yaml"))
def hosts_stop(
    config: opt.ConfigOption = None,
    on: opt.OnOption = None,
    host: opt.HostOption = None,
    ssh: opt.SshOption = None,
    shoal: opt.ShoalOption = "shoal",
    dry_run: opt.DryRunOption = False,
) -> None:
    """Stop what `shoal hosts start` has started."""
    from shoal.commands.hosts import run_stop  # noqa: PLC0415 (--help stays quick)

    options = _hosts_options(on, host, ssh, shoal, dry_run)
    _run(lambda: run_stop(_cluster(config), options))


app.add_typer(hosts, name="hosts", short_help="Run a cluster over ssh.")


def _hosts_options(
    on: str | None, host: list[str] | None, ssh: str | None, shoal: str, dry_run: bool
) -> "HostsOptions":
    from shoal.commands.hosts import HostsOptions  # noqa: PLC0415 (--help stays quick)
    from shoal.hosts.ssh import SSH  # noqa: PLC0415 (the same)

    return HostsOptions(on, tuple(host or ()), ssh or SSH, shoal, dry_run)


def _cluster(config: str | None) -> "Cluster":
    from shoal.config import cluster  # noqa: PLC0415 (--help stays quick)

    path = cluster.find(config, os.environ, Path(), in_clone=__name__ == "__main__")
    if path == cluster.EXAMPLE:
        terminal.say(f"using the example cluster file {path}")
    return cluster.load(path)


def _cluster_and_node(config: str | None, name: str) -> "tuple[Cluster, NodeEntry]":
    from shoal.api.here import require_apart, require_here  # noqa: PLC0415 (the same)
    from shoal.config import cluster  # noqa: PLC0415 (--help stays quick)

    loaded = _cluster(config)
    entry = cluster.node_named(loaded, name)
    require_here(entry, loaded.path)
    require_apart(entry, loaded)
    return loaded, entry


def _run(body: Callable[[], int], *, as_json: bool = False) -> None:
    raise typer.Exit(terminal.run(body, as_json=as_json))


def main() -> None:
    """Run the command named in sys.argv."""
    insist_on_utf8()
    terminal.prepare()
    code = terminal.run(_command, as_json="--json" in sys.argv)
    terminal.finish()
    sys.exit(code)


def _command() -> int | None:
    try:
        code: int | None = app(prog_name="shoal", standalone_mode=False)
    except opt.UsageError as error:
        if type(error).__name__ != "NoArgsIsHelpError":
            raise opt.told(error) from None
        error.show()
        return ExitCode.USAGE
    return code


if __name__ == "__main__":
    main()
