"""The arguments and options of the command line, with their help. Used only by cli.py."""

import enum
import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core
from shoal.commands import completing, terminal
from shoal.protocol.errors import OperatorError

VERSION = "0.1.0"

UsageError: Any = typer.BadParameter.__base__  # Click's, or the copy of it that typer brings.


def told(error: Any) -> OperatorError:
    """Return a usage error as one line, like every other error."""
    what = error.format_message().rstrip(".?").replace("is not a valid float range", "is no number")
    command = error.ctx.command_path if error.ctx else "shoal"
    return OperatorError(f"{what[:1].lower()}{what[1:]}; see `{command} --help`")


def described(summary: str, example: str, cls: type | None = None) -> dict[str, Any]:
    """Return what `--help` shows for a command besides its docstring and options."""
    return {"cls": cls or Command, "short_help": summary, "epilog": f"Example: {example}"}


def run(body: Callable[[], int], *, as_json: bool = False) -> None:
    """Run a command's body, and end with its exit code."""
    raise typer.Exit(terminal.run(body, as_json=as_json))


def _show_version(wanted: bool) -> None:  # noqa: FBT001  # Typer calls it so.
    if wanted:
        import zmq  # noqa: PLC0415 (only the version needs it here)

        terminal.put(f"shoal {VERSION}, pyzmq {zmq.__version__}, libzmq {zmq.zmq_version()}")
        raise typer.Exit


def _finite(seconds: float | None) -> float | None:
    """Refuse NaN and infinities, which pass every range check or none."""
    if seconds is not None and not math.isfinite(seconds):
        raise typer.BadParameter(f"{seconds} is not a length of time.")
    return seconds


class Command(typer.core.TyperCommand):
    """A command whose usage line shows what it acts on: `shoal fetch WHAT... [--as NAME]`."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ARG002 (its base gives it)
        arguments, named = [], []
        for one in self.params:
            if one.param_type_name == "argument":
                name = f"{one.metavar}{'...' if one.nargs < 0 else ''}"
                arguments.append(name if one.required else f"[{name}]")
            elif "--as" in one.opts:
                named.append(f"[--as {one.metavar}]")
        return [*arguments, *named, "[OPTIONS]"]


class PushCommand(Command):
    """A command where `--wait=99%` means `--wait --share 99%`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        split: list[str] = []
        for one in args:
            name, found, share = one.partition("=")
            split += [name, "--share", share] if name == "--wait" and found else [one]
        return super().parse_args(ctx, split)


class Cut(enum.Enum):
    """How files are cut into chunks."""

    FIXED = "fixed"
    CONTENT = "content"


VersionOption = Annotated[
    bool,
    typer.Option(
        "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
    ),
]
NameArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME",
        help="The node's name in the cluster file. Default: the only node on this machine.",
        autocompletion=completing.nodes,
    ),
]
OptionalNameArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME",
        help="One node. Default: all.",
        show_default=False,
        autocompletion=completing.nodes,
    ),
]
WhatArgument = Annotated[
    str,
    typer.Argument(
        metavar="WHAT", help="A name, an id, or NAME@ID.", autocompletion=completing.things
    ),
]
WhatArguments = Annotated[
    list[str],
    typer.Argument(
        metavar="WHAT",
        help="Names, ids, NAME@ID, or DIRECTORY/PATH.",
        autocompletion=completing.things,
    ),
]
OptionalWhatArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="WHAT",
        help="A name, an id, or NAME@ID. Default: everything.",
        autocompletion=completing.things,
    ),
]
PathArgument = Annotated[
    Path, typer.Argument(metavar="PATH", help="The file or directory to share.")
]

ConfigOption = Annotated[
    str | None,
    typer.Option(
        "--config", metavar="FILE", help="Cluster file. Default: $SHOAL_CONFIG, then lan.yaml."
    ),
]
AtOption = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="ADDRESS",
        help="Which of several trackers. Default: the one that is on this machine.",
    ),
]
MetricsOption = Annotated[
    str | None,
    typer.Option(
        "--metrics",
        metavar="HOST:PORT",
        envvar="SHOAL_METRICS",
        help="Serve figures for Prometheus, and /healthz, there. Default: the cluster file's.",
    ),
]
AsOption = Annotated[
    str | None,
    typer.Option(
        "--as",
        help="The node to act as. Default: the only one on this machine.",
        envvar="SHOAL_AS",
        metavar="NAME",
        autocompletion=completing.nodes,
    ),
]
FetchAsOption = Annotated[
    str | None,
    typer.Option(
        "--as",
        help="The node or reader to act as. Default: the only node on this machine.",
        envvar="SHOAL_AS",
        metavar="NAME",
        autocompletion=completing.fetchers,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
TimeoutOption = Annotated[
    float | None,
    typer.Option(
        callback=_finite,
        min=0.001,
        max=1e8,
        envvar="SHOAL_TIMEOUT",
        metavar="SECONDS",
        help="Give up after SECONDS.",
    ),
]
OutputOption = Annotated[
    Path | None, typer.Option(metavar="PATH", help="Write to PATH instead of NAME's folder.")
]
ToOption = Annotated[
    Path | None,
    typer.Option("--to", metavar="PATH", help="Put it at PATH, and serve it from there."),
]
IncludeOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN", help="Only matching paths of a directory, as in .gitignore. Repeatable."
    ),
]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option(metavar="PATTERN", help="Skip matching paths of a directory. Repeatable."),
]
InPlaceOption = Annotated[
    bool,
    typer.Option(
        "--in-place", help="Put each file of a directory in place as soon as it is complete."
    ),
]
HubOption = Annotated[
    str | None,
    typer.Option("--hf", metavar="ORG/MODEL", help="Have the Hugging Face hub's cache lead to it."),
]
DiscardOption = Annotated[
    bool,
    typer.Option(
        "--discard", help="Fetch nothing; delete the partial data of an interrupted fetch."
    ),
]
OfflineOption = Annotated[
    bool,
    typer.Option(
        "--offline", help="Use the newest version in NAME's folder; do not ask the tracker."
    ),
]
FetchForceOption = Annotated[
    bool,
    typer.Option("--force", help="Overwrite a local file even if no other node has a copy."),
]
ShareForceOption = Annotated[
    bool, typer.Option("--force", help="Publish it as a new version of an existing name.")
]
ChunkingOption = Annotated[
    Cut | None,
    typer.Option(
        help="Cut chunks at fixed sizes (default), or by content, so that insertions change few.",
        show_default=False,
    ),
]
LongOption = Annotated[bool, typer.Option("--long", "-l", help="List all holders by name.")]
AllOption = Annotated[
    bool, typer.Option("--all", help="Exit with 6 unless every node has a complete copy.")
]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show the logs of its processes too.")
]
LinkOption = Annotated[
    bool,
    typer.Option(
        "--link", help="Serve it from where it lies, without copying it; it is only read."
    ),
]
FollowLinksOption = Annotated[
    bool,
    typer.Option(
        "--follow-links", help="Share the targets of links in a directory, as `cp -L` does."
    ),
]
DeleteOption = Annotated[bool, typer.Option("--delete", help="Delete the data too.")]

# Of `shoal keys`.
NewKeyOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Replace NAME's key. Repeatable.",
        autocompletion=completing.key_owners,
    ),
]
ReaderOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Add a reader: it fetches, and never serves. Repeatable."),
]
AdminOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Add an admin, who may do everything. Repeatable."),
]
