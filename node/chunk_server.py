"""The REP socket and its thread: requests in, manifests and chunks out. Decides nothing (serving).

Each request gets exactly one reply, whatever happens: a REP that does not reply is stuck for good.
"""

import collections
import logging
import threading
import time
from collections.abc import Callable

import zmq

from node.library import GoneError, Library
from node.serving import Answer, SendChunk, SendError, SendManifest, SendNothing, Serving
from node.settings import NodeSettings
from protocol import messages
from protocol.errors import MalformedMessageError, UnsupportedMessageError, WireCode
from protocol.messages import ChunkReply, ChunkRequest, Error, ManifestReply, NodeRequest, Nothing
from protocol.names import display
from wire import sockets
from wire.wake import Wake

log = logging.getLogger("shoal.node")

MAX_UNSENT_BYTES = 64 << 20  # Replies that libzmq still holds, for all askers together.


class ChunkServer:
    """Serves a library at one address, from `start` to `stop`."""

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        library: Library,
        on_gone: Callable[[str], None],
        settings: NodeSettings,
    ) -> None:
        """`on_gone` is told the name of a file that is found to have changed."""
        self.chunks_served = 0
        self.bytes_served = 0
        self._context = context
        self._library = library
        self._on_gone = on_gone
        self._serving = Serving(library)
        self._talk = _Talk(settings.say_s)
        self._unsent: collections.deque[tuple[zmq.MessageTracker, int]] = collections.deque()
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
        poller = zmq.Poller()
        poller.register(sock, zmq.POLLIN)
        poller.register(self._wake, zmq.POLLIN)
        try:
            while not self._is_stopping:
                poller.poll()
                self._serve_one(sock)
        finally:
            sock.close()

    def _serve_one(self, sock: "zmq.Socket[bytes]") -> None:
        try:
            frames = sock.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return  # A request without its delimiter makes poll speak and recv not.
        try:
            reply = self._answer(frames)
        except Exception:
            log.exception("a request could not be answered")
            reply = [messages.encode(Error(WireCode.INTERNAL, "this node made a mistake"))]
        if len(reply) == 1:
            sock.send(reply[0])
            return
        sock.send(reply[0], zmq.SNDMORE)
        tracker = sock.send(reply[1], copy=False, track=True)
        self._unsent.append((tracker, len(reply[1])))

    def _answer(self, frames: list[bytes]) -> list[bytes]:
        try:
            request = _request_in(frames)
        except UnsupportedMessageError as error:
            return [messages.encode(Error(WireCode.UNSUPPORTED, str(error)))]
        except MalformedMessageError as error:
            return [messages.encode(Error(WireCode.MALFORMED, str(error)))]
        if self._is_overfull():
            return [messages.encode(Error(WireCode.BUSY, "too many replies are waiting"))]
        return self._carry_out(self._serving.handle(request), request)

    def _carry_out(self, answer: Answer, request: NodeRequest) -> list[bytes]:
        match answer:
            case SendManifest(shared):
                return [messages.encode(ManifestReply(shared.id, shared.name)), shared.data]
            case SendChunk():
                assert isinstance(request, ChunkRequest)
                return self._read(answer, request.node)
            case SendNothing(have):
                return [messages.encode(Nothing(have))]
            case SendError(code, message):
                return [messages.encode(Error(code, message))]

    def _read(self, answer: SendChunk, asker: str) -> list[bytes]:
        shared = answer.shared
        try:
            data = shared.read(answer.index)
        except GoneError as error:
            log.warning("cannot serve any more: %s", display(str(error)))
            self._on_gone(shared.name)
            return [messages.encode(Error(WireCode.GONE, str(error)))]
        self._talk.uploading(shared.name, answer.index, shared.chunk_count, asker)
        self.chunks_served += 1
        self.bytes_served += len(data)
        return [messages.encode(ChunkReply(answer.index, answer.have)), data]

    def _is_overfull(self) -> bool:
        while self._unsent and self._unsent[0][0].done:
            self._unsent.popleft()
        if sum(size for _, size in self._unsent) <= MAX_UNSENT_BYTES:
            return False
        self._unsent = collections.deque(pair for pair in self._unsent if not pair[0].done)
        return sum(size for _, size in self._unsent) > MAX_UNSENT_BYTES


def _request_in(frames: list[bytes]) -> NodeRequest:
    if len(frames) != 1:
        raise MalformedMessageError("a request has one frame after the delimiter")
    limit = messages.MAX_CHUNK_REQUEST_BYTES
    request: NodeRequest = messages.decode(frames[0], NodeRequest, limit)
    return request


class _Talk:
    """Says who is served what: each of the first parts, then one line a second (S12)."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._said: collections.OrderedDict[tuple[str, str], tuple[int, float]] = (
            collections.OrderedDict()
        )

    def uploading(self, name: str, index: int, count: int, node: str) -> None:
        now = time.monotonic()
        said, last = self._said.get((name, node), (0, 0.0))
        if said >= SAY_ALWAYS and now - last < self._every_s:
            return
        self._said[name, node] = said + 1, now
        if len(self._said) > MAX_CONVERSATIONS:
            self._said.popitem(last=False)
        log.info("Uploading %s (%d/%d) to %s", display(name), index + 1, count, node)


SAY_ALWAYS = 8
MAX_CONVERSATIONS = 1024
