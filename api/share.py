"""Sharing a file or a directory, by a node on this machine."""

import os
import stat
from pathlib import Path
from typing import NamedTuple

import msgspec
from shoal.api.admin import let_publish
from shoal.api.asking import ask, trackers_of
from shoal.api.folders import is_read_only, writable_of
from shoal.api.hub import check_blobs, snapshot_name
from shoal.api.local_node import OnProgress, Worker, ignore
from shoal.api.patterns import check_patterns
from shoal.api.security import towards_tracker
from shoal.config.cluster import Cluster
from shoal.node.files.unreadable import CannotReadError
from shoal.node.folder.quota import Quota
from shoal.node.folder.tree import look_through
from shoal.node.orders.copying import copy_into, same
from shoal.node.staging.linking import place_link
from shoal.node.staging.room import disk_trouble
from shoal.node.trees.left_out import LeftOut
from shoal.node.trees.selection import Selection
from shoal.protocol.control import Chunking, ShareOrder, Sharing, Working
from shoal.protocol.errors import DiskError, OperatorError
from shoal.protocol.messages import Holders, Query
from shoal.protocol.names import check_name, display


class ShareOptions(msgspec.Struct, frozen=True):
    """The options of `shoal share`."""

    force: bool = False  # Publish it as a new version, whatever has that name.
    include: tuple[str, ...] = ()  # Of a directory only this; patterns as in .gitignore.
    exclude: tuple[str, ...] = ()
    chunking: Chunking | None = None  # None: as before, or fixed.
    follow_links: bool = False  # In a directory, share what its links point to.
    link: bool = False  # Do not copy it into the node's folder: serve it from where it lies.

    @property
    def selection(self) -> Selection:
        return Selection(self.include, self.exclude, follow_links=self.follow_links)


class Shared(NamedTuple):
    """The result of `share`."""

    sharing: Sharing
    not_copied: LeftOut  # Left out when the directory was copied into the node's folder.


def share(
    node: Worker,
    path: Path,
    options: ShareOptions = ShareOptions(),  # noqa: B008 (frozen)
    on_progress: OnProgress = ignore,
) -> Shared:
    """Have `path` announced; before that, copy it into a node's folder, or make a link to it there.

    Args:
        node: one that was opened.
        path: a file or a directory.
        options: how.
        on_progress: gets reports of the copying and the hashing, from several threads.

    Raises:
        DiskError: it cannot be read or copied, or there is no room for it.
        OperatorError: its name cannot be shared, or something else has it, here or on other
            nodes; or as `check`, or `Worker.carry_out`.
    """
    check(path, options)
    if path.name in {"", ".."}:  # "." has none.
        path = path.resolve()
    if snapshot_name(path) is not None:  # Its files are links.
        options = msgspec.structs.replace(options, follow_links=True)
    copying = _Copying(node, path, options, on_progress)
    if not options.force:
        copying.require_free_name(node.cluster)
    # Before it is in the folder, where a running node announces it at once.
    let_publish(node.cluster, copying.name(), node.entry.name, is_new=not options.force)
    name, not_copied = copying.put_there()
    parts = options.include, options.exclude
    links = options.follow_links, options.link
    order = ShareOrder(name, *parts, options.chunking, options.force, *links)
    done = node.carry_out(order, on_progress)
    assert isinstance(done, Sharing)
    return Shared(done, not_copied)


def check(path: Path, options: ShareOptions) -> None:
    """Raise OperatorError if `share` would refuse these arguments, whatever the node has."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise OperatorError(
            f"no such file or directory: {display(str(path))}; check the path"
        ) from None
    except OSError as error:
        raise _cannot_read(path, error) from None
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        message = f"{display(str(path))} is neither a file nor a directory"
        raise OperatorError(f"{message}; give the path of one")
    if stat.S_ISREG(mode) and (options.include or options.exclude):
        message = f"{display(str(path))} is a file, and can only be shared as a whole"
        raise OperatorError(f"{message}; leave --include and --exclude out")
    check_patterns("--include", options.include)
    check_patterns("--exclude", options.exclude)


def _cannot_read(path: Path, error: OSError) -> DiskError:
    place = os.fsdecode(error.filename) if error.filename else str(path)
    message = f"cannot read {display(place)}: {error.strerror or error}"
    return DiskError(f"{message}; change its permissions or check its disk")


class _Copying:
    """One path on its way into a node's folder."""

    def __init__(
        self, node: Worker, path: Path, options: ShareOptions, on_progress: OnProgress
    ) -> None:
        self._node = node
        self._folder = node.entry.folder
        self._path = path
        self._options = options
        self._on_progress = on_progress
        self._snapshot = snapshot_name(path)
        self._own_name = self._snapshot or path.name

    def require_free_name(self, cluster: Cluster) -> None:
        """Raise OperatorError if others have clearly published something else by that name.

        Content of the same size may be the same; the tracker decides that once it is hashed.
        """
        if _name_in(self._folder, self._path) is not None:
            return
        name = _checked(self._own_name)
        try:
            towards = towards_tracker(cluster, self._node.entry.name)
            trackers = trackers_of(cluster, self._node.entry.name)
            answer = ask(trackers, Query(name), Holders, towards)
        except OperatorError:
            return  # Nobody has it, or the tracker will say so later.
        versions = [(answer.version, answer.publisher, answer.size_bytes)]
        versions += [(one.version, one.publisher, one.size_bytes) for one in answer.versions]
        version, publisher, _ = max(versions, key=lambda one: one[0])
        try:
            size_bytes, _ = self._looked_through()
        except (OSError, ValueError):
            return  # It cannot be copied either, which put_there reports.
        is_ours = publisher == self._node.entry.name
        if not version or is_ours or size_bytes in {size for *_, size in versions}:
            return
        owner = publisher or "another node"
        message = f"{owner} has already published a different {display(name)} as v{version}"
        remedy = f"--force publishes this as v{version + 1}"
        raise OperatorError(f"{message}; {remedy}, or give it another name")

    def name(self) -> str:
        """Return its name in the folder, where it may be already; raises as `put_there`."""
        return _name_in(self._folder, self._path) or _checked(self._own_name)

    def put_there(self) -> tuple[str, LeftOut]:
        """Return its name in the folder, where it is copied to if need be.

        And what was left out of a directory when it was copied.
        """
        name = _name_in(self._folder, self._path)
        if name is not None:
            return name, LeftOut()
        name = _checked(self._own_name)
        if self._options.link:
            if self._snapshot is not None:
                check_blobs(self._path, self._node.check)
            place_link(self._path, writable_of(self._node.entry), name)
            return name, LeftOut()
        if is_read_only(self._node.entry):
            message = f"cannot write {display(name)}: {display(str(self._folder))} is read-only"
            raise DiskError(f"{message}; share it from where it lies with --link")
        try:
            return name, self._copy(name)
        except OSError as error:
            is_source = error.filename and os.fsdecode(error.filename).startswith(str(self._path))
            if isinstance(error, CannotReadError) or is_source:
                raise _cannot_read(self._path, error) from None
            raise disk_trouble(error, self._path.name, self._folder) from None
        except ValueError as error:
            message = f"{display(self._path.name)} {error}"
            raise OperatorError(f"{message}; share parts of it") from None

    def _copy(self, name: str) -> LeftOut:
        size_bytes, left_out = self._looked_through()
        if self._snapshot is not None:
            check_blobs(self._path, self._node.check)
        entry, place = self._node.entry, self._folder / name
        Quota(self._folder, entry.name, entry.quota_bytes).require(name, size_bytes)
        selection = self._options.selection
        if place.exists():
            if same(self._path, place, selection, self._node.check):
                return left_out
            if not self._options.force:
                message = f"{self._folder} already has a different {display(name)}"
                remedy = "--force publishes this as the next version in its place"
                raise OperatorError(f"{message}; {remedy}, or give it another name")
        copied_bytes = 0

        def on_copied(count: int) -> None:
            nonlocal copied_bytes
            self._node.check()
            copied_bytes += count
            self._on_progress(Working(name, min(copied_bytes, size_bytes), size_bytes, None))

        is_forced = self._options.force
        return copy_into(self._path, self._folder, name, selection, on_copied, is_forced=is_forced)

    def _looked_through(self) -> tuple[int, LeftOut]:
        """Return how many bytes are to be shared, and what is left out.

        Raises:
            OSError: it cannot be looked at.
            ValueError: there is too much in it.
        """
        if self._path.is_file():
            return self._path.stat().st_size, LeftOut()

        def should_stop() -> bool:
            self._node.check()
            return False

        tree = look_through(self._path, self._options.selection, _ignore, should_stop)
        return tree.signature.size_bytes, tree.left_out


def _ignore(_: str, __: str) -> None:
    """Ignore what is left out of a directory: the tree lists it, too."""


def _name_in(folder: Path, path: Path) -> str | None:
    """Return the name of what is in the folder already, None if it is elsewhere.

    Raises:
        OperatorError: it is part of a directory that is shared as a whole, or the folder itself.
    """
    folder, place = folder.resolve(), path.absolute().parent.resolve() / path.name
    if folder.is_relative_to(place):
        is_it = "is the node's folder" if folder == place else "has the node's folder in it"
        message = f"{display(str(path))} {is_it}, and everything in there is shared already"
        raise OperatorError(f"{message}; give the path of something else")
    if not place.is_relative_to(folder):
        return None
    name = str(place.relative_to(folder))
    if "/" in name:
        top = name.split("/", maxsplit=1)[0]
        message = f"{display(name)} is in {display(top)}, which is shared as a whole"
        raise OperatorError(f"{message}; share {display(str(folder / top))}")
    return _checked(name)


def _checked(name: str) -> str:
    try:
        return check_name(name)
    except ValueError as error:
        message = f"'{display(name)}' cannot be shared: its name {error}"
        raise OperatorError(f"{message}; give it another name") from None
