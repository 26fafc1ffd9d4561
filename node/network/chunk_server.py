"""The REP socket and its thread: requests in, manifests and chunks out. Decides nothing (serving).

Each request gets exactly one reply, whatever happens: a REP that does not reply is stuck for good.
"""

import functools
import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import zmq
from shoal.node.files.signature import GoneError
from shoal.node.folder.inventory import Inventory
from shoal.node.folder.whole import Whole
from shoal.node.serving import steps
from shoal.node.serving.drive import CarryOut, drive
from shoal.node.serving.pacing import COUNTED_BYTES
from shoal.node.serving.server import Server
from shoal.node.serving.settings import NodeSettings
from shoal.protocol import messages
from shoal.protocol.errors import MalformedMessageError, UnsupportedMessageError, WireCode
from shoal.protocol.messages import NodeRequest, State
from shoal.protocol.names import display
from shoal.wire import frames, sockets
from shoal.wire.releases import Releases
from shoal.wire.wake import Wake

log = logging.getLogger("shoal.node")

_IN, _FOREVER_MS = int(zmq.POLLIN), -1
IN_A_ROW = 16  # Requests that are served before looking whether to stop.


class ChunkServer:
    """Serves an inventory at one address, from `start` to `stop`."""

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        inventory: Inventory,
        on_gone: Callable[[str], None],
        on_wrong: Callable[[str, int], None],
        state_of: Callable[[str, str | None], State],
        settings: NodeSettings,
    ) -> None:
        """`on_gone` gets the name of a file that is found to have changed.

        `on_wrong` gets the id of a thing and the index of a chunk that another node says is wrong.
        `state_of` returns how much of a name's version is here, without waiting for anything.
        """
        self._context = context
        self._on_gone = on_gone
        self._on_wrong = on_wrong
        self._state_of = state_of
        rng = random.Random()  # noqa: S311 (whose turn it is)
        self._server = Server(inventory, rng, settings.say_s)
        self._wake = Wake()
        self._is_stopping = False
        self._thread: threading.Thread | None = None

    def start(self, address: str) -> None:
        """Bind and begin to serve; raises OperatorError if the address cannot be bound."""
        sock = sockets.replier(self._context, address)
        self._thread = threading.Thread(target=self._run, args=(sock,), name="serve", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._is_stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self._wake.close()

    def _run(self, sock: "zmq.Socket[bytes]") -> None:
        rep = _Rep(sock)
        tell = functools.partial(self._tell, rep, functools.partial(self._carry_out, rep))
        paused: list[tuple[Any, int]] = [(self._wake.fileno(), _IN), (rep.releases.socket, _IN)]
        listening = [*paused, (sock, _IN)]
        try:
            while not self._is_stopping:
                self._serve_what_waits(rep, tell)
                if rep.unanswered is None:
                    zmq.zmq_poll(listening, _FOREVER_MS)
                elif not zmq.zmq_poll(paused, self._pause_ms()):
                    tell(steps.TimePassed())
        finally:
            rep.close()

    def _pause_ms(self) -> int:
        deadline = self._server.deadline
        assert deadline is not None  # A request is waiting.
        return 1 + max(0, int(1000 * (deadline - time.monotonic())))

    def _serve_what_waits(self, rep: "_Rep", tell: Callable[[steps.Event], None]) -> None:
        for _ in range(IN_A_ROW):
            for number in rep.releases.taken():
                tell(steps.ReplyLeft(number))
            arrived = rep.receive() if rep.unanswered is None else None
            if arrived is None:
                return
            tell(arrived)

    def _tell(self, rep: "_Rep", carry_out: CarryOut, event: steps.Event) -> None:
        try:
            drive(self._handle, carry_out, event)
        except Exception:
            if rep.unanswered is None:
                raise
            log.exception("a request could not be answered")
            drive(self._handle, carry_out, steps.AnswerFailed(rep.unanswered))

    def _handle(self, event: steps.Event) -> list[steps.Action]:
        return self._server.handle(event, time.monotonic())

    def _carry_out(self, rep: "_Rep", action: steps.Action) -> steps.Event | None:
        match action:
            case steps.SendReply():
                rep.reply(action)
            case steps.ReadChunk():
                return _read(action)
            case steps.LogUpload(name, index, count, node):
                log.info("Uploading %s (%d/%d) to %s", display(name), index + 1, count, node)
            case steps.FindState(number, name, version):
                return steps.StateFound(number, self._state_of(name, version))
            case steps.CheckChunk(content_id, index):
                self._on_wrong(content_id, index)
            case steps.Withdraw(shared, reason):
                self._withdraw(shared, reason)
        return None

    def _withdraw(self, shared: steps.Shared, reason: str) -> None:
        log.warning("can no longer serve %s", display(reason))
        if isinstance(shared, Whole):  # A part ends with its fetch, and may be whole by now.
            self._on_gone(shared.name)


class _Rep:
    """The socket, and which request it has to answer before it takes the next."""

    def __init__(self, sock: "zmq.Socket[bytes]") -> None:
        sock.copy_threshold = COUNTED_BYTES
        self.releases = Releases()
        self.unanswered: int | None = None
        self._sock = sock
        self._count = 0

    def receive(self) -> steps.Arrived | None:
        """Return the next request, under a new number; None if there is none."""
        if not frames.has_mail(self._sock):
            return None
        parts = frames.receive(self._sock)
        if parts is None:
            return None  # A request without a delimiter: libzmq announces it and drops it.
        self._count += 1
        self.unanswered = self._count
        source = steps.Source(*frames.origin(parts[0]))
        try:
            return steps.RequestArrived(self._count, source, _request_in(parts))
        except UnsupportedMessageError as error:
            return steps.NonsenseArrived(self._count, source, WireCode.UNSUPPORTED, str(error))
        except MalformedMessageError as error:
            return steps.NonsenseArrived(self._count, source, WireCode.MALFORMED, str(error))

    def reply(self, action: steps.SendReply) -> None:
        """Answer the request."""
        assert action.number == self.unanswered
        body, payload = messages.encode(action.message), action.payload
        if payload is None:
            frames.send(self._sock, [body])
        elif action.is_counted:
            frames.begin(self._sock, body)
            self.releases.send(self._sock, payload, action.number)
        else:
            frames.send(self._sock, [body, payload])
        self.unanswered = None

    def close(self) -> None:
        self._sock.close()
        self.releases.close()


def _read(action: steps.ReadChunk) -> steps.Event:
    try:
        return steps.ChunkRead(action.number, action.shared.read(action.index))
    except GoneError as error:
        return steps.ChunkGone(action.number, str(error))


def _request_in(parts: list[zmq.Frame]) -> NodeRequest:
    if len(parts) != 1:
        raise MalformedMessageError("a request has one frame after the delimiter")
    limit = messages.MAX_CHUNK_REQUEST_BYTES
    request: NodeRequest = messages.decode(parts[0].bytes, NodeRequest, limit)
    return request
