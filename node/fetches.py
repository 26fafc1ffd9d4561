"""The fetches of one node: what is meant, whether it is here already, and which are running."""

import contextlib
import functools
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from node import versions
from node.fetcher import Fetcher, Surroundings, stopped
from node.home import Home
from node.intake import Destination
from node.rules import FORGOTTEN
from node.selection import Selection
from node.versions import Meant
from node.whole import Whole
from protocol.control import Fetched, FetchOrder, Working
from protocol.errors import ExitCode, OperatorError
from protocol.messages import Holders, Query
from protocol.names import display
from wire.tracker_client import TrackerClient

OnProgress = Callable[[Working], None]


class Fetches:
    """Carries out orders to fetch, each in its caller's thread."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._guard = threading.Lock()
        self._running: dict[str, _Running] = {}
        self._stop_code: ExitCode | None = None

    def fetch(self, order: FetchOrder, on_progress: OnProgress) -> Fetched:
        """Fetch into the folder, or to the order's output.

        Raises:
            OperatorError: it could not be had.
        """
        with self._run(order.what) as running:
            meant = versions.find(order.what, functools.partial(self._ask, running.check))
            inside = (versions.pattern_of(meant.inside),) if meant.inside else ()
            selection = Selection(order.include + inside, order.exclude)
            standing = None
            if order.output is None:
                standing = self._standing(meant, selection, force=order.force)
            if isinstance(standing, Fetched):
                return _inside(standing, meant.inside)
            to = msgspec.structs.replace(
                self._destination(meant.name, (standing,) if standing else ()),
                output=Path(order.output) if order.output is not None else None,
                selection=selection,
                inside=meant.inside,
                in_place=order.in_place or not selection.is_everything,
            )
            return running.fetch(meant.what, self._surroundings(to), on_progress)

    def heal(self, damaged: Whole, on_progress: OnProgress) -> Fetched:
        """Fetch what has rotted in a thing, in place of it.

        Raises:
            OperatorError: nobody could deliver it.
        """
        with self._run(damaged.id) as running:
            to = self._destination(damaged.name, (damaged,))
            return running.fetch(damaged.id, self._surroundings(to), on_progress)

    def cancel(self, what: str, exit_code: ExitCode) -> None:
        """Stop one fetch; what it has is kept."""
        with self._guard:
            running = self._running.get(what)
        if running is not None:
            running.stop(exit_code)

    def cancel_all(self, exit_code: ExitCode) -> None:
        """Stop all fetches, and those that would begin later. For signal handlers too."""
        self._stop_code = exit_code
        for running in list(self._running.values()):
            running.stop(exit_code)

    @contextlib.contextmanager
    def _run(self, what: str) -> "Iterator[_Running]":
        running = _Running(what)
        with self._guard:
            if what in self._running:
                raise OperatorError(f"{display(what)} is being fetched already; wait for it")
            self._running[what] = running
        if self._stop_code is not None:
            running.stop(self._stop_code)
        try:
            yield running
        finally:
            with self._guard:
                del self._running[what]

    def _destination(self, name: str | None, older: tuple[Whole, ...]) -> Destination:
        home = self._home
        return Destination(
            home.identity.folder,
            home.inventory,
            home.cache.remember,
            rules=home.rules,
            quota=home.quota,
            name=name,
            older=older,
        )

    def _surroundings(self, to: Destination) -> Surroundings:
        identity = self._home.identity
        return Surroundings(self._home.context, identity.name, identity.tracker_address, to)

    def _ask(self, check: Callable[[], None], what: str) -> Holders | None:
        """Ask the tracker, without wanting to have it."""
        client = TrackerClient(self._home.context, self._home.identity.tracker_address)
        try:
            reply = client.ask(Query(what), check)
        finally:
            client.close()
        return reply if isinstance(reply, Holders) else None

    def _standing(
        self, meant: Meant, selection: Selection, *, force: bool
    ) -> "Fetched | Whole | None":
        """Return what stands under the name: the result, if it is what is meant, or what it is.

        Raises:
            OperatorError: it must not be replaced, as nobody else has it.
        """
        folder, watcher = self._home.identity.folder, self._home.watcher
        answer = meant.answer
        if answer is None:
            known = self._home.inventory.find(meant.what)
            here = watcher.look_at(known.name) if isinstance(known, Whole) else None
            return _here(here, folder) if here else None
        name = meant.name or answer.name
        thing = watcher.examine(name)  # What is refused below shall not be announced either.
        if thing is None:
            return None
        if answer.id in {None, thing.id}:
            self._share_again(name)
            return _here(watcher.look_at(name) or thing, folder)
        if not selection.is_everything:
            message = f"another {display(name)} lies in {folder}, and a part of this one would mix"
            raise OperatorError(f"{message} with it; give --output")
        if force or thing.id in {version.id for version in answer.versions}:
            return thing
        message = f"another {display(name)} lies in {folder}, which nobody else has"
        raise OperatorError(f"{message}; move it away, or let --force replace it")

    def _share_again(self, name: str) -> None:
        rule = self._home.rules.of(name)
        if rule.withheld == FORGOTTEN:
            self._home.rules.set(name, msgspec.structs.replace(rule, withheld=""))


class _Running:
    """A fetch, from the order to its end."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._stop_code: ExitCode | None = None
        self._fetcher: Fetcher | None = None

    def stop(self, exit_code: ExitCode) -> None:
        self._stop_code = exit_code
        fetcher = self._fetcher
        if fetcher is not None:
            fetcher.stop(exit_code)

    def check(self) -> None:
        """Raise OperatorError if `stop` was called."""
        if self._stop_code is not None:
            raise stopped(self._what, self._stop_code)

    def fetch(self, what: str, surroundings: Surroundings, on_progress: OnProgress) -> Fetched:
        self._fetcher = Fetcher(what, surroundings, on_progress)
        try:
            self.check()
            return self._fetcher.run()
        finally:
            fetcher, self._fetcher = self._fetcher, None
            fetcher.close()


def _inside(standing: Fetched, inside: str) -> Fetched:
    """Return the result for a path in a tree that is here; OperatorError if there is none."""
    path = Path(standing.path) / inside
    if inside and not os.path.lexists(path):
        message = f"no such file was found: {display(standing.name)}/{display(inside)}"
        raise OperatorError(f"{message}; look into {standing.path}", ExitCode.NOT_FOUND)
    return msgspec.structs.replace(standing, path=str(path))


def _here(thing: Whole, folder: Path) -> Fetched:
    return Fetched(
        name=thing.name,
        id=thing.id,
        size_bytes=thing.size_bytes,
        elapsed_s=0.0,
        fetched_bytes=0,
        reused_bytes=thing.size_bytes,
        holders={},
        path=str(folder / thing.name),
    )
