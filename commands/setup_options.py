"""The arguments and options of `init` and `hosts`, with their help; all others: options.py."""

from pathlib import Path
from typing import Annotated

import typer
from shoal.commands import completing

# Of `shoal init`.
HostsArguments = Annotated[
    list[str] | None,
    typer.Argument(metavar="HOSTS", help="The hosts of the nodes, as in 'pc[01-40],lab-7'."),
]
NetOption = Annotated[
    str | None,
    typer.Option(
        metavar="NETWORK", help="Use the hosts' addresses in NETWORK, as in 192.168.1.0/24."
    ),
]
FolderOption = Annotated[
    str, typer.Option(metavar="FOLDER", help="The folder that each node shares.")
]
TrackerHostOption = Annotated[
    str | None,
    typer.Option(
        "--tracker", metavar="HOST", help="Where the tracker runs. Default: the first host."
    ),
]
PortOption = Annotated[
    int, typer.Option(metavar="PORT", min=1024, max=65_000, help="Of the nodes.")
]
ZoneOption = Annotated[
    list[str] | None,
    typer.Option(
        "--zone", metavar="ZONE=HOSTS", help="Which hosts are in a zone: rack-1='pc[01-20]'."
    ),
]
HereOption = Annotated[bool, typer.Option("--here", help="For this machine alone, to try shoal.")]
NodesOption = Annotated[
    int, typer.Option(metavar="COUNT", min=1, max=100, help="How many nodes, with --here.")
]
NewFileOption = Annotated[Path, typer.Option("--output", metavar="FILE", help="The file to write.")]
OverwriteOption = Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")]

# Of `shoal hosts`.
NeededArgument = Annotated[
    str | None,
    typer.Argument(metavar="WHAT", help="A path here, or what `shoal where` knows: its size."),
]
FetchedArguments = Annotated[
    list[str], typer.Argument(metavar="NAME", help="Files or directories to fetch.")
]
OnOption = Annotated[
    str | None, typer.Option(metavar="NAMES", help="Only these, as in tracker,n1. Default: all.")
]
HostOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=HOST",
        help="Where ssh finds NAME, if not at its address, as in n1=ann@lab-7; repeatable.",
    ),
]
SshOption = Annotated[
    str, typer.Option("--ssh", metavar="COMMAND", help="Use this command instead of ssh.")
]
ShoalOption = Annotated[
    str, typer.Option("--shoal", metavar="COMMAND", help="The shoal command on the hosts.")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Print the commands and run none of them.")
]
PythonOption = Annotated[
    str | None,
    typer.Option(metavar="COMMAND", help="The Python on the hosts, 3.11 or newer."),
]
AcceptNewOption = Annotated[
    bool, typer.Option("--accept-new", help="Trust hosts that ssh has never seen before.")
]
ToOption = Annotated[
    str,
    typer.Option(
        "--to", metavar="NODES", help="all (default), or nodes and zones: n1,n2,zone:rack-1."
    ),
]
OnNodesOption = Annotated[
    str,
    typer.Option(
        "--on", metavar="NODES", help="all (default), or nodes and zones: n1,n2,zone:rack-1."
    ),
]
WaitOption = Annotated[
    bool,
    typer.Option("--wait", help="Show how far they are until all have it; --wait=99%: most."),
]
ShareOption = Annotated[
    str, typer.Option("--share", metavar="SHARE", help="Which share of the nodes is enough: 99%.")
]
LimitOption = Annotated[
    str | None,
    typer.Option("--timeout", metavar="TIME", help="Stop waiting after TIME: 8h, 30m or 90."),
]
LinesOption = Annotated[
    bool, typer.Option("--json-lines", help="Print each change as JSON, in a line of its own.")
]
PushAsOption = Annotated[
    str | None,
    typer.Option(
        "--as",
        help="Share the path WHAT as this node first.",
        envvar="SHOAL_AS",
        metavar="NAME",
        autocompletion=completing.nodes,
    ),
]
CancelOption = Annotated[
    bool, typer.Option("--cancel", help="End the push of WHAT; who has it keeps it.")
]
