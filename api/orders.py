"""Gives orders to a running node on this machine."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import zmq
from shoal.protocol import messages
from shoal.protocol.control import (
    Bytes,
    Cancel,
    CloseOrder,
    DiscardOrder,
    Failed,
    FetchOrder,
    ForgetOrder,
    OpenOrder,
    Order,
    ReadOrder,
    Report,
    ShareOrder,
    Task,
    VerifyOrder,
    Working,
)
from shoal.protocol.errors import KINDS, Kind, OperatorError, TimedOutError
from shoal.protocol.names import display
from shoal.wire import control_socket, frames, sockets
from shoal.wire.wake import Wake

SILENCE_S = 10.0  # A node reports every second, but may be busy opening or publishing a huge file.
CANCEL_S = 3.0


class NodeGoneError(TimedOutError):
    """The node that had the order was killed, or answers no more."""


class OrderDesk:
    """One command's connection to a running node."""

    def __init__(self, node: str, folder: Path) -> None:
        self._node = node
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = control_socket.command_end(self._context, folder)
        events = zmq.EVENT_CONNECTED | zmq.EVENT_DISCONNECTED
        self._monitor: zmq.Socket[bytes] = self._socket.get_monitor_socket(events)
        self._is_lost = False  # The node that has the order is gone.
        self._wake = Wake()
        self._cancelled: Kind | None = None

    def cancel(self, kind: Kind) -> None:
        """Cancel the order, and make `give` fail. May be called from a signal handler or thread."""
        self._cancelled = kind
        self._wake.set()

    def give(self, order: Task, on_progress: Callable[[Working], None]) -> Report:
        """Give an order and wait until it is carried out.

        Raises:
            OperatorError: it could not be, or the node has stopped answering.
        """
        tag = os.urandom(8)
        self._begin()
        self._send(tag, order)
        heard_at = time.monotonic()
        cancelled_at: float | None = None
        while True:
            if self._cancelled is not None and cancelled_at is None:
                cancelled_at = time.monotonic()
                self._send(tag, Cancel(self._cancelled is TimedOutError))
            report = self._next_report(tag)
            now = time.monotonic()
            if report is not None:
                heard_at = now
            match report:
                case Working():
                    on_progress(report)
                case Failed(kind, message):
                    raise (self._cancelled or KINDS.get(kind, OperatorError))(message)
                case None:
                    self._check_is_there(order)
                    self._check_patience(now, heard_at, cancelled_at)
                case _:
                    return report

    def _begin(self) -> None:
        """Note whether the node was started again since it was lost."""
        for event in self._events():
            self._is_lost = event == zmq.EVENT_DISCONNECTED

    def _events(self) -> list[int]:
        """Return the events of the connection since the last call."""
        events = []
        while frames.has_mail(self._monitor):
            told, _ = self._monitor.recv_multipart(zmq.NOBLOCK)
            events.append(sockets.MONITOR.unpack(told)[0])
        return events

    def close(self) -> None:
        self._socket.disable_monitor()
        self._monitor.close()
        self._socket.close(linger=0 if self._is_lost else None)
        self._context.term()
        self._wake.close()

    def _send(self, tag: bytes, order: Order) -> None:
        self._socket.send_multipart([tag, b"", messages.encode(order)])

    def _next_report(self, tag: bytes) -> Report | None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._wake, zmq.POLLIN)
        poller.register(self._monitor, zmq.POLLIN)
        ready = dict(poller.poll(0 if self._is_lost else 500))
        self._wake.clear()
        if self._monitor in ready:
            self._is_lost = self._is_lost or zmq.EVENT_DISCONNECTED in self._events()
        if not frames.has_mail(self._socket):  # Its last report is read before its end counts.
            return None
        match self._socket.recv_multipart():
            case [own_tag, b"", body, *payload] if own_tag == tag:
                report: Report = messages.decode(body, Report)
                return Bytes(*payload) if isinstance(report, Bytes) else report
        return None

    def _check_is_there(self, order: Task) -> None:
        if self._is_lost:
            message = f"node {self._node} stopped while {_doing(order)}"
            kind = self._cancelled or NodeGoneError
            raise kind(f"{message}; start it again, then run this again")

    def _check_patience(self, now: float, heard_at: float, cancelled_at: float | None) -> None:
        if cancelled_at is not None and now - cancelled_at > CANCEL_S:
            assert self._cancelled is not None
            raise self._cancelled("cancelled; the node will stop soon")
        if now - heard_at > SILENCE_S:
            message = (
                f"node {self._node} has stopped answering; start it again, then run this again"
            )
            raise NodeGoneError(message)


def _doing(order: Task) -> str:
    match order:
        case FetchOrder(what=what):
            return f"fetching {display(what)}"
        case ShareOrder(name=name):
            return f"sharing {display(name)}"
        case ForgetOrder(what=what):
            return f"forgetting {display(what)}"
        case DiscardOrder(what=what):
            return f"discarding what is left of {display(what)}"
        case OpenOrder(what=what) | ReadOrder(what=what) | CloseOrder(what=what):
            return f"reading {display(what)}"
        case VerifyOrder(what=part):
            return "verifying everything" if part is None else f"verifying {display(part)}"
