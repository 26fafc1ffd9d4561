"""Decides when the remains of interrupted fetches are removed, and removes them.

After a week, once nobody holds that version any more or all of it is here, or at once if that is
ordered. What is needed to heal a thing stays.
"""

import logging

from shoal.node.fetching.versions import matches
from shoal.node.folder.whole import Whole
from shoal.node.network.stop import Stop
from shoal.node.orders import questions
from shoal.node.orders.home import Home
from shoal.node.orders.jobs import Caller, Jobs
from shoal.node.staging.remains import Remain
from shoal.protocol.control import Discarded, DiscardOrder
from shoal.protocol.errors import Kind, OperatorError, StoppedError
from shoal.protocol.manifest import ContentId
from shoal.protocol.names import display
from shoal.system.repeating import Repeating

log = logging.getLogger("shoal.node")

MOST_AGE_S = 7 * 24 * 3600.0  # Enough time to resume.
LOOK_S = 600.0  # How often the tracker is asked whether anybody still has it, …
DOUBT_S = 15.0  # … and how soon it is asked again before a "no" is believed: a tracker that has
# lost its state is told of everything within a renewal.


class Sweeper:
    """Looks after the remains, from `start` to `stop`."""

    def __init__(self, home: Home, jobs: Jobs) -> None:
        self._home = home
        self._jobs = jobs
        self._doubtful: set[ContentId] = set()  # Nobody held them when it was last asked.
        self._thread = Repeating("sweep", self._look)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._thread.stop()

    def drop_old(self) -> None:
        """Remove what nobody has resumed for a week."""
        self._tell(self._home.remains.discard_if(self._is_old), "not resumed for a week")

    def look(self) -> float:
        """Remove what can go; return after how many seconds to look again."""
        self.drop_old()
        self._tell(self._home.remains.discard_if(self._is_here), "all of it is here")
        gone = {one.id for one in self._home.remains.found() if self._is_gone(one)}
        sure, self._doubtful = gone & self._doubtful, gone - self._doubtful
        dropped = self._home.remains.discard_if(lambda one: one.id in sure)
        self._tell(dropped, "no node has that version any more")
        return DOUBT_S if self._doubtful else LOOK_S

    def discard(self, order: DiscardOrder) -> Discarded:
        """Remove the remains that the order names.

        Raises:
            OperatorError: it is being fetched, or this was stopped.
        """
        remains, what = self._home.remains, order.what

        def work(stop: Stop, _: object) -> list[Remain]:
            return remains.discard_if(lambda one: _is_meant(one, what), stop.check)

        caller = Caller(order, lambda _: None)
        dropped = self._jobs.join(("discard", what), caller, work, _stopped)
        self._tell(dropped, "on request")
        inventory = self._home.inventory
        if any(matches(one.id, what, one.name) for one in inventory.fetched()):
            message = (
                f"{display(what)} is being fetched; stop that fetch first, then run this again"
            )
            raise OperatorError(message)
        return Discarded(what, len(dropped), sum(one.size_bytes for one in dropped))

    def _look(self) -> float:
        try:
            return self.look()
        except Exception:
            log.exception("cannot look through the remains of interrupted fetches")
            return LOOK_S

    def _is_old(self, one: Remain) -> bool:
        return one.age_s > MOST_AGE_S and not self._home.rules.heals_from(one.id)

    def _is_here(self, one: Remain) -> bool:
        """Return whether the fetch was killed when the thing was in place already."""
        is_whole = isinstance(self._home.inventory.find(one.id), Whole)
        return is_whole and not self._home.rules.heals_from(one.id)

    def _is_gone(self, one: Remain) -> bool:
        if self._home.rules.heals_from(one.id):
            return False
        try:
            self._check()
            return questions.ask(self._home, self._check, one.id) is None
        except OperatorError:  # It is not known.
            return False

    def _check(self) -> None:
        if self._thread.is_stopping:
            raise StoppedError("stopping")

    def _tell(self, dropped: list[Remain], reason: str) -> None:
        for one in dropped:
            what = f"{display(one.name)} ({one.id})" if one.name else one.id
            megabytes = one.size_bytes / 1e6
            log.info("removed the partial data of %s, %.1f MB: %s", what, megabytes, reason)


def _stopped(kind: Kind) -> OperatorError:
    return kind("interrupted; the rest is removed when the node starts again")


def _is_meant(one: Remain, what: str) -> bool:
    return matches(one.id, what, one.name) or bool(one.name and what.startswith(f"{one.name}/"))
