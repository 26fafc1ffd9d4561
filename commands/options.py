"""The arguments and options of the command line, each with its help. Used by cli.py alone."""

import enum
import math
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core
from shoal.commands import completing, terminal
from shoal.protocol.errors import OperatorError

VERSION = "0.1.0"

UsageError: Any = typer.BadParameter.__base__  # Click's, or the copy of it that typer brings.


def told(error: Any) -> OperatorError:
    """Say what is wrong with the command line as everything else is said, in one line."""
    what = error.format_message().rstrip(".?")
    command = error.ctx.command_path if error.ctx else "shoal"
    return OperatorError(f"{what[:1].lower()}{what[1:]}; see `{command} --help`")


def _show_version(wanted: bool) -> None:  # noqa: FBT001  # Typer calls it so.
    if wanted:
        import zmq  # noqa: PLC0415 (only the version needs it here)

        terminal.put(f"shoal {VERSION}, pyzmq {zmq.__version__}, libzmq {zmq.zmq_version()}")
        raise typer.Exit


def _finite(seconds: float | None) -> float | None:
    """Refuse what is in every range because it compares with nothing."""
    if seconds is not None and not math.isfinite(seconds):
        raise typer.BadParameter(f"{seconds} is no length of time.")
    return seconds


class Command(typer.core.TyperCommand):
    """A command whose usage line names all that it needs: `shoal fetch WHAT... --as NAME`."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ARG002 (its base gives it)
        arguments, needed = [], []
        for one in self.params:
            if one.param_type_name == "argument":
                name = f"{one.metavar}{'...' if one.nargs < 0 else ''}"
                arguments.append(name if one.required else f"[{name}]")
            elif one.required:
                needed.append(f"{one.opts[0]} {one.metavar}")
        return [*arguments, *needed, "[OPTIONS]"]


class Cut(enum.Enum):
    """Where chunks are cut."""

    FIXED = "fixed"
    CONTENT = "content"


VersionOption = Annotated[
    bool,
    typer.Option(
        "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
    ),
]
NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="The node, as the cluster file calls it.",
        autocompletion=completing.nodes,
    ),
]
WhatArgument = Annotated[
    str,
    typer.Argument(
        metavar="WHAT", help="A name, an id or NAME@ID.", autocompletion=completing.things
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
        help="A name, an id or NAME@ID; without it, everything.",
        autocompletion=completing.things,
    ),
]
PathArgument = Annotated[Path, typer.Argument(metavar="PATH", help="A file or a directory.")]

ConfigOption = Annotated[
    str | None,
    typer.Option(
        "--config", metavar="FILE", help="The cluster file; else $SHOAL_CONFIG, else lan.yaml."
    ),
]
AsOption = Annotated[
    str,
    typer.Option(
        "--as",
        help="The node to do it as.",
        envvar="SHOAL_AS",
        metavar="NAME",
        autocompletion=completing.nodes,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Only say what fails.")]
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
    Path | None, typer.Option(metavar="PATH", help="Put it here, not into NAME's folder.")
]
IncludeOption = Annotated[
    list[str] | None,
    typer.Option(metavar="PATTERN", help="Of a directory only this, as in .gitignore; repeatable."),
]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option(metavar="PATTERN", help="Of a directory leave this out; repeatable."),
]
InPlaceOption = Annotated[
    bool,
    typer.Option("--in-place", help="Let a directory's files appear one by one, each whole."),
]
DiscardOption = Annotated[
    bool,
    typer.Option("--discard", help="Fetch nothing; remove what interrupted fetches of it left."),
]
OfflineOption = Annotated[
    bool,
    typer.Option(
        "--offline", help="Take what NAME's folder has, without asking for a newer version."
    ),
]
FetchForceOption = Annotated[
    bool,
    typer.Option("--force", help="Overwrite what has that name, even if no other node has a copy."),
]
ShareForceOption = Annotated[
    bool, typer.Option("--force", help="Make it a new version of what has that name.")
]
ChunkingOption = Annotated[
    Cut | None,
    typer.Option(
        help="Cut by size, or where the content says so: then insertions move little (fixed).",
        show_default=False,
    ),
]
LongOption = Annotated[
    bool, typer.Option("--long", "-l", help="Name all holders, however many there are.")
]
AllOption = Annotated[
    bool, typer.Option("--all", help="Exit with 6 unless every node has all of it.")
]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show what the processes log, too.")
]
FollowLinksOption = Annotated[
    bool,
    typer.Option("--follow-links", help="Of a directory, share what its links lead to."),
]
DeleteOption = Annotated[bool, typer.Option("--delete", help="Delete its bytes too.")]
