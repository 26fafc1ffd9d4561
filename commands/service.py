"""`shoal service`: prints a unit for systemd, installs or removes it."""

import os
import pwd
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
from shoal.api import systemd
from shoal.api.here import only_node_here, require_here, tracker_here
from shoal.commands import terminal
from shoal.commands.exit_codes import ExitCode
from shoal.config.cluster import Cluster, NodeEntry, TrackerEntry, node_named
from shoal.config.units import TRACKER, Unit, unit_name, unit_of
from shoal.protocol.errors import NotAllowedError, OperatorError
from shoal.protocol.names import display


class Wishes(msgspec.Struct, frozen=True):
    """What was asked for."""

    role: str | None
    at: str | None = None  # The address of the tracker, if several are on this machine.
    run_as: str | None = None
    unit: str | None = None
    shoal: str | None = None


def require_one(*, install: bool) -> None:
    """Raise OperatorError if a unit is to be installed and removed."""
    if install:
        raise OperatorError("--install and --remove: give one of them")


def for_user(user: str | None, load: Callable[[], Cluster]) -> Cluster:
    """Load a cluster file as that user will, whose `~` is another home.

    Raises:
        OperatorError: there is no such user, or the file is wrong.
    """
    if user is not None:
        try:
            os.environ["HOME"] = pwd.getpwnam(user).pw_dir
        except KeyError:
            message = f"--run-as: there is no user {display(user)}"
            raise OperatorError(f"{message}; make it first (useradd), or name another") from None
    return load()


def run_service(cluster: Cluster, wishes: Wishes, *, install: bool) -> ExitCode:
    """Print a unit, or install it.

    Raises:
        OperatorError: there is no such node, or it is on another machine; as `systemd.install`.
    """
    entry = _entry(cluster, wishes)
    user = _user(wishes)
    name = wishes.unit or _unit_name(cluster.path, wishes, entry)
    unit = unit_of(cluster, entry, _command(wishes.shoal), user, name)
    if not install:
        terminal.put(unit.text.rstrip("\n"))
        return ExitCode.DONE
    if isinstance(entry, NodeEntry):
        require_here(entry, cluster.path)
    _require_right(wishes)
    was_there = systemd.install(unit)
    done = "is installed already" if was_there else "is installed"
    whose = f"runs as {user}" if user else "runs as this user, without anybody logged in"
    terminal.put(f"{unit.name} {done}, {whose}, and starts with the machine")
    terminal.say(f"start it now: {systemd.start_command(unit)}")
    return ExitCode.DONE


def run_remove(file: Path, wishes: Wishes) -> ExitCode:
    """Stop a service and remove its unit; the cluster file need not have the node any more.

    Raises:
        OperatorError: no name was given; as `systemd.remove`.
    """
    if wishes.role is None and wishes.unit is None:
        raise OperatorError("which service? name the node, as in `shoal service n1 --remove`")
    _require_right(wishes)
    name = wishes.unit or _unit_name(file, wishes)
    was_there = systemd.remove(Unit(name, "", (), _user(wishes)))
    terminal.put(f"{name} {'is removed' if was_there else 'was not installed'}")
    return ExitCode.DONE


def _entry(cluster: Cluster, wishes: Wishes) -> NodeEntry | TrackerEntry:
    if wishes.role == TRACKER:
        return tracker_here(cluster, wishes.at)
    if wishes.role is not None:
        return node_named(cluster, wishes.role)
    return only_node_here(cluster, "shoal service NAME")


def _unit_name(file: Path, wishes: Wishes, entry: NodeEntry | TrackerEntry | None = None) -> str:
    """Return the default name; of several trackers on one machine each has its own."""
    role = entry.name if isinstance(entry, NodeEntry) else wishes.role or ""
    if wishes.at is not None:
        role = f"{role}-{wishes.at.removeprefix('tcp://')}"
    return unit_name(file.stem, role)


def _user(wishes: Wishes) -> str | None:
    """Return as whom a system unit runs; None for a unit of the user's own."""
    return wishes.run_as or ("root" if os.geteuid() == 0 else None)


def _require_right(wishes: Wishes) -> None:
    if wishes.run_as is not None and os.geteuid() != 0:
        message = f"only root may install a unit that runs as {display(wishes.run_as)}"
        raise NotAllowedError(f"{message}; run this as root, or leave out --run-as")


def _command(shoal: str | None) -> list[str]:
    """Return the words of the command that runs shoal, the program's by its absolute path."""
    if shoal is None:
        here = Path(sys.argv[0]).absolute()
        if here.name == "__main__.py":
            return [sys.executable, "-m", "shoal"]
        is_script = os.access(here, os.X_OK) and here.suffix != ".py"
        return [str(here)] if is_script else [sys.executable, str(here)]
    try:
        words = shlex.split(shoal)
    except ValueError as error:
        raise OperatorError(f"--shoal: {shoal}: {error}; quote it as for a shell") from None
    if not words:
        raise OperatorError("--shoal: found no command; expected one such as shoal")
    program, *rest = words
    found = shutil.which(program)
    if found is None:
        raise OperatorError(f"--shoal: there is no program {display(program)}; name its path")
    return [str(Path(found).absolute()), *rest]
