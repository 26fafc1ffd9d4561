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
    NodePushedOut,
    NodeRefused,
    PartialHolderAdded,
    PublisherAllowed,
    PushBegun,
    PushEnded,
    PushReached,
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
    NodePushedOut: "forgot {0.node}, which is not in the cluster file: its room is needed",
    NodeRefused: "rejected an update from {0.node}: {0.reason}",
    HolderAdded: "{0.node} holds {0.name}",
    PartialHolderAdded: "{0.node} holds part of {0.name}",
    PushBegun: "{0.by} wishes that {0.nodes} nodes hold {0.name}",
    PushReached: "{0.have} of {0.wanted} nodes hold {0.name}, which is pushed",
    PushEnded: "{0.by} has cancelled the push of {0.name}",
    PublisherAllowed: "{0.admin} lets {0.node} publish the next {0.name}",
    HolderWithdrew: "{0.node} no longer holds {0.name}",
    HolderTakenOff: "{0.node} no longer holds {0.name} (it requested it)",
}


class Reporter:
    """Writes lines, but never so many that the tracker is busy writing them.

    Beyond that it stops until a second's worth of lines is allowed again: what is written can be
    followed, and one line says how many are missing before it.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._rate = settings.log_lines_per_s
        self._burst = settings.log_burst_lines
        self._allowed = float(settings.log_burst_lines)
        self._refilled_at = 0.0
        self._omitted = 0
        self._stopped_at = 0.0

    def tell(self, events: Sequence[Event], now: float) -> None:
        """Log events. Called without any, too, so that a gap is noted soon after it ends."""
        self._refill(now)
        for event in events:
            if self._may_write(now):
                _log.info("%s", line(event), extra={"fields": event})

    def warn(self, text: str, now: float) -> None:
        """Log a problem."""
        self._refill(now)
        if self._may_write(now):
            _log.warning("%s", _printable(text))

    def _refill(self, now: float) -> None:
        refill = (now - self._refilled_at) * self._rate
        self._allowed = min(self._burst, self._allowed + refill)
        self._refilled_at = now
        if self._omitted and self._allowed >= min(self._rate, self._burst):
            _log.warning("%d lines omitted in %.1f s", self._omitted, now - self._stopped_at)
            self._omitted = 0

    def _may_write(self, now: float) -> bool:
        if self._omitted or self._allowed < 1:
            self._stopped_at = self._stopped_at if self._omitted else now
            self._omitted += 1
            return False
        self._allowed -= 1
        return True


def line(event: Event) -> str:
    """Return the event as a sentence, in characters that print."""
    match event:
        case Queried():
            return _printable(_query_line(event))
        case ClaimRefused():
            return _printable(_refusal_line(event))
        case PushReached(name, have, wanted) if have == wanted:
            return _printable(f"the push of {name} is done: {have} of {wanted} nodes")
        case NodeForgotten(node, silent_s):
            hours = f"{silent_s / 3600:.0f} h"
            return f"forgot {node}: silent for {hours} and not in the cluster file"
        case _:
            return _printable(_LINES[type(event)].format(event))


def _refusal_line(event: ClaimRefused) -> str:
    if not event.allowed:
        return f"{event.node} may not publish {event.name}: see `publish` in the cluster file"
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
