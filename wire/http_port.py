"""A small HTTP server for figures and states: GET and HEAD, one short answer, and goodbye.

Not for files or users. The port may be open to strangers, so one thread serves all visitors, each
within limits; whatever they send or do not read ends with their connection.
"""

import contextlib
import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from shoal.wire.wake import Wake

log = logging.getLogger("shoal.http")

MOST_VISITORS = 32  # At a time; one more, and the one who came first has to go.
MOST_HEAD_BYTES = 8 << 10  # What browsers and Prometheus send has less than 1 KiB.
PATIENCE_S = 5.0  # For a request to come in, and again for its answer to be taken.
LINGER_S = 1.0  # For what still comes: closed with unread bytes, TCP drops the answer.
MOST_EXCESS_BYTES = 256 << 10  # Of that; who sends more wants no answer.
MOST_PER_S = 50  # Visitors; the others wait in the kernel, as our processor is needed elsewhere.
PAUSE_S = 1.0  # When no visitor can be let in, for want of descriptors.
BACKLOG = 64
PIECE_BYTES = 64 << 10
_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class Reply(NamedTuple):
    """What a visitor gets."""

    status: int
    body: bytes
    kind: str = "text/plain; charset=utf-8"


Answer = Callable[[str, str], Reply]  # Given a path, and what the visitor accepts.


class _Visitor:
    def __init__(self, sock: socket.socket, until: float) -> None:
        self.sock = sock
        self.until = until
        self.head = bytearray()
        self.unsent = memoryview(b"")
        self.is_answered = False
        self.is_leaving = False  # All is sent; what still comes is dropped, …
        self.excess_bytes = 0  # … up to a limit.


class HttpPort:
    """Serves one address, from `open` to `close`."""

    def __init__(self, answer: Answer) -> None:
        """`answer` is called from the port's thread; what it raises is our bug, and logged."""
        self._answer = answer
        self._wake = Wake()
        self._is_closing = False
        self._selector = selectors.DefaultSelector()
        self._visitors: dict[int, _Visitor] = {}  # By descriptor; who came first is first.
        self._listener: socket.socket | None = None
        self._listen_at = 0.0  # Not before, if it is not 0.
        self._second = 0  # In which …
        self._count = 0  # … so many have been let in.
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    def open(self, host: str, port: int) -> int:
        """Listen there, and begin to serve; return the port, which is chosen if 0 is given.

        Raises:
            OSError: that is impossible.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
        listener.settimeout(0)
        self._listener = listener
        self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._thread.start()
        return int(listener.getsockname()[1])

    def close(self) -> None:
        """Stop serving. Harmless if it was never opened."""
        self._is_closing = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()
        for visitor in list(self._visitors.values()):
            self._drop(visitor)
        self._selector.close()
        if self._listener is not None:
            self._listener.close()
        self._wake.close()

    def _run(self) -> None:
        while not self._is_closing:
            now = time.monotonic()
            until = min((one.until for one in self._visitors.values()), default=now + PATIENCE_S)
            if self._listen_at:
                until = min(until, self._listen_at)
            for key, _ in self._selector.select(max(0.0, until - now)):
                if key.fileobj is self._listener:
                    self._let_in(self._listener)
                elif key.fd in self._visitors:  # Not if a newer one has taken its place.
                    self._see_to(self._visitors[key.fd])
            self._let_time_pass(time.monotonic())

    def _let_in(self, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError:  # No descriptor is left; it would be said again at once, and for ever.
            self._pause(listener, time.monotonic() + PAUSE_S)
            return
        now = time.monotonic()
        if int(now) != self._second:
            self._second, self._count = int(now), 0
        self._count += 1
        if self._count >= MOST_PER_S:
            self._pause(listener, self._second + 1.0)
        sock.settimeout(0)
        if len(self._visitors) >= MOST_VISITORS:
            self._drop(next(iter(self._visitors.values())))
        self._visitors[sock.fileno()] = _Visitor(sock, now + PATIENCE_S)
        self._selector.register(sock, selectors.EVENT_READ)

    def _pause(self, listener: socket.socket, until: float) -> None:
        self._selector.unregister(listener)
        self._listen_at = until

    def _let_time_pass(self, now: float) -> None:
        for visitor in [one for one in self._visitors.values() if one.until <= now]:
            self._drop(visitor)
        if self._listen_at and now >= self._listen_at and self._listener is not None:
            self._listen_at = 0.0
            self._selector.register(self._listener, selectors.EVENT_READ)

    def _see_to(self, visitor: _Visitor) -> None:
        try:
            if visitor.is_answered and not visitor.is_leaving:
                self._send(visitor)
            else:
                self._receive(visitor)
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:  # It has gone.
            self._drop(visitor)

    def _receive(self, visitor: _Visitor) -> None:
        received = visitor.sock.recv(PIECE_BYTES)
        if not received:
            self._drop(visitor)
            return
        if visitor.is_leaving:
            visitor.excess_bytes += len(received)
            if visitor.excess_bytes > MOST_EXCESS_BYTES:
                self._drop(visitor)
            return
        visitor.head += received
        head, found, _ = bytes(visitor.head[:MOST_HEAD_BYTES]).partition(b"\r\n\r\n")
        if not found and len(visitor.head) < MOST_HEAD_BYTES:
            return
        reply, with_body = self._reply(head) if found else (_plain(431, "too long"), True)
        visitor.unsent = memoryview(_encoded(reply, with_body=with_body))
        visitor.is_answered, visitor.until = True, time.monotonic() + PATIENCE_S
        self._selector.modify(visitor.sock, selectors.EVENT_WRITE)
        self._send(visitor)

    def _reply(self, head: bytes) -> tuple[Reply, bool]:
        """Return the answer to a request, and whether its body is wanted."""
        line, *fields = head.decode("latin-1").split("\r\n")
        match line.split(" "):
            case ["GET" | "HEAD" as method, target, "HTTP/1.0" | "HTTP/1.1"]:
                pass
            case [_, _, "HTTP/1.0" | "HTTP/1.1"]:
                return _plain(405, "only GET and HEAD"), True
            case _:
                return _plain(400, "this is HTTP/1.1"), True
        names = (field.partition(":") for field in fields)
        accepted = [value.strip() for name, _, value in names if name.lower() == "accept"]
        try:
            reply = self._answer(target.partition("?")[0], ",".join(accepted))
        except Exception as error:  # noqa: BLE001 (a bug: it costs one answer, not the service)
            log.warning("a bug in answering %s: %r", target[:100], error)
            reply = _plain(500, "see the log")
        return reply, method == "GET"

    def _send(self, visitor: _Visitor) -> None:
        sent = visitor.sock.send(visitor.unsent)
        visitor.unsent = visitor.unsent[sent:]
        if not visitor.unsent:
            visitor.is_leaving, visitor.until = True, time.monotonic() + LINGER_S
            self._selector.modify(visitor.sock, selectors.EVENT_READ)
            visitor.sock.shutdown(socket.SHUT_WR)

    def _drop(self, visitor: _Visitor) -> None:
        del self._visitors[visitor.sock.fileno()]
        with contextlib.suppress(KeyError):
            self._selector.unregister(visitor.sock)
        visitor.sock.close()


def _plain(status: int, text: str) -> Reply:
    return Reply(status, f"{text}\n".encode())


def _encoded(reply: Reply, *, with_body: bool) -> bytes:
    lines = [
        f"HTTP/1.1 {reply.status} {_REASONS[reply.status]}",
        f"Content-Type: {reply.kind}",
        f"Content-Length: {len(reply.body)}",
        "Cache-Control: no-store",
        "Connection: close",
        *(["Allow: GET, HEAD"] if reply.status == 405 else []),  # noqa: PLR2004 (as HTTP has it)
    ]
    head = "".join(f"{line}\r\n" for line in [*lines, ""])
    return head.encode() + (reply.body if with_body else b"")
