"""The REP socket and its thread: requests in, manifests and chunks out. Decides nothing (serving).

Each request gets exactly one reply, whatever happens: a REP that does not reply is stuck for good.
"""

import collections
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
from shoal.node.serving.answering import (
    Answer,
    SendChunk,
    SendError,
    SendManifest,
    SendNothing,
    Serving,
    TakeNote,
    TellState,
)
from shoal.node.serving.pacing import Pacing
from shoal.node.serving.settings import NodeSettings
from shoal.node.serving.turns import Source
from shoal.protocol import messages
from shoal.protocol.errors import MalformedMessageError, UnsupportedMessageError, WireCode
from shoal.protocol.messages import (
    ChunkReply,
    ChunkRequest,
    Error,
    ManifestReply,
    NodeRequest,
    Noted,
    Nothing,
    State,
)
from shoal.protocol.names import display
from shoal.wire import frames, sockets
from shoal.wire.releases import Releases
from shoal.wire.wake import Wake

log = logging.getLogger("shoal.node")

_MORE, _IN, _FOR_EVER = int(zmq.SNDMORE), int(zmq.POLLIN), -1
IN_A_ROW = 16  # Requests that are served before all else is looked at once more.
STUCK_MS = 50  # How often to look whether one who waits for his reply is stuck (node.pacing).


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
        """`on_gone` is told the name of a file that is found to have changed.

        `on_wrong` is told the id of a thing, and which chunk of it somebody says was wrong.
        `state_of` says how much is here of a name's version, and waits for nothing.
        """
        self.replies = 0
        self.bytes_served = 0
        self._context = context
        self._inventory = inventory
        self._on_gone = on_gone
        self._on_wrong = on_wrong
        self._state_of = state_of
        self._serving = Serving(inventory, random.Random())  # noqa: S311 (whose turn it is)
        self._talk = _Talk(settings.say_s)
        self._pacing = Pacing()
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
        releases = Releases()
        pausing: list[tuple[Any, int]] = [(self._wake.fileno(), _IN), (releases.socket, _IN)]
        serving = [*pausing, (sock, _IN)]
        try:
            while not self._is_stopping:
                self._serve_what_waits(sock, releases)
                if self._pacing.allows(time.monotonic()):
                    zmq.zmq_poll(serving, _FOR_EVER)
                else:  # Until a reply has left, or one that has not may be stuck.
                    zmq.zmq_poll(pausing, STUCK_MS)
        finally:
            sock.close()
            releases.close()

    def _serve_what_waits(self, sock: "zmq.Socket[bytes]", releases: Releases) -> None:
        for _ in range(IN_A_ROW):
            now = time.monotonic()
            for number in releases.taken():
                self._pacing.left(number, now)
            if not self._pacing.allows(now) or not frames.has_mail(sock):
                return
            self._serve_one(sock, releases)

    def _serve_one(self, sock: "zmq.Socket[bytes]", releases: Releases) -> None:
        parts = frames.receive(sock)
        if parts is None:
            return  # A request without its delimiter makes poll speak and recv not.
        try:
            reply = self._answer(parts)
        except Exception:
            log.exception("a request could not be answered")
            reply = [messages.encode(Error(WireCode.INTERNAL, "this node made a mistake"))]
        if len(reply) == 1:
            sock.send(reply[0])
            return
        sock.send(reply[0], _MORE)
        number = releases.send(sock, reply[1])
        if number is not None:
            self._pacing.queued(number, len(reply[1]), time.monotonic())

    def _answer(self, parts: list[zmq.Frame]) -> list[bytes]:
        try:
            request = _request_in(parts)
        except UnsupportedMessageError as error:
            return [messages.encode(Error(WireCode.UNSUPPORTED, str(error)))]
        except MalformedMessageError as error:
            return [messages.encode(Error(WireCode.MALFORMED, str(error)))]
        if self._pacing.is_overfull:
            return [messages.encode(Error(WireCode.BUSY, "too many replies are waiting"))]
        source = Source(*frames.origin(parts[0]))
        return self._carry_out(self._serving.handle(request, source, time.monotonic()), request)

    def _carry_out(self, answer: Answer, request: NodeRequest) -> list[bytes]:
        match answer:
            case SendManifest(shared):
                self.replies += 1
                return [messages.encode(ManifestReply(shared.id, shared.name)), shared.data]
            case SendChunk():
                assert isinstance(request, ChunkRequest)
                return self._read(answer, request.node)
            case SendNothing(have):
                return [messages.encode(Nothing(have))]
            case TakeNote(shared, index):
                self._on_wrong(shared.id, index)
                return [messages.encode(Noted())]
            case TellState(name, content_id):
                return [messages.encode(self._state_of(name, content_id))]
            case SendError(code, message):
                return [messages.encode(Error(code, message))]

    def _read(self, answer: SendChunk, asker: str) -> list[bytes]:
        shared = answer.shared
        try:
            data = shared.read(answer.index)
        except GoneError as error:
            log.warning("cannot serve any more: %s", display(str(error)))
            if isinstance(shared, Whole):  # A part ends with its fetch, and may be whole now.
                self._on_gone(shared.name)
            return [messages.encode(Error(WireCode.GONE, "does not have it any more"))]
        self._talk.uploading(shared.name, answer.index, shared.chunk_count, asker)
        self.replies += 1
        self.bytes_served += len(data)
        return [messages.encode(ChunkReply(answer.index, answer.have, answer.askers)), data]


def _request_in(parts: list[zmq.Frame]) -> NodeRequest:
    if len(parts) != 1:
        raise MalformedMessageError("a request has one frame after the delimiter")
    limit = messages.MAX_CHUNK_REQUEST_BYTES
    request: NodeRequest = messages.decode(parts[0].bytes, NodeRequest, limit)
    return request


class _Talk:
    """Says who is served what: the first parts, then one line a second for each asker (S12).

    But only a few lines a second in all, beside the very first of a few askers: a line costs 0.1
    ms, and a swarm of 32 would have 256 at its start.
    """

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._said: collections.OrderedDict[tuple[str, str], tuple[int, float]] = (
            collections.OrderedDict()
        )
        self._recent: collections.deque[float] = collections.deque([-BURST_S] * BURST, BURST)

    def uploading(self, name: str, index: int, count: int, node: str) -> None:
        now = time.monotonic()
        said, last = self._said.get((name, node), (0, -self._every_s))
        is_quiet = said >= SAY_EARLY and now - last < self._every_s
        is_news = said < SAY_ALWAYS and len(self._said) <= MANY_ASKERS
        if is_quiet or (not is_news and now - self._recent[0] < BURST_S):
            return
        self._recent.append(now)
        self._said[name, node] = said + 1, now
        if len(self._said) > MAX_CONVERSATIONS:
            self._said.popitem(last=False)
        log.info("Uploading %s (%d/%d) to %s", display(name), index + 1, count, node)


SAY_ALWAYS = 2
MANY_ASKERS = 16
SAY_EARLY = 8
BURST, BURST_S = 24, 6.0
MAX_CONVERSATIONS = 1024
