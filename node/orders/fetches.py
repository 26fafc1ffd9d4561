"""The fetches of one node: what is meant, whether it is here already, and which are running.

Equal orders are one fetch, which all who gave them wait for. Of two that fetch the same content in
other ways the second waits for the first, and finds then what it has left. If the newest version of
a name was meant and its holders have moved on to a newer one, so does the fetch.
"""

import contextlib
import functools
import logging
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from shoal.node.fetching import versions
from shoal.node.fetching.settings import FetchSettings
from shoal.node.fetching.versions import Meant
from shoal.node.files.outside import check_output
from shoal.node.folder.spare import ANYTHING, NOTHING, Spare, remember
from shoal.node.folder.whole import Whole
from shoal.node.network.fetcher import Fetcher, Surroundings, stopped
from shoal.node.network.witness import Witnesses
from shoal.node.orders import outcomes, questions, standing
from shoal.node.orders.home import Home
from shoal.node.orders.joint import Caller, Joint
from shoal.node.orders.standing import Standing
from shoal.node.staging.file_staging import staging_place
from shoal.node.staging.intake import BeingFetchedError, Destination
from shoal.node.staging.partial import PartialFile
from shoal.node.staging.partly import remains_of
from shoal.node.trees.selection import Selection
from shoal.protocol.control import Fetched, FetchOrder, Working
from shoal.protocol.errors import Kind, NobodyAliveError, OperatorError, TrackerError
from shoal.protocol.manifest import ContentId
from shoal.protocol.names import display
from shoal.protocol.titles import Title

log = logging.getLogger("shoal.node")

OnProgress = Callable[[Working], None]


WAIT_S = 0.1  # How often to look whether another fetch is over.
MOST_VERSIONS = 5  # That one fetch tries in turn, if a name is published again and again.


class Fetches:
    """Carries out orders to fetch, each in its caller's thread."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._guard = threading.Lock()
        self._joints: dict[FetchOrder, Joint[Fetched]] = {}
        self._running: list[_Running] = []
        self._stop_kind: Kind | None = None

    def fetch(self, order: FetchOrder, on_progress: OnProgress) -> Fetched:
        """Fetch into the folder, or to the order's output; if that is under way, wait for it.

        Raises:
            OperatorError: it could not be had.
        """
        if order.output is not None:
            check_output(Path(order.output), may_replace=order.force)
        caller = Caller(order, on_progress)
        with self._guard:
            joint = self._joints.get(order)
            is_new = joint is None or not joint.join(caller)
            if joint is None or is_new:
                joint = self._joints[order] = self._joint(order)
                joint.join(caller)
        if is_new:
            joint.start()
        return joint.wait(caller)

    def _joint(self, order: FetchOrder) -> Joint[Fetched]:
        running = _Running(order.what)

        def work(on_progress: OnProgress) -> Fetched:
            with self._run(running):
                return self._carry_out(order, running, on_progress)

        def is_over() -> None:
            with self._guard:
                if self._joints.get(order) is joint:
                    del self._joints[order]

        joint: Joint[Fetched] = Joint(work, running.stop, is_over)
        return joint

    def _carry_out(
        self, order: FetchOrder, running: "_Running", on_progress: OnProgress
    ) -> Fetched:
        """Fetch what is meant now; and again, if that is another version when it cannot be had."""
        if order.offline:
            return self._newest_here(order.what)
        given_up: list[str] = []
        while True:
            try:
                fetched = self._try(order, given_up, running, on_progress)
            except BeingFetchedError as busy:
                self._wait_for(busy.id, running, on_progress)
            except _MovedOnError as error:
                (meant,) = error.args
                given_up.append(str(meant.id))
                log.warning("%s", outcomes.moved_on(meant))
            else:
                self._discard(given_up)
                return msgspec.structs.replace(fetched, superseded=tuple(given_up))

    def _try(
        self,
        order: FetchOrder,
        given_up: list[str],
        running: "_Running",
        on_progress: OnProgress,
    ) -> Fetched:
        self._home.watcher.require_there()
        at_hand = standing.here(self._home, order.what) if order.output is None else None
        if at_hand is not None:
            return outcomes.here(at_hand, "", self._home)
        meant = self._meant(order, running.check)
        if meant is None:
            return self._newest_here(order.what)
        try:
            return self._fetch(order, meant, given_up, running, on_progress)
        except OperatorError as error:
            running.check()
            if len(given_up) + 1 == MOST_VERSIONS or not self._has_moved_on(meant, error, running):
                raise
            raise _MovedOnError(meant) from None

    def _fetch(
        self,
        order: FetchOrder,
        meant: Meant,
        given_up: list[str],
        running: "_Running",
        on_progress: OnProgress,
    ) -> Fetched:
        output = Path(order.output) if order.output is not None else None
        selection = Selection(order.include, order.exclude)
        selection = msgspec.structs.replace(selection, inside=meant.inside)
        found = Standing()
        if output is None:
            found = self._look(order, meant, selection, running, on_progress)
        if found.is_meant:
            assert found.thing is not None
            self._discard_older(meant, found.thing.id)
            return outcomes.here(found.thing, meant.inside, self._home)
        in_place = order.in_place or not selection.is_everything or bool(found.withheld)
        to = self._destination(meant.name, found.thing)
        folder = self._home.identity.folder
        remains = (remains_of(folder, one, meant.name or one) for one in given_up)
        to = msgspec.structs.replace(
            to,
            older=(*to.older, *(one for one in remains if one is not None)),
            output=output,
            selection=selection,
            in_place=in_place,
            spare=_spare(found.thing, is_forced=order.force),
            title=meant.title,
        )
        fetched = running.fetch(meant, self._surroundings(to), on_progress)
        self._discard_older(meant, fetched.id)
        return outcomes.told(fetched, meant)

    def _look(
        self,
        order: FetchOrder,
        meant: Meant,
        selection: Selection,
        running: "_Running",
        on_progress: OnProgress,
    ) -> Standing:
        """Return what stands where it is to lie; raise OperatorError if that must not go."""

        def on_hashed(done_bytes: int, size_bytes: int) -> None:
            running.check()
            on_progress(Working(order.what, done_bytes, size_bytes or None, None))

        has_it = functools.partial(self._others_have, running.check)
        ask = standing.Looking(has_it, on_hashed, order.force)
        return standing.look(self._home, meant, selection, ask)

    def _has_moved_on(self, meant: Meant, error: OperatorError, running: "_Running") -> bool:
        """Say whether there is another version now of a name whose newest one was meant."""
        is_newest = meant.id is not None and meant.name is not None and not meant.is_exact
        if not isinstance(error, NobodyAliveError) or not is_newest:
            return False
        assert meant.name is not None
        try:
            answer = questions.ask(self._home, running.check, meant.name)
        except OperatorError:
            running.check()
            return False
        return answer is not None and answer.id not in {None, meant.id} and bool(answer.holders)

    def _newest_here(self, what: str) -> Fetched:
        return outcomes.here(*standing.newest_here(self._home, what), self._home, is_asked=False)

    def _discard(self, given_up: list[str]) -> None:
        """Remove what there is of versions that nobody has any more."""
        for content_id in given_up:
            self._home.remains.discard(ContentId(content_id))

    def _wait_for(
        self, content_id: ContentId, running: "_Running", on_progress: OnProgress
    ) -> None:
        """Wait until nobody else fetches this content, and tell how far that is."""
        inventory = self._home.inventory
        while inventory.is_fetched(content_id):
            partial = inventory.find(content_id)
            if isinstance(partial, PartialFile):
                share = partial.have.bit_count() / max(1, partial.chunk_count)
                done_bytes = round(share * partial.size_bytes)
                on_progress(Working(partial.name, done_bytes, partial.size_bytes, None))
            running.wait(WAIT_S)
            running.check()

    def heal(
        self, damaged: Whole, title: Title, on_progress: OnProgress, settings: FetchSettings
    ) -> Fetched:
        """Fetch what a thing was before it rotted or was changed, in place of it.

        Raises:
            OperatorError: nobody could deliver it.
        """
        running = _Running(title.id)
        with self._run(running):
            spare = Spare.as_seen(damaged.source)
            with contextlib.suppress(OSError):  # If nobody has it now, a later fetch heals it.
                remember(spare, staging_place(self._home.identity.folder, ContentId(title.id)))
            to = self._destination(damaged.name, damaged)
            to = msgspec.structs.replace(to, in_place=True, heals=True, spare=spare, title=title)
            surroundings = msgspec.structs.replace(self._surroundings(to), settings=settings)
            meant = Meant(title.id, damaged.name, title.id, is_exact=True)
            while True:
                try:
                    return running.fetch(meant, surroundings, on_progress)
                except BeingFetchedError as busy:
                    self._wait_for(busy.id, running, on_progress)

    def cancel(self, order: FetchOrder, kind: Kind) -> None:
        """Stop waiting for this very order; if nobody else waits, stop the fetch. It is kept."""
        with self._guard:
            joints = list(self._joints.values())
        for joint in joints:
            joint.leave(order, kind)

    def cancel_healing(self, content_id: str, kind: Kind) -> None:
        """Stop what heals content; what it has is kept."""
        with self._guard:
            running = [one for one in self._running if one.what == content_id]
        for one in running:
            one.stop(kind)

    def cancel_all(self, kind: Kind) -> None:
        """Stop all fetches, and those that would begin later. For signal handlers too."""
        self._stop_kind = kind
        for joint in list(self._joints.values()):
            joint.leave(None, kind)
        for running in list(self._running):
            running.stop(kind)

    @contextlib.contextmanager
    def _run(self, running: "_Running") -> Iterator[None]:
        with self._guard:
            self._running.append(running)
        if self._stop_kind is not None:
            running.stop(self._stop_kind)
        try:
            yield
        finally:
            with self._guard:
                self._running.remove(running)

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

    def _meant(self, order: FetchOrder, check: Callable[[], None]) -> Meant | None:
        """Ask the tracker what is meant, which is not asked again.

        None if it does not answer, but what is meant is here: an id says that by itself.
        """
        what, address = order.what, self._home.identity.tracker_address
        try:
            return versions.find(what, functools.partial(questions.ask, self._home, check))
        except versions.LyingTrackerError:
            message = f"asked for {display(what)}, the tracker at {address} answered for another"
            remedy = "find out whose tracker that is"
            raise TrackerError(f"{message}; {remedy}") from None
        except OperatorError as error:
            is_lost = isinstance(error, TrackerError)
            if is_lost and order.output is None and versions.names_content(what):
                with contextlib.suppress(OperatorError):
                    standing.newest_here(self._home, what)
                    return None
            raise

    def _others_have(self, check: Callable[[], None], thing: Whole) -> bool:
        answer = questions.ask(self._home, check, thing.id)
        if answer is None:
            return False
        home, rng = self._home, random.Random()  # noqa: S311 (which chunk is asked for)
        identity = home.identity
        witnesses = Witnesses(home.context, identity.name, identity.tracker_address, rng)
        return witnesses.have(thing, answer.holders, check)


class _MovedOnError(Exception):
    """What was meant (`args[0]`) cannot be had, but another version of its name can."""


class _Running:
    """A fetch, from the order to its end."""

    def __init__(self, what: str) -> None:
        self.what = what
        self._stopping = threading.Event()
        self._stop_kind: Kind | None = None
        self._fetcher: Fetcher | None = None

    def stop(self, kind: Kind) -> None:
        self._stop_kind = kind
        self._stopping.set()
        fetcher = self._fetcher
        if fetcher is not None:
            fetcher.stop(kind)

    def check(self) -> None:
        """Raise OperatorError if `stop` was called."""
        if self._stop_kind is not None:
            raise stopped(self.what, self._stop_kind)

    def wait(self, timeout_s: float) -> None:
        """Wait so long, or until `stop` is called."""
        self._stopping.wait(timeout_s)

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
