"""`shoal share`: adds a file or a directory to a node's folder and announces it."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from shoal.commands import terminal
from shoal.commands.doing import Doer
from shoal.commands.exit_codes import ExitCode
from shoal.commands.listing import ask
from shoal.commands.patterns import check_patterns
from shoal.commands.progress import ProgressView
from shoal.config.cluster import Cluster, NodeEntry
from shoal.node.files.unreadable import CannotReadError
from shoal.node.folder.contents import MOST_LINES
from shoal.node.folder.quota import Quota
from shoal.node.folder.tree import look_through
from shoal.node.orders.copying import copy_into, same
from shoal.node.staging.file_staging import disk_trouble
from shoal.node.trees.left_out import LEADS_OUT, LeftOut
from shoal.node.trees.selection import Selection
from shoal.protocol.control import MAX_LEFT_OUT, Chunking, Omission, ShareOrder, Sharing, Working
from shoal.protocol.errors import DiskError, OperatorError
from shoal.protocol.messages import Holders, Query
from shoal.protocol.names import check_name, display


class ShareOptions(msgspec.Struct, frozen=True):
    """The options of the command line."""

    as_json: bool = False
    force: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    chunking: Chunking | None = None
    follow_links: bool = False

    @property
    def selection(self) -> Selection:
        return Selection(self.include, self.exclude, follow_links=self.follow_links)


def run_share(cluster: Cluster, entry: NodeEntry, path: Path, options: ShareOptions) -> ExitCode:
    """Put `path` into the node's folder, if it is not there, and have it announced.

    Raises:
        OperatorError: there is none, it cannot be copied, or another of that name is there.
    """
    terminal.set_up_log()
    _require_file_or_directory(path)
    if path.is_file() and (options.include or options.exclude):
        message = f"{display(str(path))} is a file, and can only be shared as a whole"
        raise OperatorError(f"{message}; leave --include and --exclude out")
    check_patterns("--include", options.include)
    check_patterns("--exclude", options.exclude)
    if path.name in {"", ".."}:  # "." has none.
        path = path.resolve()
    with Doer(cluster, entry) as doer, ProgressView(quiet=options.as_json) as view:
        if not options.force:
            _require_free_name(cluster.tracker.address, path, entry, options)
        name, not_copied = _put_there(path, entry, options, view)
        parts = options.include, options.exclude
        order = ShareOrder(name, *parts, options.chunking, options.force, options.follow_links)
        sharing = doer.carry_out(order, view.show)
    assert isinstance(sharing, Sharing)
    if doer.is_running:  # Else its log says so.
        _warn(name, sharing.left_out, sharing.left_out_count)
    _warn(name, not_copied.told(), not_copied.count, "--follow-links --force")
    sharing = msgspec.structs.replace(
        sharing,
        left_out=(*not_copied.told(), *sharing.left_out)[:MAX_LEFT_OUT],
        left_out_count=not_copied.count + sharing.left_out_count,
    )
    _tell(sharing, cluster, entry, as_json=options.as_json, is_served=doer.is_running)
    if not sharing.announced:
        return ExitCode.TRACKER_UNREACHABLE
    return ExitCode.PARTLY_DONE if sharing.left_out_count else ExitCode.DONE


def _require_file_or_directory(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        mode = 0
    except OSError as error:
        raise _cannot_read(path, error) from None
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        message = f"{display(str(path))} is neither a file nor a directory"
        raise OperatorError(f"{message}; give the path of one")


def _cannot_read(path: Path, error: OSError) -> OperatorError:
    place = os.fsdecode(error.filename) if error.filename else str(path)
    message = f"cannot read {display(place)}: {error.strerror or error}"
    return DiskError(f"{message}; change its permissions or check its disk")


def _warn(
    name: str, left_out: Sequence[Omission], count: int, remedy: str = "--follow-links"
) -> None:
    """Say what of a directory is not shared; `remedy` has links followed."""
    for one in left_out[:MOST_LINES]:
        terminal.say(f"warning: {display(f'{name}/{one.path}')} is not shared: {one.reason}")
    if count > MOST_LINES:
        terminal.say(f"warning: and {count - MOST_LINES} more in {display(name)} are not shared")
    if any(one.reason == LEADS_OUT for one in left_out):
        terminal.say(f"run it again with {remedy} to share what such links lead to")


def _require_free_name(
    tracker_address: str, path: Path, entry: NodeEntry, options: ShareOptions
) -> None:
    """Raise OperatorError if it is clear before the copying that others have published the name.

    Content of the same size may be the same: then the tracker decides, once it is hashed.
    """
    if _name_in(entry.folder, path) is not None:
        return
    name = _checked(path.name)
    try:
        answer = ask(tracker_address, Query(name), Holders)
    except OperatorError:
        return  # Nobody has it, or the tracker will say so later.
    versions = [(answer.version, answer.publisher, answer.size_bytes)]
    versions += [(one.version, one.publisher, one.size_bytes) for one in answer.versions]
    version, publisher, _ = max(versions, key=lambda one: one[0])
    try:
        size_bytes = _size(path, options)
    except (OSError, ValueError):
        return  # It cannot be copied either, and that is told then.
    if not version or publisher == entry.name or size_bytes in {size for *_, size in versions}:
        return
    message = (
        f"{publisher or 'somebody'} has already published a different {display(name)} as v{version}"
    )
    remedy = f"--force publishes this as v{version + 1}"
    raise OperatorError(f"{message}; {remedy}, or give it another name")


def _put_there(
    path: Path, entry: NodeEntry, options: ShareOptions, view: ProgressView
) -> tuple[str, LeftOut]:
    """Return the name under which it lies in the folder, from now on or already.

    And what was left out of a directory that was copied there.
    """
    name = _name_in(entry.folder, path)
    if name is not None:
        return name, LeftOut()
    name = _checked(path.name)
    try:
        return name, _copy(path, name, entry, options, view)
    except OSError as error:
        is_source = error.filename and os.fsdecode(error.filename).startswith(str(path))
        if isinstance(error, CannotReadError) or is_source:
            raise _cannot_read(path, error) from None
        raise disk_trouble(error, path.name, entry.folder) from None
    except ValueError as error:
        raise OperatorError(f"{display(path.name)} {error}; share parts of it") from None


def _name_in(folder: Path, path: Path) -> str | None:
    """Return the name of what lies in the folder already.

    Raises:
        OperatorError: it is only a part of a directory that is shared as a whole, or the folder.
    """
    folder, place = folder.resolve(), path.absolute().parent.resolve() / path.name
    if folder.is_relative_to(place):
        is_it = "is the node's folder" if folder == place else "has the node's folder in it"
        message = f"{display(str(path))} {is_it}, and all that lies in there is shared"
        raise OperatorError(f"{message}; give the path of something else")
    if not place.is_relative_to(folder):
        return None
    name = str(place.relative_to(folder))
    if "/" in name:
        top = name.split("/", maxsplit=1)[0]
        message = f"{display(name)} lies in {display(top)}, which is shared as a whole"
        raise OperatorError(f"{message}; share {display(str(folder / top))}")
    return _checked(name)


def _checked(name: str) -> str:
    try:
        return check_name(name)
    except ValueError as error:
        message = f"'{display(name)}' cannot be shared: its name {error}"
        raise OperatorError(f"{message}; give it another name") from None


def _copy(
    path: Path, name: str, entry: NodeEntry, options: ShareOptions, view: ProgressView
) -> LeftOut:
    size_bytes, folder = _size(path, options), entry.folder
    Quota(folder, entry.name, entry.quota_bytes).require(name, size_bytes)
    selection = options.selection
    if (folder / name).exists():
        if same(path, folder / name, selection):
            return _looked_through(path, options)[1]
        if not options.force:
            message = f"{folder} already has a different {display(name)}"
            remedy = "--force publishes this as the next version in its place"
            raise OperatorError(f"{message}; {remedy}, or give it another name")
    copied_bytes = 0

    def on_copied(count: int) -> None:
        nonlocal copied_bytes
        copied_bytes += count
        view.show(Working(name, min(copied_bytes, size_bytes), size_bytes, None))

    return copy_into(path, folder, name, selection, on_copied, is_forced=options.force)


def _size(path: Path, options: ShareOptions) -> int:
    """Return how many bytes are to be shared; raises as `_looked_through`."""
    return _looked_through(path, options)[0]


def _looked_through(path: Path, options: ShareOptions) -> tuple[int, LeftOut]:
    """Return how many bytes are to be shared, and what is left out.

    Raises:
        OSError: it cannot be looked at.
        ValueError: there is too much in it.
    """
    if path.is_file():
        return path.stat().st_size, LeftOut()
    tree = look_through(path, options.selection, lambda _, __: None, lambda: False)
    return tree.signature.size_bytes, tree.left_out


def _tell(
    sharing: Sharing, cluster: Cluster, entry: NodeEntry, *, as_json: bool, is_served: bool
) -> None:
    if as_json:
        keys: dict[str, Any] = {
            "name": sharing.name,
            "id": sharing.id,
            "size_bytes": sharing.size_bytes,
        }
        keys |= {"version": sharing.version, "publisher": sharing.publisher}
        keys |= {"left_out": sharing.left_out, "left_out_count": sharing.left_out_count}
        terminal.put_json({**keys, "announced": sharing.announced, "served": is_served})
        return
    size, name = terminal.size(sharing.size_bytes), display(sharing.name)
    title = terminal.title(name, sharing.version, sharing.publisher)
    if sharing.announced:
        terminal.put(f"{title}: {size} shared by {entry.name}, {sharing.id}")
    else:
        terminal.put(f"{title}: {size} in {entry.folder}, {sharing.id}")
        tracker = f"the tracker at {cluster.tracker.address} does not answer"
        terminal.say(f"error: {tracker}; it is there and will be announced when it does")
    if not is_served:
        terminal.say(f"node {entry.name} is not running; start it to serve this")
