"""The fetches of one node: what is meant, whether it is here already, and which are running."""

import contextlib
import functools
import os
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from node import questions, standing, versions
from node.fetcher import Fetcher, Surroundings, stopped
from node.home import Home
from node.intake import Destination
from node.outside import check_output
from node.selection import Selection
from node.settings import FetchSettings
from node.spare import ANYTHING, NOTHING, Spare, remember
from node.staging import staging_place
from node.standing import Standing
from node.titles import Title
from node.versions import Meant
from node.whole import Whole
from node.witness import Witnesses
from protocol.control import Fetched, FetchOrder, Working
from protocol.errors import ExitCode, OperatorError
from protocol.manifest import ContentId
from protocol.names import display

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
        output = Path(order.output) if order.output is not None else None
        if output is not None:
            check_output(output, may_replace=order.force)
        with self._run(order.what) as running:
            selection = Selection(order.include, order.exclude)
            at_hand = standing.here(self._home, order.what) if order.output is None else None
            if at_hand is not None:
                return _here(at_hand, self._home, "")
            meant = self._meant(order.what, running.check)
            selection = msgspec.structs.replace(selection, inside=meant.inside)
            found = Standing()
            if output is None:
                has_it = functools.partial(self._others_have, running.check)
                found = standing.look(self._home, meant, selection, has_it, force=order.force)
            if found.is_meant:
                assert found.thing is not None
                self._discard_older(meant, found.thing.id)
                return _here(found.thing, self._home, meant.inside)
            in_place = order.in_place or not selection.is_everything or bool(found.withheld)
            to = msgspec.structs.replace(
                self._destination(meant.name, found.thing),
                output=output,
                selection=selection,
                in_place=in_place,
                spare=_spare(found.thing, is_forced=order.force),
                title=meant.title,
            )
            fetched = running.fetch(meant, self._surroundings(to), on_progress)
            self._discard_older(meant, fetched.id)
            return _told(fetched, meant)

    def heal(
        self, damaged: Whole, title: Title, on_progress: OnProgress, settings: FetchSettings
    ) -> Fetched:
        """Fetch what a thing was before it rotted or was changed, in place of it.

        Raises:
            OperatorError: nobody could deliver it.
        """
        with self._run(title.id) as running:
            spare = Spare.as_seen(damaged.source)
            with contextlib.suppress(OSError):  # If nobody has it now, a later fetch heals it.
                remember(spare, staging_place(self._home.identity.folder, ContentId(title.id)))
            to = self._destination(damaged.name, damaged)
            to = msgspec.structs.replace(to, in_place=True, heals=True, spare=spare, title=title)
            surroundings = msgspec.structs.replace(self._surroundings(to), settings=settings)
            meant = Meant(title.id, damaged.name, title.id, is_exact=True)
            return running.fetch(meant, surroundings, on_progress)

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

    def _destination(self, name: str | None, older: Whole | None) -> Destination:
        home = self._home
        return Destination(
            home.identity.folder,
            home.inventory,
            home.cache.remember,
            rules=home.rules,
            register=home.register,
            quota=home.quota,
            name=name,
            older=(older,) if older else (),
        )

    def _discard_older(self, meant: Meant, content_id: str) -> None:
        """Remove what is left of older versions, if it is the newest one that is here."""
        if meant.name is not None and not meant.is_exact:
            self._home.remains.discard_others(meant.name, content_id)

    def _surroundings(self, to: Destination) -> Surroundings:
        identity = self._home.identity
        return Surroundings(self._home.context, identity.name, identity.tracker_address, to)

    def _meant(self, what: str, check: Callable[[], None]) -> Meant:
        """Ask the tracker what is meant, which is not asked again."""
        address = self._home.identity.tracker_address
        try:
            return versions.find(what, functools.partial(questions.ask, self._home, check))
        except versions.LyingTrackerError:
            message = f"asked for {display(what)}, the tracker at {address} answered for another"
            remedy = "find out whose tracker that is"
            raise OperatorError(f"{message}; {remedy}", ExitCode.TRACKER_UNREACHABLE) from None

    def _others_have(self, check: Callable[[], None], thing: Whole) -> bool:
        answer = questions.ask(self._home, check, thing.id)
        if answer is None:
            return False
        home, rng = self._home, random.Random()  # noqa: S311 (which chunk is asked for)
        identity = home.identity
        witnesses = Witnesses(home.context, identity.name, identity.tracker_address, rng)
        return witnesses.have(thing, answer.holders, check)


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

    def fetch(self, meant: Meant, surroundings: Surroundings, on_progress: OnProgress) -> Fetched:
        self._fetcher = Fetcher(meant, surroundings, on_progress)
        try:
            self.check()
            return self._fetcher.run()
        finally:
            fetcher, self._fetcher = self._fetcher, None
            fetcher.close()


def _spare(thing: Whole | None, *, is_forced: bool) -> Spare:
    """Return what may be replaced: `thing` is what was found to be spare."""
    if is_forced:
        return ANYTHING
    return Spare.as_seen(thing.source) if thing is not None else NOTHING


def _told(fetched: Fetched, meant: Meant) -> Fetched:
    """Return the result with the version that was taken, and how many others there were."""
    others = len(meant.answer.versions) if meant.answer is not None else 0
    version, publisher = meant.title.version, meant.title.publisher
    return msgspec.structs.replace(
        fetched, version=version, publisher=publisher, other_versions=others
    )


def _here(thing: Whole, home: Home, inside: str) -> Fetched:
    """Return the result for what is here already; OperatorError if it has nothing `inside`."""
    path = home.identity.folder / thing.name / inside
    if inside and not os.path.lexists(path):
        message = f"no such file was found: {display(thing.name)}/{display(inside)}"
        place = home.identity.folder / thing.name
        raise OperatorError(f"{message}; look into {place}", ExitCode.NOT_FOUND)
    return Fetched(
        name=thing.name,
        id=thing.id,
        size_bytes=thing.size_bytes,
        elapsed_s=0.0,
        fetched_bytes=0,
        reused_bytes=thing.size_bytes,
        holders={},
        path=str(path),
        version=thing.title.version,
        publisher=thing.title.publisher,
    )
