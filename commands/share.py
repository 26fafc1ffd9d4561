"""`shoal share`: adds a file to a node's folder and announces it."""

import os
import shutil
from pathlib import Path

from commands import terminal
from commands.node import identity_of, take_folder_or_none
from commands.orders import OrderDesk
from commands.stopping import Stopper
from config.cluster import Cluster, NodeEntry
from node.agent import Agent
from node.lock import FolderLock
from node.paths import parent_of
from node.staging import disk_trouble
from protocol.control import ShareOrder, Sharing
from protocol.errors import ExitCode, OperatorError
from protocol.names import check_name, display


def run_share(cluster: Cluster, entry: NodeEntry, path: Path, *, as_json: bool) -> ExitCode:
    """Put `path` into the node's folder, if it is not there, and have it announced.

    Raises:
        OperatorError: it is no file, cannot be copied, or another of that name is there.
    """
    terminal.set_up_log()
    if not path.is_file():
        there_is_none = "is no file; give the path of one"
        problem = "is a directory; share its files" if path.is_dir() else there_is_none
        raise OperatorError(f"{display(str(path))} {problem}")
    lock = take_folder_or_none(entry, None)
    name = _name_in(entry.folder, path)
    if name is None:
        name = _copy(path, entry.folder)
    sharing = _order(entry, name) if lock is None else _announce(cluster, entry, lock, name)
    _tell(sharing, entry, as_json=as_json, is_served=lock is None)
    return ExitCode.DONE


def _name_in(folder: Path, path: Path) -> str | None:
    """Return the name of a file that lies in the folder already."""
    place = path.absolute().parent.resolve() / path.name
    if place.is_relative_to(folder.resolve()):
        return _checked(str(place.relative_to(folder.resolve())))
    return None


def _checked(name: str) -> str:
    try:
        return check_name(name)
    except ValueError as error:
        message = f"'{display(name)}' cannot be shared: its name {error}"
        raise OperatorError(f"{message}; give it another name") from None


def _copy(path: Path, folder: Path) -> str:
    """Copy the file into the folder, where it appears whole, or not at all."""
    name = _checked(path.name)
    aside = folder / ".shoal" / f"incoming-{os.getpid()}"
    try:
        shutil.copyfile(path, aside)
        shutil.copymode(path, aside)
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        with parent_of(folder, name) as (directory, last):
            _refuse_to_replace(folder / name, path)
            os.rename(aside, last, dst_dir_fd=directory)
    except OSError as error:
        raise disk_trouble(error, name, folder) from None
    finally:
        aside.unlink(missing_ok=True)
    return name


def _refuse_to_replace(target: Path, path: Path) -> None:
    if not target.exists():
        return
    same = target.stat().st_size == path.stat().st_size and target.read_bytes() == path.read_bytes()
    if not same:
        message = f"another {display(target.name)} lies in {target.parent} already"
        raise OperatorError(f"{message}; move it away, or give the new one another name")


def _order(entry: NodeEntry, name: str) -> Sharing:
    desk = OrderDesk(entry.name, entry.folder)
    Stopper(desk.cancel)
    try:
        report = desk.give(ShareOrder(name), lambda _: None)
    finally:
        desk.close()
    assert isinstance(report, Sharing)
    return report


def _announce(cluster: Cluster, entry: NodeEntry, lock: FolderLock, name: str) -> Sharing:
    agent = Agent(identity_of(cluster, entry), lock)
    Stopper(agent.cancel_all)
    try:
        agent.start_for_one_fetch()
        return agent.share(name)
    finally:
        agent.stop()


def _tell(sharing: Sharing, entry: NodeEntry, *, as_json: bool, is_served: bool) -> None:
    if as_json:
        keys = {"name": sharing.name, "id": sharing.id, "size_bytes": sharing.size_bytes}
        terminal.put_json({**keys, "announced": sharing.announced, "served": is_served})
        return
    size = terminal.size(sharing.size_bytes)
    terminal.put(f"{display(sharing.name)}: {size} shared by {entry.name}, {sharing.id}")
    if not is_served:
        terminal.say(f"node {entry.name} is not running; start it to serve this")
