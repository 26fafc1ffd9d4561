"""The command line of `shoal service`: parses options and calls commands/service.py."""

from typing import Annotated

import typer
from shoal.commands import completing
from shoal.commands import options as opt
from shoal.commands.options import run
from shoal.commands.places import PLACES as places  # noqa: N811 (it is a variable)

RoleArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME",
        help="tracker, or a node's name. Default: the only node on this machine.",
        show_default=False,
        autocompletion=completing.nodes,
    ),
]
InstallOption = Annotated[
    bool, typer.Option("--install", help="Have systemd start it with the machine.")
]
RemoveOption = Annotated[bool, typer.Option("--remove", help="Stop it, and take it off systemd.")]
RunAsOption = Annotated[
    str | None,
    typer.Option(
        "--run-as", metavar="USER", help="A system unit that runs as USER. Default: whoever asks."
    ),
]
UnitOption = Annotated[
    str | None,
    typer.Option("--unit", metavar="UNIT", help="The unit's name. Default: shoal-CLUSTER-NAME."),
]
ShoalOption = Annotated[
    str | None,
    typer.Option("--shoal", metavar="COMMAND", help="The command that it runs. Default: this one."),
]


def service(
    name: RoleArgument = None,
    config: opt.ConfigOption = None,
    at: opt.AtOption = None,
    install: InstallOption = False,
    remove: RemoveOption = False,
    run_as: RunAsOption = None,
    unit: UnitOption = None,
    shoal: ShoalOption = None,
) -> None:
    """Print a systemd unit for the tracker or node NAME, or install or remove it."""

    def body() -> int:
        from shoal.commands import service as command  # noqa: PLC0415 (--help stays quick)

        wishes = command.Wishes(name, at, run_as, unit, shoal)
        if remove:
            command.require_one(install=install)
            return command.run_remove(places.file(config), wishes)
        cluster = command.for_user(run_as, lambda: places.cluster(config))
        return command.run_service(cluster, wishes, install=install)

    run(body)
