"""Takes orders from commands on this machine; the agent carries them out, each in a thread."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import zmq
from shoal.node.files.placing import remove
from shoal.protocol import messages
from shoal.protocol.control import (
    Bytes,
    Cancel,
    Failed,
    Order,
    Report,
    ShareOrder,
    Task,
    Working,
)
from shoal.protocol.errors import (
    BugError,
    DiskError,
    Kind,
    MalformedMessageError,
    NobodyAliveError,
    OperatorError,
    StoppedError,
    TimedOutError,
    refused,
)
from shoal.protocol.fields import MAX_TEXT_CHARACTERS
from shoal.system.pulse import Pulse
from shoal.wire import control_socket
from shoal.wire.wake import Wake

log = logging.getLogger("shoal.node")

ALIVE_S = 1.0
MAX_ORDERS = 64  # At a time; each is a thread.

Sender = tuple[bytes, bytes]  # The routing id of the command's connection, and its order's tag.


class Worker(Protocol):
    """Carries out orders: the agent of the node that owns the folder."""

    def carry_out(self, order: Task, on_progress: Callable[[Working], None]) -> Report:
        """Return the report that ends the order; raise OperatorError if it cannot be done."""

    def cancel(self, order: Task, kind: Kind) -> None:
        """Stop carrying out an order, if that takes long and stopping loses nothing."""


class ControlServer:
    """The ROUTER for one worker and its folder; `run` is its loop, `stop` ends it."""

    def __init__(self, worker: Worker, folder: Path) -> None:
        self._worker = worker
        self._folder = folder
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._reports: queue.SimpleQueue[tuple[Sender, Report]] = queue.SimpleQueue()
        self._orders: dict[Sender, Task] = {}
        self._alive_at = 0.0
        self._wake = Wake()
        self.pulse = Pulse()
        self._is_stopping = False

    def run(self) -> None:
        """Take orders until `stop` is called; then wait for those that are being carried out.

        Raises:
            OperatorError: the socket cannot be created where commands expect it.
        """
        sock = self._open()
        poller = zmq.Poller()
        poller.register(sock, zmq.POLLIN)
        poller.register(self._wake, zmq.POLLIN)
        try:
            while not self._is_stopping or self._orders:
                self.pulse.rest()
                ready = dict(poller.poll(int(1000 * ALIVE_S) if self._orders else None))
                self.pulse.since = now = time.monotonic()
                self._say_alive(now)
                self._wake.clear()
                if sock in ready:
                    self._take(sock)
                self._pass_on(sock)
        finally:
            sock.close()
            self._context.term()
            self._wake.close()

    def stop(self) -> None:
        """Take no more orders. May be called from a signal handler."""
        self._is_stopping = True
        self._wake.set()

    def _open(self) -> "zmq.Socket[bytes]":
        place = control_socket.place_of(self._folder)
        if place.is_dir():  # ZeroMQ removes only files.
            remove(place)
        try:
            return control_socket.node_end(self._context, self._folder)
        except (zmq.ZMQError, OSError) as error:
            self._context.term()
            self._wake.close()
            message = f"cannot take orders at {place}: {error.strerror}"
            raise DiskError(f"{message}; remove what is there") from None

    def _take(self, sock: "zmq.Socket[bytes]") -> None:
        try:
            frames = sock.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return
        match frames:
            case [connection, tag, b"", body]:
                sender = connection, tag
            case _:
                return
        try:
            order: Order = messages.decode(body, Order, control_socket.MAX_ORDER_BYTES)
        except MalformedMessageError as error:
            self._reports.put((sender, Failed(OperatorError.kind, f"not an order: {error}")))
            return
        if isinstance(order, Cancel):
            task = self._orders.get(sender)
            if task is not None:
                kind = TimedOutError if order.timed_out else StoppedError
                self._worker.cancel(task, kind)
        elif self._is_stopping or len(self._orders) >= MAX_ORDERS:
            self._reports.put(
                (sender, Failed(NobodyAliveError.kind, "the node is busy or stopping"))
            )
        else:
            self._orders[sender] = order
            arguments = (sender, order)
            threading.Thread(target=self._carry_out, args=arguments, daemon=True).start()

    def _carry_out(self, sender: Sender, order: Task) -> None:
        try:
            report = self._worker.carry_out(order, lambda working: self._report(sender, working))
        except OperatorError as error:
            report = _failed(error)
        except OSError as error:
            report = _failed(refused(error))
        except Exception as error:
            log.exception("an order failed")
            message = f"the node ran into a bug: {error!r}"
            report = Failed(BugError.kind, message[:MAX_TEXT_CHARACTERS])
        self._report(sender, report)

    def _say_alive(self, now: float) -> None:
        """Tell all waiting commands that their orders are still being carried out."""
        if now >= self._alive_at:
            self._alive_at = now + ALIVE_S
            for sender, order in self._orders.items():
                what = order.name if isinstance(order, ShareOrder) else order.what
                self._reports.put((sender, Working(what or "*", 0, None, None)))

    def _report(self, sender: Sender, report: Report) -> None:
        self._reports.put((sender, report))
        self._wake.set()

    def _pass_on(self, sock: "zmq.Socket[bytes]") -> None:
        while not self._reports.empty():
            sender, report = self._reports.get()
            if not isinstance(report, Working):
                self._orders.pop(sender, None)
            connection, tag = sender
            frames = [connection, tag, b"", messages.encode(report)]
            if isinstance(report, Bytes):
                frames[-1:] = [messages.encode(Bytes()), report.data]
            try:
                sock.send_multipart(frames, zmq.NOBLOCK, copy=False)
            except zmq.Again:
                pass  # The command does not read; later reports will tell it.


def _failed(error: OperatorError) -> Failed:
    return Failed(error.kind, str(error)[:MAX_TEXT_CHARACTERS])
