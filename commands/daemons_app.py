"""The command lines of `shoal tracker` and `shoal node`: parse options and call commands/."""

from typing import Annotated

import typer
from shoal.commands import options as opt
from shoal.commands import rate_options as rate_opt
from shoal.commands.exit_codes import ExitCode
from shoal.commands.logs import Format, Level, LogWishes
from shoal.commands.options import run
from shoal.commands.places import PLACES as places  # noqa: N811 (it is a variable)

LevelOption = Annotated[
    Level, typer.Option("--log-level", envvar="SHOAL_LOG_LEVEL", help="Which lines to log.")
]
FormatOption = Annotated[
    Format,
    typer.Option("--log-format", envvar="SHOAL_LOG_FORMAT", help="Log text, or JSON lines."),
]


def tracker(
    config: opt.ConfigOption = None,
    at: opt.AtOption = None,
    metrics: opt.MetricsOption = None,
    log_level: LevelOption = Level.INFO,
    log_format: FormatOption = Format.TEXT,
) -> None:
    """Run the tracker, the directory of who holds what, in the foreground until interrupted."""

    def body() -> ExitCode:
        from shoal.commands.tracker import run_tracker  # noqa: PLC0415 (--help stays quick)

        wishes = LogWishes(log_level, log_format)
        return run_tracker(places.cluster(config), at, metrics, wishes)

    run(body)


def node(
    name: opt.NameArgument = None,
    config: opt.ConfigOption = None,
    limit: rate_opt.NodeRateOption = None,
    background: rate_opt.BackgroundOption = False,
    metrics: opt.MetricsOption = None,
    log_level: LevelOption = Level.INFO,
    log_format: FormatOption = Format.TEXT,
) -> None:
    """Run node NAME in the foreground until interrupted: share its folder, and fetch into it."""

    def body() -> ExitCode:
        from shoal.commands.node import Given, run_node  # noqa: PLC0415 (--help stays quick)

        wishes = LogWishes(log_level, log_format)
        given = Given(rate_opt.timetable(limit), metrics, wishes, background)
        return run_node(*places.node(config, name, "shoal node NAME"), given)

    run(body)
