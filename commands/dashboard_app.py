"""The command line of `shoal dashboard`: parses options and calls commands/dashboard.py."""

from typing import Annotated

import typer
from shoal.commands import completing
from shoal.commands import options as opt
from shoal.commands.exit_codes import ExitCode
from shoal.commands.options import described, run
from shoal.commands.places import PLACES as places  # noqa: N811 (it is a variable)

ListenOption = Annotated[
    str,
    typer.Option(
        "--listen",
        metavar="HOST:PORT",
        help="Where to serve the page. Port 0: any that is free.",
    ),
]
LinkOption = Annotated[
    float | None,
    typer.Option(
        "--link",
        metavar="MBIT",
        min=0.001,
        max=1e7,
        help="The rate of the hosts' links in Mbit/s, where their cards do not tell it.",
    ),
]
AskAsOption = Annotated[
    str | None,
    typer.Option(
        "--as",
        help="Whose secret to use, if there are keys. Default: any that is on this machine.",
        envvar="SHOAL_AS",
        metavar="NAME",
        autocompletion=completing.fetchers,
    ),
]


def dashboard(
    config: opt.ConfigOption = None,
    listen: ListenOption = "127.0.0.1:8080",
    as_name: AskAsOption = None,
    link: LinkOption = None,
) -> None:
    """Serve a page that shows what the nodes do, until interrupted. It cannot change anything."""

    def body() -> ExitCode:
        from shoal.commands.dashboard import run_dashboard  # noqa: PLC0415 (--help stays quick)

        return run_dashboard(places.cluster(config), listen, as_name, link)

    run(body)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    told = described("Show the cluster in a browser.", "shoal dashboard --listen 127.0.0.1:8080")
    app.command("dashboard", **told)(dashboard)
