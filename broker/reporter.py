"""Writes the tracker's events to the log, so that people can watch what happens."""

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
    NodeJoined: "{0.node} joined at {0.address}",
    NodeLeft: "{0.node} left",
    NodeFellSilent: "{0.node} went silent",
    NodeRefused: "rejected an update from {0.node}: {0.reason}",
    HolderAdded: "{0.node} holds {0.name}",
    PartialHolderAdded: "{0.node} holds part of {0.name}",
    HolderWithdrew: "{0.node} no longer holds {0.name}",
    HolderTakenOff: "{0.node} no longer holds {0.name} (it requested it)",
}


class Reporter:
    """Writes lines, but never so many that the tracker is busy writing them."""

    def __init__(self, settings: ServerSettings) -> None:
        self._rate = settings.log_lines_per_s
        self._burst = settings.log_burst_lines
        self._allowed = float(settings.log_burst_lines)
        self._refilled_at = 0.0
        self._omitted = 0

    def tell(self, events: Sequence[Event], now: float) -> None:
        for event in events:
            if self._may_write(now):
                _log.info("%s", line(event))

    def warn(self, text: str, now: float) -> None:
        """Log a problem."""
        if self._may_write(now):
            _log.warning("%s", _printable(text))

    def _may_write(self, now: float) -> bool:
        refill = (now - self._refilled_at) * self._rate
        self._allowed = min(self._burst, self._allowed + refill)
        self._refilled_at = now
        if self._allowed < 1:
            self._omitted += 1
            return False
        self._allowed -= 1
        if self._omitted:
            _log.warning("%d lines omitted", self._omitted)
            self._omitted = 0
        return True


def line(event: Event) -> str:
    """Return the event as a sentence, in characters that print."""
    match event:
        case Queried():
            return _printable(_query_line(event))
        case ClaimRefused():
            return _printable(_refusal_line(event))
        case NodeForgotten(node, silent_s):
            hours = f"{silent_s / 3600:.0f} h"
            return f"forgot {node}: silent for {hours} and not in the cluster file"
        case _:
            return _printable(_LINES[type(event)].format(event))


def _refusal_line(event: ClaimRefused) -> str:
    publisher = event.publisher or "another node"
    why = f"{publisher} published different content as v{event.number}"
    return f"{event.node} cannot publish {event.name}: {why}"


def _query_line(event: Queried) -> str:
    asked = f"{event.asker or 'someone'} asked for {event.what}"
    if event.holders:
        return f"{asked}: sent to {_listed(event.holders)}"
    if event.offline:
        return f"{asked}: all holders are silent ({_listed(event.offline)})"
    return f"{asked}: no holders"


def _listed(nodes: Sequence[str]) -> str:
    more = len(nodes) - MAX_SHOWN_NODES
    shown = ", ".join(sorted(nodes)[:MAX_SHOWN_NODES])
    return f"{shown} and {more} more" if more > 0 else shown


def _printable(text: str) -> str:
    shown = names.display(text[:MAX_SHOWN_CHARACTERS])
    return shown if len(text) <= MAX_SHOWN_CHARACTERS else f"{shown}…"
