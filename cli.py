"""The command line: parses options and calls commands/. Does no work itself."""

import importlib.util
import sys
from pathlib import Path

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
from shoal.commands import dashboard_app, terminal
from shoal.commands import options as opt
from shoal.commands import rate_options as rate_opt
from shoal.commands import setup_options as setup
from shoal.commands.daemons_app import node, tracker
from shoal.commands.encoding import insist_on_utf8
from shoal.commands.exit_codes import ExitCode
from shoal.commands.health_app import health
from shoal.commands.hosts_app import hosts
from shoal.commands.options import described, run
from shoal.commands.places import PLACES as places  # noqa: N811 (it is a variable)
from shoal.commands.service_app import service

app = typer.Typer(
    name="shoal",
    help="Peer-to-peer file distribution for LANs and clusters.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
places.in_clone = __name__ == "__main__"


@app.callback()
def shoal(
    version: opt.VersionOption = False,
) -> None:
    """Peer-to-peer file distribution for LANs and clusters."""


app.command(**described("Run the tracker.", "shoal tracker --config lan.yaml"))(tracker)
app.command(**described("Run a node: serve its folder and fetch into it.", "shoal node n1"))(node)


@app.command(**described("Fetch files and directories.", "shoal fetch big.iso photos/2024 --as n1"))
def fetch(
    what: opt.WhatArguments,
    as_node: opt.FetchAsOption = None,
    config: opt.ConfigOption = None,
    as_json: opt.JsonOption = False,
    quiet: opt.QuietOption = False,
    timeout: opt.TimeoutOption = None,
    output: opt.OutputOption = None,
    to: opt.ToOption = None,
    include: opt.IncludeOption = None,
    exclude: opt.ExcludeOption = None,
    in_place: opt.InPlaceOption = False,
    force: opt.FetchForceOption = False,
    discard: opt.DiscardOption = False,
    offline: opt.OfflineOption = False,
    limit: rate_opt.FetchRateOption = None,
    hub: opt.HubOption = None,
) -> None:
    """Fetch files or directories into NAME's folder. Resumes an interrupted fetch."""

    def body() -> ExitCode:
        if discard:
            from shoal.commands.discard import run_discard  # noqa: PLC0415 (--help stays quick)

            place = places.fetcher(config, as_node)
            return run_discard(*place, what, as_json=as_json, quiet=quiet)
        from shoal.api.fetch import FetchOptions  # noqa: PLC0415 (--help stays quick)
        from shoal.commands.fetch import Wishes, run_fetch  # noqa: PLC0415 (the same)

        parts = tuple(include or ()), tuple(exclude or ())
        options = FetchOptions(output, force, *parts, in_place, offline, rate_opt.rate(limit), to)
        wishes = Wishes(tuple(what), options, timeout, as_json, quiet, hub)
        return run_fetch(*places.fetcher(config, as_node), wishes)

    run(body, as_json=as_json)


@app.command(**described("Share a file or directory.", "shoal share ~/Downloads/big.iso --as n2"))
def share(
    path: opt.PathArgument,
    as_node: opt.AsOption = None,
    config: opt.ConfigOption = None,
    as_json: opt.JsonOption = False,
    include: opt.IncludeOption = None,
    exclude: opt.ExcludeOption = None,
    chunking: opt.ChunkingOption = None,
    force: opt.ShareForceOption = False,
    follow_links: opt.FollowLinksOption = False,
    link: opt.LinkOption = False,
) -> None:
    """Share a file or directory as node NAME, copying it into the node's folder if needed."""

    def body() -> ExitCode:
        from shoal.api.share import ShareOptions  # noqa: PLC0415 (--help stays quick)
        from shoal.commands.share import run_share  # noqa: PLC0415 (the same)

        parts = tuple(include or ()), tuple(exclude or ())
        links = follow_links, link
        options = ShareOptions(force, *parts, chunking.value if chunking else None, *links)
        place = places.node(config, as_node)
        return run_share(*place, path, options, as_json=as_json)

    run(body, as_json=as_json)


@app.command(**described("Stop sharing something, or delete it.", "shoal forget big.iso --as n2"))
def forget(
    what: opt.WhatArgument,
    as_node: opt.AsOption = None,
    config: opt.ConfigOption = None,
    as_json: opt.JsonOption = False,
    delete: opt.DeleteOption = False,
) -> None:
    """Stop sharing WHAT. The data stays on disk unless --delete is given."""

    def body() -> ExitCode:
        from shoal.commands.forget import run_forget  # noqa: PLC0415 (--help stays quick)

        return run_forget(*places.node(config, as_node), what, delete=delete, as_json=as_json)

    run(body, as_json=as_json)


@app.command(**described("Check stored data and repair it.", "shoal verify big.iso --as n2"))
def verify(
    as_node: opt.AsOption = None,
    what: opt.OptionalWhatArgument = None,
    config: opt.ConfigOption = None,
    as_json: opt.JsonOption = False,
) -> None:
    """Rehash everything that NAME holds, or only WHAT, and fetch corrupt chunks again."""

    def body() -> ExitCode:
        from shoal.commands.verify import run_verify  # noqa: PLC0415 (--help stays quick)

        return run_verify(*places.node(config, as_node), what, as_json=as_json)

    run(body, as_json=as_json)


@app.command("ls", **described("List shared files and their holders.", "shoal ls --long"))
def list_files(
    config: opt.ConfigOption = None,
    as_json: opt.JsonOption = False,
    long: opt.LongOption = False,
) -> None:
    """List every version of every shared file and directory, with its holders."""

    def body() -> ExitCode:
        from shoal.commands.ls import run_ls  # noqa: PLC0415 (--help stays quick)

        return run_ls(places.cluster(config), as_json=as_json, is_long=long)

    run(body, as_json=as_json)


@app.command(**described("Show which nodes have a file.", "shoal where big.iso --all"))
def where(
    what: opt.WhatArgument,
    config: opt.ConfigOption = None,
    as_json: opt.JsonOption = False,
    need_all: opt.AllOption = False,
) -> None:
    """Show which nodes have all of WHAT, which have part of it, and which have none."""

    def body() -> ExitCode:
        from shoal.commands.where import run_where  # noqa: PLC0415 (--help stays quick)

        return run_where(places.cluster(config), what, as_json=as_json, need_all=need_all)

    run(body, as_json=as_json)


@app.command(
    **{
        **described("Have nodes hold something.", "shoal push big.iso --wait"),
        "cls": opt.PushCommand,
    }
)
def push(
    what: opt.WhatArgument,
    to: setup.ToOption = "all",
    as_node: setup.PushAsOption = None,
    config: opt.ConfigOption = None,
    wait: setup.WaitOption = False,
    share: setup.ShareOption = "100%",
    timeout: setup.LimitOption = None,
    as_json: opt.JsonOption = False,
    as_lines: setup.LinesOption = False,
    quiet: opt.QuietOption = False,
    cancel: setup.CancelOption = False,
    force: opt.ShareForceOption = False,
) -> None:
    """Have nodes fetch WHAT, now or when they are back, until they hold it."""

    def body() -> ExitCode:
        from shoal.commands import push as command  # noqa: PLC0415 (--help stays quick)

        cluster = places.cluster(config)
        if cancel:
            return command.run_cancel(cluster, what, as_json=as_json)
        name = what
        if command.is_path(what, as_node):
            place, is_quiet = places.node(config, as_node), quiet or as_json
            name = command.shared_first(*place, what, is_forced=force, quiet=is_quiet)
        command.require_wait(share, timeout, waits=wait, as_lines=as_lines)
        watching = command.watching(share, timeout, (as_json, as_lines, quiet)) if wait else None
        return command.run_push(cluster, name, to, watching, as_json=as_json)

    run(body, as_json=as_json)


@app.command(**described("List what is pushed.", "shoal pushes"))
def pushes(config: opt.ConfigOption = None, as_json: opt.JsonOption = False) -> None:
    """List what nodes shall hold, and how many of them do."""

    def body() -> ExitCode:
        from shoal.commands.push import run_pushes  # noqa: PLC0415 (--help stays quick)

        return run_pushes(places.cluster(config), as_json=as_json)

    run(body, as_json=as_json)


@app.command(**described("Wait until nodes have something.", "shoal wait big.iso --on n1,n2"))
def wait(
    what: opt.WhatArgument,
    on: setup.OnNodesOption = "all",
    config: opt.ConfigOption = None,
    share: setup.ShareOption = "100%",
    timeout: setup.LimitOption = None,
    as_json: opt.JsonOption = False,
    as_lines: setup.LinesOption = False,
    quiet: opt.QuietOption = False,
) -> None:
    """Wait until nodes have WHAT: a barrier for scripts."""

    def body() -> ExitCode:
        from shoal.commands import push as command  # noqa: PLC0415 (--help stays quick)

        watching = command.watching(share, timeout, (as_json, as_lines, quiet))
        return command.run_wait(places.cluster(config), what, on, watching)

    run(body, as_json=as_json)


@app.command(**described("Show which nodes are alive.", "shoal status"))
def status(
    name: opt.OptionalNameArgument = None,
    config: opt.ConfigOption = None,
    as_json: opt.JsonOption = False,
) -> None:
    """Show which nodes are alive and what they do, or all that node NAME tells of itself."""

    def body() -> ExitCode:
        from shoal.commands.status import run_status  # noqa: PLC0415 (--help stays quick)

        return run_status(places.cluster(config), name, as_json=as_json)

    run(body, as_json=as_json)


app.command(**described("Ask a process how it is.", "shoal health --as n1"))(health)


@app.command(**described("Check this machine's setup.", "shoal check"))
def check(config: opt.ConfigOption = None, as_json: opt.JsonOption = False) -> None:
    """Check addresses, folders, disk space and limits, and report problems before they bite."""

    def body() -> ExitCode:
        from shoal.commands.check import run_check  # noqa: PLC0415 (--help stays quick)

        return run_check(places.cluster(config), as_json=as_json)

    run(body, as_json=as_json)


@app.command(**described("Write a cluster file.", "shoal init 'pc[01-40]' --net 192.168.1.0/24"))
def init(
    hosts: setup.HostsArguments = None,
    net: setup.NetOption = None,
    folder: setup.FolderOption = "~/shoal",
    tracker: setup.TrackerHostOption = None,
    port: setup.PortOption = 11001,
    zone: setup.ZoneOption = None,
    here: setup.HereOption = False,
    nodes: setup.NodesOption = 3,
    output: setup.NewFileOption = Path("lan.yaml"),
    force: setup.OverwriteOption = False,
    as_json: opt.JsonOption = False,
) -> None:
    """Write a cluster file for HOSTS, whose addresses are looked up now, or for this machine."""

    def body() -> ExitCode:
        from shoal.api.init import Wishes  # noqa: PLC0415 (--help stays quick)
        from shoal.commands.init import run_init  # noqa: PLC0415 (the same)

        wishes = Wishes(tuple(hosts or ()), net, folder, tracker, port, tuple(zone or ()))
        count = nodes if here else None
        return run_init(wishes, count, output, force=force, as_json=as_json)

    run(body, as_json=as_json)


@app.command(**described("Make keys: only those who have one are let in.", "shoal keys"))
def keys(
    config: opt.ConfigOption = None,
    as_json: opt.JsonOption = False,
    new: opt.NewKeyOption = None,
    reader: opt.ReaderOption = None,
    admin: opt.AdminOption = None,
) -> None:
    """Make the keys that the cluster file lacks: secrets beside it, the public keys in it."""

    def body() -> ExitCode:
        from shoal.api.keys import KeyWishes  # noqa: PLC0415 (--help stays quick)
        from shoal.commands.keys import run_keys  # noqa: PLC0415 (the same)

        wishes = KeyWishes(tuple(new or ()), tuple(reader or ()), tuple(admin or ()))
        return run_keys(places.file(config), wishes, as_json=as_json)

    run(body, as_json=as_json)


@app.command(**described("Try shoal on this machine.", "shoal demo"))
def demo(verbose: opt.VerboseOption = False) -> None:
    """Run a tracker and three nodes on this machine, and fetch three files between them."""

    def body() -> ExitCode:
        from shoal.commands.demo import run_demo  # noqa: PLC0415 (--help stays quick)

        return run_demo(Path(__file__).resolve(), is_verbose=verbose)

    run(body)


app.command(**described("Have systemd run it.", "shoal service n1 --install"))(service)
dashboard_app.register(app)
app.add_typer(hosts, name="hosts", short_help="Run a cluster over ssh.")


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
