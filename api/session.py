"""The library: `with shoal.connect("lab.yaml", as_="n1") as s: s.fetch("ckpt")`.

It prints nothing and handles no signals. Its exceptions are those of api.exceptions.
"""

import atexit
import logging
import os
import time
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from shoal.api import hub
from shoal.api import push as pushing
from shoal.api.asking import Line, trackers_of
from shoal.api.entries import Contents, contents
from shoal.api.exceptions import translated
from shoal.api.fetch import FetchOptions, fetch
from shoal.api.forget import forget
from shoal.api.here import only_node_here, require_apart, require_here
from shoal.api.local_node import ignore
from shoal.api.ls import ls
from shoal.api.reading import Reader, open_reading
from shoal.api.resident import Call, Lasting, Resident
from shoal.api.security import towards_tracker
from shoal.api.share import ShareOptions, share
from shoal.api.told import Delivery, File, Place, Progress, Thing
from shoal.api.where import where
from shoal.config import cluster as cluster_files
from shoal.config.cluster import Cluster, NodeEntry
from shoal.protocol.control import Working
from shoal.protocol.errors import (
    NotFoundError,
    OperatorError,
    TimedOutError,
)
from shoal.protocol.listing import FILES
from shoal.protocol.names import display

LOOK_S = 0.5  # How often `wait` asks the tracker.


OnProgress = Callable[[Progress], None]


def connect(config: str | os.PathLike[str] | None = None, *, as_: str | None = None) -> "Session":
    """Return a session with a node on this machine. Connects to nobody yet.

    Args:
        config: the cluster file; by default $SHOAL_CONFIG, then lan.yaml.
        as_: the node or reader to be; by default the only node that has an address of this machine.

    Raises:
        Invalid: there is no such file, or no such node here.
        NotAllowed: an admin has that name.
    """
    with translated():
        name = None if config is None else os.fspath(config)
        cluster = cluster_files.load(
            cluster_files.find(name, os.environ, Path(), named_by="config")
        )
        if as_ is None:
            entry = only_node_here(cluster, "as_=NAME")
        else:
            entry = cluster_files.fetcher_named(cluster, as_)
        require_here(entry, cluster.path)
        require_apart(entry, cluster)
    return Session(cluster, entry)


class Session:
    """A node on this machine, to fetch, share and ask with. A context manager.

    If the node runs, it is given the orders. Otherwise this process is that node until `close`: it
    serves and announces the folder, and takes the orders of other processes for it. Use it from any
    thread, and in the child after a fork.
    """

    def __init__(self, cluster: Cluster, entry: NodeEntry) -> None:
        """Prefer `connect`."""
        logging.getLogger("shoal").addHandler(logging.NullHandler())
        self._cluster = cluster
        self._entry = entry
        self._resident = Resident(cluster, entry)
        self._close = weakref.finalize(self, self._resident.close)
        atexit.register(self._close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Be the node no longer, if this process is; what is going on in other threads fails."""
        self._close()
        atexit.unregister(self._close)

    @property
    def node(self) -> str:
        """The name of the node."""
        return self._entry.name

    @property
    def folder(self) -> Path:
        """Where what is fetched appears."""
        return self._entry.folder

    def fetch(  # noqa: PLR0913 (named ones, which have defaults)
        self,
        what: str,
        *,
        to: str | os.PathLike[str] | None = None,
        output: str | os.PathLike[str] | None = None,
        include: str | Iterable[str] = (),
        exclude: str | Iterable[str] = (),
        in_place: bool = False,
        force: bool = False,
        hf: str | None = None,
        on_progress: OnProgress | None = None,
        timeout: float | None = None,
    ) -> Path:
        """Fetch something; return where it is. What is here already is not fetched again.

        Args:
            what: a name, an id, NAME@ID, or a path in a directory, as in photos/2024.
            to: where to put it, instead of into the node's folder, to be served from there.
            output: where to put it without sharing it.
            include: of a directory only this; patterns as in .gitignore.
            exclude: of a directory all but this.
            in_place: a directory's files appear one by one.
            force: overwrite a local file that no other node has.
            hf: ORG/MODEL, whose place in the Hugging Face hub's cache shall lead to it.
            on_progress: told how far it is, from any thread.
            timeout: seconds.

        Raises:
            NotFound: no node has it, as far as the tracker knows.
            Unreachable, Corrupt: nobody who has it is alive, or has the right bytes.
            DiskTrouble: the disk is full, or refuses.
            TimedOut: the time is up, or nothing came for long.
            Invalid: an argument is wrong, or a different file is in the way.
        """
        parts = _patterns(include), _patterns(exclude)
        options = FetchOptions(_path(output), force, *parts, in_place, to=_path(to))
        return self._fetched(what, options, hf, on_progress, timeout)

    def _fetched(
        self,
        what: str,
        options: FetchOptions,
        hf: str | None,
        on_progress: OnProgress | None,
        timeout: float | None,
    ) -> Path:
        with translated(), Call(self._resident, timeout) as call:
            repo = hub.repo_named(hf) if hf else None
            done = fetch(call, what, options, _teller(on_progress))
            hub.link_if_any(repo, Path(done.path), done.id, is_forced=options.force)
        return Path(done.path)

    def open(self, what: str) -> Reader:
        """Open a file to read it while it comes, from anywhere in it: what is read comes first.

        It is a binary file like any other: seekable, and a context manager. Where reads follow one
        another, more comes ahead; once all of it is here, it is as if it had been fetched.

        Args:
            what: NAME or NAME@ID of a file, or of a directory with the path of a file in it, as in
                llama/model-1.safetensors. The version is settled now.

        Raises:
            NotFound: no node has it, as far as the tracker knows, or it has no such file.
            Unreachable, Corrupt, DiskTrouble, Invalid: as `fetch`; reads may raise them too.
        """
        way = Lasting(self._resident)
        try:
            return open_reading(way, what, way.close)
        except BaseException:
            way.close()
            raise

    def share(  # noqa: PLR0913 (the same)
        self,
        path: str | os.PathLike[str],
        *,
        include: str | Iterable[str] = (),
        exclude: str | Iterable[str] = (),
        link: bool = False,
        follow_links: bool = False,
        force: bool = False,
        on_progress: OnProgress | None = None,
        timeout: float | None = None,
    ) -> Thing:
        """Share a file or directory, copying it into the node's folder unless it is there.

        Args:
            path: of the file or directory.
            include: of a directory only this; patterns as in .gitignore.
            exclude: of a directory all but this.
            link: do not copy it: serve it from where it lies.
            follow_links: in a directory, share what its links point to.
            force: publish it as the next version, whatever has that name.
            on_progress: told how far it is, from any thread.
            timeout: seconds.

        Raises:
            Invalid: there is no such path, its name cannot be shared, or something else has it.
            NotAllowed: this node may not publish under that name.
            DiskTrouble: it cannot be read or copied, or there is no room for it.
            TimedOut: the time is up.
        """
        parts = _patterns(include), _patterns(exclude)
        options = ShareOptions(force, *parts, follow_links=follow_links, link=link)
        with translated(), Call(self._resident, timeout) as call:
            sharing, _ = share(call, Path(os.fspath(path)), options, _teller(on_progress))
        title = sharing.version, sharing.publisher
        return Thing(sharing.name, sharing.id, sharing.size_bytes, *title, (self.node,))

    def forget(self, what: str, *, delete: bool = False) -> None:
        """Stop sharing something; with `delete`, delete it too.

        Raises:
            NotFound: it is not here.
        """
        with translated(), Call(self._resident, None) as call:
            forget(call, what, delete=delete)

    def ls(self) -> list[Thing]:
        """Return every version of everything that is shared, sorted by name.

        Raises:
            Unreachable: the tracker does not answer.
        """
        with translated():
            towards = towards_tracker(self._cluster, self.node)
            files = ls(trackers_of(self._cluster, self.node), towards)
        return [
            Thing(
                file.name,
                file.id,
                file.size_bytes or 0,
                file.version,
                file.publisher,
                tuple(one.node for one in file.holders if one.complete and one.alive),
            )
            for file in files
            if file.id is not None
        ]

    def files(self, what: str) -> list[File]:
        """Return what is in a directory that is shared, and at any depth; fetches none of it.

        Args:
            what: a name, an id, or NAME@ID. A file has one entry, with an empty path.

        Raises:
            NotFound: no node has it.
            Unreachable, Corrupt: nobody who has it is alive, or has sent the right list.
        """
        found = self.contents(what)
        if found.listing is None:
            return [File("", found.size_bytes)]
        entries = found.listing.entries()
        return [File(one.path, one.size_bytes) for one in entries if one.kind in FILES]

    def contents(self, what: str) -> Contents:
        """Return the same as the protocol has it; raises as `files`."""
        with translated():
            return contents(self._cluster, what, self.node)

    def where(self, what: str) -> list[Place]:
        """Return every node, and in which state something is there.

        Raises:
            NotFound: no node has it.
            Unreachable: the tracker does not answer.
        """
        with translated():
            found = where(self._cluster, what)
        return [
            Place(place.node, place.state, place.complete, place.have_bytes)
            for place in found.places
        ]

    def push(self, what: str, *, to: str = pushing.ALL) -> Delivery:
        """Have nodes fetch something, now or when they are back; return who has it already.

        Args:
            what: a name, an id, or NAME@ID.
            to: all, or nodes and zones, as in n1,n2,zone:rack-1.

        Raises:
            NotFound: no node has it.
            NotAllowed: no admin's secret is here, or nodes do not obey pushes.
            Unreachable: the tracker does not answer.
            Invalid: the cluster file has no such node or zone.
        """
        with translated():
            target = pushing.target(self._cluster, to)
            with pushing.opened(self._cluster, is_admin=True) as line:
                content = pushing.found(line, what)
                pushing.begin(line, content, target)
                return _delivery(content, pushing.state_of_push(line, content.name))

    def wait(
        self,
        what: str,
        *,
        on: str = pushing.ALL,
        share: float = 1.0,
        on_progress: Callable[[Delivery], None] | None = None,
        timeout: float | None = None,
    ) -> Delivery:
        """Wait until nodes have something, whether it is pushed or not.

        Args:
            what: a name, an id, or NAME@ID; somebody may still have to share it.
            on: all, or nodes and zones, as in n1,n2,zone:rack-1.
            share: which share of the nodes is enough, up to 1.
            on_progress: told how far they are, every half second.
            timeout: seconds.

        Raises:
            TimedOut: the time is up.
            Unreachable: the tracker does not answer.
            Invalid: the cluster file has no such node or zone, or `share` is no share.
        """
        until = None if timeout is None else time.monotonic() + timeout
        with translated():
            if not 0 < share <= 1:
                raise OperatorError(f"share is {share}; expected more than 0, and at most 1")
            target = pushing.target(self._cluster, on)
            with pushing.opened(self._cluster) as line:
                content = _content(line, what)
                while content is None:
                    _rest(until, f"nobody has announced {what}")
                    content = _content(line, what)
                while True:
                    told = _delivery(content, pushing.state_of(line, content, target))
                    if on_progress is not None:
                        on_progress(told)
                    if told.done >= share * len(told.states) > 0:
                        return told
                    _rest(until, f"{told.done} of {len(told.states)} have {what}")


def _path(given: str | os.PathLike[str] | None) -> Path | None:
    return None if given is None else Path(os.fspath(given))


def _patterns(given: str | Iterable[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _teller(on_progress: OnProgress | None) -> Callable[[Working], None]:
    if on_progress is None:
        return ignore
    return lambda at: on_progress(Progress(at.name, at.have_bytes, at.size_bytes))


def _content(line: Line, what: str) -> pushing.Content | None:
    """Return what is meant, None if nobody has announced it yet."""
    try:
        return pushing.found(line, what)
    except NotFoundError:
        return None


def _delivery(content: pushing.Content, state: pushing.State) -> Delivery:
    title = content.version, content.publisher
    thing = Thing(content.name, content.id, content.size_bytes, *title)
    return Delivery(
        thing,
        {one.node: one.state for one in state.verdicts},
        {one.node: one.reason for one in state.verdicts if one.state == "failed"},
    )


def _rest(until: float | None, trouble: str) -> None:
    """Wait a moment; raise TimedOutError if the time is up before that."""
    pause_s = LOOK_S if until is None else min(LOOK_S, until - time.monotonic())
    if pause_s <= 0:
        raise TimedOutError(f"{display(trouble)} after the time that was given; wait longer")
    time.sleep(pause_s)
