"""Decides when the remains of interrupted fetches are removed, and removes them.

After a week, once nobody holds that version any more, or at once if that is ordered. What is needed
to heal a thing stays.
"""

import logging
import threading

from shoal.node.fetching.versions import matches
from shoal.node.orders import questions
from shoal.node.orders.home import Home
from shoal.node.staging.remains import Remain
from shoal.protocol.control import Discarded, DiscardOrder
from shoal.protocol.errors import OperatorError, StoppedError
from shoal.protocol.manifest import ContentId
from shoal.protocol.names import display

log = logging.getLogger("shoal.node")

MOST_AGE_S = 7 * 24 * 3600.0  # Enough time to resume.
LOOK_S = 600.0  # How often the tracker is asked whether anybody still has it, …
DOUBT_S = 15.0  # … and how soon it is asked again before a "no" is believed: a tracker that has
# lost its state is told of everything within a renewal.


class Sweeper:
    """Looks after the remains, from `start` to `stop`."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._doubtful: set[ContentId] = set()  # Nobody held them when it was last asked.
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweep", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def drop_old(self) -> None:
        """Remove what nobody has resumed for a week."""
        self._tell(self._home.remains.discard_if(self._is_old), "not resumed for a week")

    def look(self) -> float:
        """Remove what can go; return after how many seconds to look again."""
        self.drop_old()
        gone = {one.id for one in self._home.remains.found() if self._is_gone(one)}
        sure, self._doubtful = gone & self._doubtful, gone - self._doubtful
        dropped = self._home.remains.discard_if(lambda one: one.id in sure)
        self._tell(dropped, "no node has that version any more")
        return DOUBT_S if self._doubtful else LOOK_S

    def discard(self, order: DiscardOrder) -> Discarded:
        """Remove the remains that the order names.

        Raises:
            OperatorError: it is being fetched.
        """
        remains, what = self._home.remains, order.what
        dropped = remains.discard_if(lambda one: _is_meant(one, what))
        self._tell(dropped, "on request")
        inventory = self._home.inventory
        if any(matches(one.id, what, one.name) for one in inventory.fetched()):
            message = (
                f"{display(what)} is being fetched; stop that fetch first, then run this again"
            )
            raise OperatorError(message)
        return Discarded(what, len(dropped), sum(one.size_bytes for one in dropped))

    def _run(self) -> None:
        pause_s = 0.0
        while not self._stopping.wait(pause_s):
            try:
                pause_s = self.look()
            except Exception:
                log.exception("cannot look through the remains of interrupted fetches")
                pause_s = LOOK_S

    def _is_old(self, one: Remain) -> bool:
        return one.age_s > MOST_AGE_S and not self._is_to_heal(one)

    def _is_gone(self, one: Remain) -> bool:
        if self._is_to_heal(one):
            return False
        try:
            self._check()
            return questions.ask(self._home, self._check, one.id) is None
        except OperatorError:  # It is not known.
            return False

    def _is_to_heal(self, one: Remain) -> bool:
        """Return whether it is needed to heal a damaged thing."""
        rules = self._home.rules
        damages = (rules.of(name).to_heal for name in rules.damaged())
        return any(damage is not None and damage.id == one.id for damage in damages)

    def _check(self) -> None:
        if self._stopping.is_set():
            raise StoppedError("stopping")

    def _tell(self, dropped: list[Remain], reason: str) -> None:
        for one in dropped:
            what = f"{display(one.name)} ({one.id})" if one.name else one.id
            megabytes = one.size_bytes / 1e6
            log.info("removed the partial data of %s, %.1f MB: %s", what, megabytes, reason)


def _is_meant(one: Remain, what: str) -> bool:
    return matches(one.id, what, one.name) or bool(one.name and what.startswith(f"{one.name}/"))
