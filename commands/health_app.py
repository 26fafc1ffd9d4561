"""The command line of `shoal health`: parses options and calls commands/health.py."""

from typing import TYPE_CHECKING, Annotated

import typer
from shoal.commands import options as opt
from shoal.commands.options import run
from shoal.commands.places import PLACES as places  # noqa: N811 (it is a variable)

if TYPE_CHECKING:
    from shoal.config.metrics import MetricsPlace

TRACKER = "tracker"

AsOption = Annotated[
    str | None,
    typer.Option(
        "--as",
        help="A node, or tracker. Default: the only node on this machine.",
        envvar="SHOAL_AS",
        metavar="NAME",
        autocompletion=opt.completing.nodes,
    ),
]
PlaceOption = Annotated[
    str | None,
    typer.Option(
        "--metrics",
        metavar="HOST:PORT",
        envvar="SHOAL_METRICS",
        help="Where it serves its metrics. Default: as the cluster file has it.",
    ),
]
LiveOption = Annotated[
    bool, typer.Option("--live", help="Only whether it lives; it need not be ready.")
]
WithinOption = Annotated[
    float,
    typer.Option("--timeout", min=0.001, max=1e6, metavar="SECONDS", help="For one answer."),
]


def health(
    as_node: AsOption = None,
    config: opt.ConfigOption = None,
    at: opt.AtOption = None,
    metrics: PlaceOption = None,
    live: LiveOption = False,
    timeout: WithinOption = 5.0,
    as_json: opt.JsonOption = False,
) -> None:
    """Ask a running node, or the tracker, whether it is well and ready."""

    def body() -> int:
        from shoal.commands.health import run_health  # noqa: PLC0415 (--help stays quick)

        name, configured = _place(config, as_node, at)
        return run_health(name, configured, metrics, timeout, only_live=live, as_json=as_json)

    run(body, as_json=as_json)


def _place(
    config: str | None, name: str | None, at: str | None
) -> "tuple[str, MetricsPlace | None]":
    """Return the name of the process, and where the cluster file has it serve its figures."""
    if name == TRACKER:
        from shoal.api.here import tracker_here  # noqa: PLC0415 (--help stays quick)

        return name, tracker_here(places.cluster(config), at).metrics
    _, entry = places.node(config, name)
    return entry.name, entry.metrics
