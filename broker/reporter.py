"""Tells the tracker's events as lines of the log, so that people can watch (S12)."""

import logging
from collections.abc import Sequence

from shoal.broker.settings import ServerSettings
from shoal.broker.tracking.events import (
    ClaimRefused,
    Event,
    HolderAdded,
    HolderTakenOff,
    HolderWithdrew,
    NodeFellSilent,
    NodeForgotten,
    NodeJoined,
    NodeLeft,
    NodeRefused,
    PartialHolderAdded,
    Queried,
)
from shoal.protocol import names

_log = logging.getLogger("shoal.tracker")
MAX_SHOWN_CHARACTERS = 400
MAX_SHOWN_NODES = 8
_LINES: dict[type, str] = {
    NodeJoined: "{0.node} is there, at {0.address}",
    NodeLeft: "{0.node} has left",
    NodeFellSilent: "{0.node} is silent",
    NodeForgotten: "{0.node} is forgotten: silent for a day, and not in the cluster file",
    NodeRefused: "{0.node} is refused: {0.reason}",
    HolderAdded: "{0.node} added to the holders of {0.name}",
    HolderWithdrew: "{0.node} taken off the holders of {0.name}: it no longer has it",
    HolderTakenOff: "{0.node} taken off the holders of {0.name}: it asked for it",
    PartialHolderAdded: "{0.node} added to the holders of {0.name}, in part",
}


class Reporter:
    """Writes lines, but never so many that writing them is the work (fault 65)."""

    def __init__(self, settings: ServerSettings) -> None:
        self._rate = settings.log_lines_per_s
        self._burst = settings.log_burst_lines
        self._allowed = float(settings.log_burst_lines)
        self._refilled_at = 0.0
        self._left_out = 0

    def tell(self, events: Sequence[Event], now: float) -> None:
        for event in events:
            if self._may_write(now):
                _log.info("%s", line(event))

    def warn(self, text: str, now: float) -> None:
        """Write what somebody else did wrong."""
        if self._may_write(now):
            _log.warning("%s", _printable(text))

    def _may_write(self, now: float) -> bool:
        refill = (now - self._refilled_at) * self._rate
        self._allowed = min(self._burst, self._allowed + refill)
        self._refilled_at = now
        if self._allowed < 1:
            self._left_out += 1
            return False
        self._allowed -= 1
        if self._left_out:
            _log.warning("%d lines are left out here", self._left_out)
            self._left_out = 0
        return True


def line(event: Event) -> str:
    """Return the event as a sentence, in characters that print."""
    if isinstance(event, Queried):
        return _printable(_query_line(event))
    if isinstance(event, ClaimRefused):
        return _printable(_refusal_line(event))
    return _printable(_LINES[type(event)].format(event))


def _refusal_line(event: ClaimRefused) -> str:
    publisher = event.publisher or "another node"
    why = f"{publisher} published other content as v{event.number}"
    return f"{event.node}'s {event.name} was not accepted: {why}"


def _query_line(event: Queried) -> str:
    asker = event.asker or "somebody"
    if event.holders:
        return f"{event.what}? {asker} is sent to {_listed(event.holders)}"
    if event.offline:
        return (
            f"{event.what}? {asker} is told that its holders are silent: {_listed(event.offline)}"
        )
    return f"{event.what}? {asker} is told that nobody holds it"


def _listed(nodes: Sequence[str]) -> str:
    more = len(nodes) - MAX_SHOWN_NODES
    shown = ", ".join(sorted(nodes)[:MAX_SHOWN_NODES])
    return f"{shown} and {more} more" if more > 0 else shown


def _printable(text: str) -> str:
    shown = names.display(text[:MAX_SHOWN_CHARACTERS])
    return shown if len(text) <= MAX_SHOWN_CHARACTERS else f"{shown}…"
