"""Fetches: what is meant, whether it is here already, and how it is brought here.

Equal orders are one job. Of two that fetch the same content in different ways, the second waits for
the first and then takes what it has left. If the newest version of a name was meant and its holders
have moved on to a newer one, so does the fetch.
"""

import contextlib
import functools
import logging
import random
from collections.abc import Callable
from pathlib import Path

import msgspec
from shoal.node.fetching import versions
from shoal.node.fetching.settings import FetchSettings
from shoal.node.fetching.versions import Meant
from shoal.node.files.outside import check_output
from shoal.node.folder.whole import Whole
from shoal.node.network.fetcher import Fetcher, Surroundings
from shoal.node.network.stop import Stop
from shoal.node.network.witness import Witnesses
from shoal.node.orders import elsewhere, outcomes, questions, standing
from shoal.node.orders.home import Home
from shoal.node.orders.jobs import Caller, Jobs, OnProgress
from shoal.node.orders.standing import Standing
from shoal.node.scheduling.budgets import Budgets
from shoal.node.staging.admission import Admission
from shoal.node.staging.destination import Destination
from shoal.node.staging.intake import Intake
from shoal.node.staging.partial import PartialFile
from shoal.node.staging.publication import BeingFetchedError, Folder, Publication
from shoal.node.staging.remains import staging_place
from shoal.node.staging.spare import ANYTHING, NOTHING, Spare, remember
from shoal.node.trees.selection import Selection
from shoal.protocol.bucket import Bucket
from shoal.protocol.control import Fetched, FetchOrder, Working
from shoal.protocol.errors import Kind, NobodyAliveError, OperatorError, TimedOutError, TrackerError
from shoal.protocol.manifest import ContentId
from shoal.protocol.names import display
from shoal.protocol.titles import Title

log = logging.getLogger("shoal.node")

WAIT_S = 0.1  # How often to see whether another fetch is over.
MOST_VERSIONS = 5  # That one fetch tries in turn, if a name is published again and again.


class Fetches:
    """Carries out orders to fetch, and fetches what heals a damaged thing."""

    def __init__(self, home: Home, jobs: Jobs) -> None:
        self._home = home
        self._jobs = jobs

    def fetch(
        self,
        order: FetchOrder,
        on_progress: OnProgress,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> Fetched:
        """Fetch into the folder, or to the order's output; if that is under way, wait for it.

        `is_wanted` tells whether the order still holds when it is about to begin.

        Raises:
            OperatorError: it could not be fetched.
        """
        if order.output is not None and order.linked:
            elsewhere.require_outside(Path(order.output), self._home.identity.folder)
        elif order.output is not None:
            check_output(Path(order.output), may_replace=order.force)

        def work(stop: Stop, on_progress: OnProgress) -> Fetched:
            return _Fetch(self._home, order, stop, on_progress).run()

        told = functools.partial(_stopped, order.what)
        return self._jobs.join(order, Caller(order, on_progress, is_wanted), work, told)

    def heal(
        self,
        damaged: Whole,
        title: Title,
        settings: FetchSettings,
        stop: Stop,
        on_progress: OnProgress,
    ) -> Fetched:
        """Fetch what a thing was before it was damaged or changed, and put it in its place.

        Raises:
            OperatorError: nobody could deliver it.
        """
        home, content_id = self._home, ContentId(title.id)
        spare = Spare.as_seen(damaged.source)
        with contextlib.suppress(OSError):  # If nobody has it now, a later fetch heals it.
            remember(spare, staging_place(home.identity.writable, content_id))
        to = Destination(home.identity.folder, in_place=True, heals=True, title=title)
        meant = Meant(title.id, damaged.name, title.id, is_exact=True)
        transfer = _Transfer(home, stop, on_progress, settings)
        while True:
            try:
                return transfer.run(meant, to, spare, (damaged,))
            except BeingFetchedError as busy:
                transfer.wait_for(busy.id)


class _Transfer:
    """How something comes here, until it is stopped."""

    def __init__(
        self,
        home: Home,
        stop: Stop,
        on_progress: OnProgress,
        settings: FetchSettings,
        limit: int | None = None,
        *,
        on_demand: bool = False,
    ) -> None:
        """`limit` is what it may receive at most, in bytes/s, besides what the node may.

        `on_demand`: only what is read here comes, until somebody else wants all of it.
        """
        self._home = home
        self._stop = stop
        self._on_progress = on_progress
        self._settings = settings
        self._budget = Budgets(home.rates.down, Bucket(limit))
        self._on_demand = on_demand

    def run(self, meant: Meant, to: Destination, spare: Spare, older: tuple[Whole, ...]) -> Fetched:
        """Fetch what is `meant`; `spare` may be replaced, `older` may have some of its bytes.

        Raises:
            BeingFetchedError: the same content is being fetched by another order.
            OperatorError: it could not be fetched.
        """
        home, identity = self._home, self._home.identity
        known = Folder(home.inventory, home.cache, home.rules, home.register)
        intake = Intake(
            to,
            Admission(to, home.quota, spare),
            Publication(to, known),
            home.inventory.places,
            older,
            self._stop.check,
        )
        intake.tell = home.attention.news
        surroundings = Surroundings(
            home.context,
            identity.name,
            identity.trackers,
            self._settings,
            identity.listed,
            identity.ring,
            home.token,
            home.totals,
            self._budget,
            home.attention,
            self._on_demand,
        )
        return Fetcher(meant, intake, surroundings, self._stop, self._on_progress).run()

    def wait_for(self, content_id: ContentId) -> None:
        """Wait until nobody else fetches this content, and tell how far that is.

        If that is a fetch on demand, all of it comes meanwhile.
        """
        inventory, attention = self._home.inventory, self._home.attention
        idle = contextlib.nullcontext()
        with idle if self._on_demand else attention.wanting(content_id):
            while inventory.is_fetched(content_id):
                partial = inventory.find(content_id)
                if isinstance(partial, PartialFile):
                    size_bytes = partial.size_bytes
                    self._on_progress(Working(partial.name, partial.have_bytes, size_bytes, None))
                self._stop.wait(WAIT_S)
                self._stop.check()


class _Fetch:
    """One order, from what is meant by it to its outcome."""

    def __init__(self, home: Home, order: FetchOrder, stop: Stop, on_progress: OnProgress) -> None:
        self._home = home
        self._order = order
        self._stop = stop
        self._on_progress = on_progress
        settings, limit = home.identity.fetching, order.limit
        if order.output is not None and not order.linked:  # That says nothing of what is held here.
            settings = msgspec.structs.replace(settings, shares_already=True)
        self._transfer = _Transfer(
            home, stop, on_progress, settings, limit, on_demand=order.on_demand
        )
        self._given_up: list[ContentId] = []  # Versions that nobody has any more.

    def run(self) -> Fetched:
        """Fetch what is meant now; and again, if by then it is another version."""
        if self._order.offline:
            return self._newest_here()
        while True:
            try:
                fetched = self._try()
            except BeingFetchedError as busy:
                self._transfer.wait_for(busy.id)
            except _MovedOnError as error:
                (meant,) = error.args
                self._given_up.append(ContentId(meant.id))
                log.warning("%s", outcomes.moved_on(meant))
            else:
                for content_id in self._given_up:
                    self._home.remains.discard(content_id)
                return msgspec.structs.replace(fetched, superseded=tuple(self._given_up))

    def _try(self) -> Fetched:
        self._home.watcher.require_there()
        order = self._order
        is_here = order.output is None or order.linked
        at_hand = standing.here(self._home, order.what) if is_here else None
        if at_hand is not None:
            return self._found_here(at_hand, "")
        meant = self._meant()
        if meant is None:
            return self._newest_here()
        try:
            return self._fetch(meant)
        except OperatorError as error:
            self._stop.check()
            if len(self._given_up) + 1 == MOST_VERSIONS or not self._has_moved_on(meant, error):
                raise
            raise _MovedOnError(meant) from None

    def _meant(self) -> Meant | None:
        """Ask the tracker what is meant, which is not asked again.

        None if it does not answer, but what is meant is here: an id says that by itself.
        """
        what = self._order.what
        try:
            return versions.find(what, functools.partial(questions.ask, self._home, self._check))
        except versions.LyingTrackerError:
            tracker = f"the tracker at {' or '.join(self._home.identity.trackers.addresses)}"
            message = f"asked for {display(what)}, {tracker} answered for another"
            remedy = "find out whose tracker that is"
            raise TrackerError(f"{message}; {remedy}") from None
        except OperatorError as error:
            is_lost = isinstance(error, TrackerError)
            if is_lost and self._order.output is None and versions.names_content(what):
                with contextlib.suppress(OperatorError):
                    standing.newest_here(self._home, what)
                    return None
            raise

    def _fetch(self, meant: Meant) -> Fetched:
        order, home = self._order, self._home
        selection = Selection(order.include, order.exclude, meant.inside)
        found = Standing()
        if order.linked:
            elsewhere.require_all(selection)
        if order.output is None or order.linked:
            try:
                found = self._look(meant, selection)
            except OperatorError:
                self._check()
                if home.identity.read_only and order.output is None:
                    raise elsewhere.read_only(home.identity, meant.name or order.what) from None
                raise
        if found.is_meant:
            assert found.thing is not None
            self._discard_older(meant, found.thing.id)
            return self._found_here(found.thing, meant.inside)
        self._require_free(meant.name or (meant.answer.name if meant.answer else None))
        if home.identity.read_only and order.output is None:
            raise elsewhere.read_only(home.identity, meant.name or order.what)
        to = Destination(
            home.identity.writable,
            output=Path(order.output) if order.output is not None else None,
            linked=order.linked,
            selection=selection,
            in_place=order.in_place or not selection.is_everything or bool(found.withheld),
            title=meant.title,
            reserves=not order.on_demand,
        )
        spare = _spare(found.thing, is_forced=order.force)
        fetched = self._transfer.run(meant, to, spare, self._older(meant, found.thing))
        self._discard_older(meant, fetched.id)
        return outcomes.told(fetched, meant)

    def _look(self, meant: Meant, selection: Selection) -> Standing:
        """Return what is in its place; raise OperatorError if that must not be replaced."""
        what = self._order.what

        def on_hashed(done_bytes: int, size_bytes: int) -> None:
            self._check()
            self._on_progress(Working(what, done_bytes, size_bytes or None, None))

        ask = standing.Looking(self._others_have, on_hashed, self._order.force)
        return standing.look(self._home, meant, selection, ask)

    def _older(self, meant: Meant, there: Whole | None) -> tuple[Whole, ...]:
        """Return what may have some of the bytes: what is there, and what was given up."""
        remains, name = self._home.remains, meant.name
        left = (remains.to_copy_from(one, name or one) for one in self._given_up)
        return tuple(one for one in (there, *left) if one is not None)

    def _has_moved_on(self, meant: Meant, error: OperatorError) -> bool:
        """Return whether there is another version now of a name whose newest one was meant."""
        is_newest = meant.id is not None and meant.name is not None and not meant.is_exact
        if not isinstance(error, NobodyAliveError) or not is_newest:
            return False
        assert meant.name is not None
        try:
            answer = questions.ask(self._home, self._check, meant.name)
        except OperatorError:
            self._check()
            return False
        return answer is not None and answer.id not in {None, meant.id} and bool(answer.holders)

    def _newest_here(self) -> Fetched:
        found = standing.newest_here(self._home, self._order.what)
        return outcomes.here(*found, self._home, is_asked=False)

    def _discard_older(self, meant: Meant, content_id: str) -> None:
        """Remove what is left of older versions, if it is the newest one that is here."""
        if meant.name is not None and not meant.is_exact:
            self._home.remains.discard_others(meant.name, content_id)

    def _found_here(self, thing: Whole, inside: str) -> Fetched:
        """Return what to say of a thing that is here; its fetch may have been killed at the end."""
        self._require_free(thing.name, is_meant=True)
        if not self._home.rules.heals_from(thing.id):
            self._home.remains.discard(thing.id)
        fetched = outcomes.here(thing, inside, self._home)
        if self._order.output is None:
            return fetched
        return msgspec.structs.replace(fetched, path=self._order.output)

    def _require_free(self, name: str | None, *, is_meant: bool = False) -> None:
        """Raise OperatorError if the thing is to be served from where something else is."""
        order, me = self._order, self._home.identity
        if order.linked and order.output is not None and name is not None:
            place = Path(order.output)
            elsewhere.require_free(place, me, name, is_meant=is_meant, may_go=order.force)

    def _others_have(self, thing: Whole) -> bool:
        answer = questions.ask(self._home, self._check, thing.id)
        if answer is None:
            return False
        home, rng = self._home, random.Random()  # noqa: S311 (which chunk is asked for)
        identity = home.identity
        others = identity.listed, identity.ring
        witnesses = Witnesses(
            home.context, identity.name, identity.trackers.addresses, rng, *others
        )
        return witnesses.have(thing, answer.holders, self._check)

    def _check(self) -> None:
        self._stop.check()


class _MovedOnError(Exception):
    """What was meant (`args[0]`) cannot be had, but another version of its name can."""


def _spare(thing: Whole | None, *, is_forced: bool) -> Spare:
    """Return what may be replaced: `thing` is what was found to be spare."""
    if is_forced:
        return ANYTHING
    return Spare.as_seen(thing.source) if thing is not None else NOTHING


def _stopped(what: str, kind: Kind) -> OperatorError:
    """Return what to say of a fetch that was stopped."""
    done = "the data fetched so far is kept; run it again to resume"
    if kind is TimedOutError:
        return kind(f"{display(what)} did not arrive in time; {done}")
    return kind(f"interrupted; {done}")
