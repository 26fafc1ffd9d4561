"""`shoal init`: writes a new cluster file, and says what to do next."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shoal.api.init import Made, Wishes, for_hosts, for_this_machine, write
from shoal.commands import terminal
from shoal.commands.exit_codes import ExitCode
from shoal.config.cluster import DEFAULT_FILE
from shoal.protocol.errors import OperatorError
from shoal.protocol.names import display

_MOST_TOLD = 8  # Nodes by name.
_REMEDY = "its name is written instead, which must mean the same on every machine"


def run_init(
    wishes: Wishes, here: int | None, output: Path, *, force: bool, as_json: bool
) -> ExitCode:
    """Write a cluster file for hosts, or for `here` nodes on this machine.

    Raises:
        OperatorError: as `for_hosts` and `write`, or the options do not fit together.
    """
    made = _made(wishes, here)
    write(made.file, output, force=force)
    for place in made.places:
        if place.note is not None:
            terminal.say(f"{place.note}; {_REMEDY}" if place.number is None else place.note)
    if as_json:
        terminal.put_json(_document(made, output))
        return ExitCode.DONE
    told = f"{_nodes(made)}; the tracker on {made.file.tracker_host}"
    terminal.put(f"{display(str(output))}: {told}")
    for line in _next_steps(made, output):
        terminal.say(line)
    return ExitCode.DONE


def _made(wishes: Wishes, here: int | None) -> Made:
    if here is None:
        if not wishes.hosts:
            example = "as in `shoal init 'pc[01-40]' --net 192.168.1.0/24`"
            raise OperatorError(f"no hosts; name them, {example}, or run `shoal init --here`")
        return for_hosts(wishes)
    if wishes != Wishes((), port=wishes.port):
        message = "--here is for this machine alone and takes only --nodes, --port and --output"
        raise OperatorError(f"{message}; leave out the hosts and the rest, or --here")
    return for_this_machine(here, wishes.port)


def _nodes(made: Made) -> str:
    names = [node.name for node in made.file.nodes]
    if len(names) <= _MOST_TOLD:
        return f"{len(names)} node{'s' if len(names) > 1 else ''}, {', '.join(names)}"
    return f"{len(names)} nodes, {names[0]} to {names[-1]}"


def _next_steps(made: Made, output: Path) -> Iterator[str]:
    """Yield what to run next, each with what it does."""
    config = "" if str(output) == DEFAULT_FILE else f" --config {shlex.quote(display(str(output)))}"
    if made.file.is_on_loopback:
        steps = [("tracker", "in a terminal of its own")]
        steps += [(f"node {node.name}", "in another") for node in made.file.nodes[:1]]
        steps += [("share PATH --as n1", "then any other command")]
    else:
        steps = [
            ("keys", "let only these machines in"),
            ("hosts up", "install shoal on them, over ssh"),
            ("hosts start", "start the tracker and the nodes"),
        ]
    commands = [f"shoal {command}{config}" for command, _ in steps]
    width = max(map(len, commands))
    yield "next:"
    for command, (_, purpose) in zip(commands, steps, strict=True):
        yield f"  {command.ljust(width)}  # {purpose}"


def _document(made: Made, output: Path) -> dict[str, Any]:
    file = made.file
    return {
        "cluster_file": str(output.absolute()),
        "tracker": {"host": file.tracker_host, "address": file.tracker_address},
        "nodes": [
            {"name": node.name, "address": node.address, "folder": node.folder, "zone": node.zone}
            for node in file.nodes
        ],
        "notes": [place.note for place in made.places if place.note is not None],
    }
