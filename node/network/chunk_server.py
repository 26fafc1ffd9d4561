"""The node's address and its thread: requests in, manifests and chunks out.

Decides nothing (serving). The address is a ROUTER, so that one asker can wait while another is
served; the REPs behind it (readers) read what is not in memory.
"""

import functools
import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import zmq
from shoal.node.folder.inventory import Inventory
from shoal.node.folder.whole import Whole
from shoal.node.network.flows import Flows
from shoal.node.network.front import Front
from shoal.node.network.readers import Readers, Reading, read
from shoal.node.serving import steps
from shoal.node.serving.background import Sample
from shoal.node.serving.drive import CarryOut, drive
from shoal.node.serving.server import Server
from shoal.node.serving.settings import NodeSettings
from shoal.node.serving.warmth import Warmth
from shoal.protocol.messages import State
from shoal.protocol.names import display
from shoal.system.pulse import Pulse
from shoal.wire.curve import Gate
from shoal.wire.wake import Wake

log = logging.getLogger("shoal.node")

_IN, _FOREVER_MS = int(zmq.POLLIN), -1
LOOK_S = 0.01  # How often to see what may be sent, at most.
STOP_S = 2.0  # How long a disk may take before its thread is left alone.


class Uplink(Protocol):
    """How much a node may send; it hears how much it sends. Rates are in bytes/s."""

    @property
    def patience_s(self) -> float:
        """How long to wait at most before calling `sent` again."""

    def sent(self, sent_bytes: int, now: float, *, is_busy: bool) -> None:
        """Note how much was sent since the start, and whether it goes on."""

    def up(self, now: float) -> int | None:
        """Return what may be sent; None: as much as can be."""

    def pace(self) -> int | None:
        """Return what the kernel may send; None: as much as it can."""

    def to_hosts(self) -> Mapping[str, int]:
        """Return what may be sent to single hosts, by their addresses."""

    def wants_samples(self, now: float) -> bool:
        """Say whether to look at the connections now."""

    def sampled(self, samples: Iterable[Sample], now: float) -> None:
        """Take in what the connections have shown since the last time."""


class ChunkServer:
    """Serves an inventory at one address, from `start` to `stop`.

    It has a context of its own, so that nothing else can keep its I/O thread: libzmq looks names up
    in there.
    """

    def __init__(
        self,
        inventory: Inventory,
        on_gone: Callable[[str], None],
        on_wrong: Callable[[str, int], None],
        state_of: Callable[[str, str | None], State],
        settings: NodeSettings,
        uplink: Uplink,
    ) -> None:
        """`on_gone` gets the name of a file that is found to have changed.

        `on_wrong` gets the id of a thing and the index of a chunk that another node says is wrong.
        `state_of` returns how much of a name's version is here, without waiting for anything.
        `uplink` tells what may be sent at a time.
        """
        self._on_gone = on_gone
        self._on_wrong = on_wrong
        self._state_of = state_of
        says_all = log.isEnabledFor(logging.DEBUG)
        self._server = Server(inventory, 0.0 if says_all else settings.say_s)
        self.sent = self._server.sent
        self.pulse = Pulse()
        self._uplink = uplink
        self._flows = Flows()
        self._limit = steps.LimitChanged(None)  # As the server has been told.
        self._look_at = 0.0
        self._warmth = Warmth()
        self._wake = Wake()
        self._is_stopping = False
        self._thread: threading.Thread | None = None
        self._front: Front | None = None

    @property
    def sent_bytes(self) -> int:
        """How much was sent since the start. May be asked from any thread."""
        return 0 if self._front is None else self._front.sent_bytes

    @property
    def waiting_count(self) -> int:
        """How many requests wait. May be asked from any thread."""
        return self._server.waiting_count

    def start(self, address: str, gate: Gate | None = None) -> None:
        """Bind and begin to serve, with a `gate` those with keys alone.

        Raises:
            OperatorError: the address cannot be bound.
        """
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            front = Front(context, address, gate)
        except BaseException:
            context.term()
            raise
        self._front = front
        work = context, front
        self._thread = threading.Thread(target=self._run, args=work, name="serve", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._is_stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self._wake.close()

    def _run(self, context: "zmq.Context[zmq.Socket[bytes]]", front: Front) -> None:
        readers = Readers(context)
        try:
            self._serve(front, readers)
        finally:
            front.close()
            if readers.close(STOP_S):
                context.term()

    def _serve(self, front: Front, readers: Readers) -> None:
        carry_out = functools.partial(self._carry_out, front, readers)
        polled: list[tuple[Any, int]] = [
            (each, _IN) for each in (*front.sockets, self._wake.fileno())
        ]
        also_readers = polled + [(each, _IN) for each in readers.sockets]
        ready: list[Any] = []
        while not self._is_stopping:
            self.pulse.since = now = time.monotonic()
            for event in front.news(ready, now):
                self._tell(carry_out, event)
            if readers.are_busy:
                for reading in readers.taken():
                    self._tell(carry_out, self._noted(reading))
            self._look_at_limit(carry_out, front, time.monotonic())
            wait_s = self._server.deadline(now := time.monotonic()) - now
            if wait_s <= 0:
                self._tell(carry_out, steps.TimePassed())
            sources = also_readers if readers.are_busy else polled
            wait_s = min(wait_s, front.patience_s, self._uplink.patience_s)
            self.pulse.rest()
            ready = [each for each, _ in zmq.zmq_poll(sources, _milliseconds(wait_s))]

    def _look_at_limit(self, carry_out: CarryOut, front: Front, now: float) -> None:
        if now < self._look_at:
            return
        self._look_at = now + LOOK_S
        self._uplink.sent(front.sent_bytes, now, is_busy=self._server.is_busy)
        if self._uplink.wants_samples(now):
            active = self._server.active(now)
            self._uplink.sampled(self._flows.samples(front, active, now), now)
        paces = self._uplink.pace(), self._uplink.to_hosts()
        limit = steps.LimitChanged(self._uplink.up(now), *paces)
        if limit != self._limit:
            self._limit = limit
            self._tell(carry_out, limit)

    def _tell(self, carry_out: CarryOut, event: steps.Event) -> None:
        """Tell the server of an event; a bug in answering costs that answer, and not the node."""
        try:
            drive(self._handle, carry_out, event)
        except Exception:
            numbers = steps.requests_of(event)
            if not numbers:
                raise
            log.exception("a request could not be answered")
            for number in numbers:
                drive(self._handle, carry_out, steps.AnswerFailed(number))

    def _handle(self, event: steps.Event) -> list[steps.Action]:
        return self._server.handle(event, time.monotonic())

    def _carry_out(  # noqa: C901, PLR0912 (one table of all actions)
        self, front: Front, readers: Readers, action: steps.Action
    ) -> steps.Event | None:
        match action:
            case steps.SendReply():
                return front.reply(action)
            case steps.ReadChunk():
                if self._warmth.is_warm(action.shared.id, time.monotonic()):
                    return self._noted(read(action))
                readers.ask(action)
            case steps.LogUpload(name, index, count, node):
                log.info("Uploading %s (%d/%d) to %s", display(name), index + 1, count, node)
            case steps.FindState(number, name, version):
                return steps.StateFound(number, self._state_of(name, version))
            case steps.CheckChunk(content_id, index):
                self._on_wrong(content_id, index)
            case steps.Withdraw(shared, reason):
                self._withdraw(shared, reason)
            case steps.SetPace(source, rate):
                front.pace(source, rate)
            case steps.EndPaces():
                front.end_paces()
            case steps.End(source, reason):
                front.end(source, reason)
        return None

    def _noted(self, reading: Reading) -> steps.Event:
        """Remember whether a chunk was in memory; return what came of reading it."""
        event = reading.event
        size_bytes = len(event.data) if isinstance(event, steps.ChunkRead) else 0
        shared = reading.action.shared
        self._warmth.note(shared.id, size_bytes, reading.took_s, time.monotonic())
        return event

    def _withdraw(self, shared: steps.Shared, reason: str) -> None:
        log.warning("can no longer serve %s", display(reason))
        if isinstance(shared, Whole):  # A part ends with its fetch, and may be whole by now.
            self._on_gone(shared.name)


def _milliseconds(wait_s: float) -> int:
    return _FOREVER_MS if math.isinf(wait_s) else max(0, math.ceil(1000 * wait_s))
