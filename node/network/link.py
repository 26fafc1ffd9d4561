"""One connection to one holder: requests out, events in. Decides nothing."""

import socket
import struct
import time

import zmq
from blake3 import blake3
from shoal.node.fetching.inflow import Inflow
from shoal.node.fetching.steps import (
    ChunkReceived,
    Event,
    HolderConnected,
    HolderLost,
    ManifestReceived,
    NothingReceived,
    ReportNoted,
    RequestRefused,
)
from shoal.protocol import messages
from shoal.protocol.errors import MalformedMessageError
from shoal.protocol.keyring import Towards
from shoal.protocol.message import Message
from shoal.protocol.messages import (
    ChunkReply,
    Error,
    ManifestReply,
    NodeReply,
    Noted,
    Nothing,
    State,
    WrongChunk,
)
from shoal.wire import curve, frames, sockets
from shoal.wire.host_names import HOST_NAMES, HostNameError

HANDSHAKE_ROUND_TRIPS = 2  # ZMTP 3.1: greetings in two steps, then READY.
CURVE_ROUND_TRIPS = 1  # More: HELLO and WELCOME.
SENDING_BYTES = 256  # Less than this in a second is not a reply coming in.
MOST_UNASKED = 16  # Answers more than requests: some may be to those of an earlier try.
ANSWER_BYTES = 64 << 10  # The most that an answer takes besides, and one without a payload.
SLACK_BYTES = 4 << 20  # What a holder may send more than was asked of it.
REPORT_MS = 1000  # How long a closed link may still take to report a wrong chunk.
FOREIGN = "does not speak our protocol"
_TAG = struct.Struct(">Q")
_ENDS: dict[int, str] = {
    zmq.EVENT_DISCONNECTED: "closed the connection",
    zmq.EVENT_CLOSED: "cannot be reached",
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "did not complete the handshake",  # In time, or at all.
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: FOREIGN,
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "rejects our key",
}


_NO_BYTES = memoryview(b"")


class Link:
    """A DEALER and its monitor."""

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        node: str,
        address: str,
        towards: Towards | None = None,
    ) -> None:
        """Connect to a node; `towards` tells with which keys, None if there are none."""
        self.node = node
        self.address = address
        self._added_bytes = 0 if towards is None else curve.ADDED_BYTES
        self._round_trips = HANDSHAKE_ROUND_TRIPS + (0 if towards is None else CURVE_ROUND_TRIPS)
        self.reports: set[int] = set()  # Reports of wrong chunks that are not answered yet.
        self._connection: socket.socket | None = None
        self._connected_at = 0.0
        self._round_trip_s: float | None = None
        self._is_up = False
        self._last = -1, _NO_BYTES  # The id of the last request that was answered, and the bytes.
        self._unanswered = MOST_UNASKED
        self._owed_bytes = SLACK_BYTES
        self._taken_bytes = 0  # Of whole messages, and …
        self._begun_bytes = 0  # … of an incomplete one, at the last look.
        mask = int(zmq.EVENT_CONNECTED) | int(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        for kind in _ENDS:
            mask |= kind
        self.socket, self.monitor = sockets.monitored_dealer(context, mask, towards)
        self._unsent: list[list[bytes]] | None = []  # Until the host's numbers are known.
        self.reach()

    @property
    def is_reached(self) -> bool:
        """Whether it is known where to connect to."""
        return self._unsent is None

    def reach(self) -> Event | None:
        """Connect as soon as the host's numbers are known; return its loss if it has none."""
        if self._unsent is None:
            return None
        try:
            numbers = HOST_NAMES.find(self.address)
        except HostNameError as error:
            return self._ended(f"cannot be reached: {error}", lied=False)
        if numbers is not None:
            self.socket.connect(numbers)
            unsent, self._unsent = self._unsent, None
            for message in unsent:
                frames.send(self.socket, message)
        return None

    def send(self, request_id: int, message: Message, size_bytes: int = 0) -> None:
        """Send one request, which may be answered with so many bytes.

        It waits until the connection is up.
        """
        self._unanswered += 1
        self._owed_bytes += size_bytes + ANSWER_BYTES
        # Without room the holder is not reading; its deadline deals with that as with a lost reply.
        parts = [_TAG.pack(request_id), b"", messages.encode(message)]
        if self._unsent is None:
            frames.send(self.socket, parts)
        else:
            self._unsent.append(parts)

    def report(self, request_id: int, message: WrongChunk) -> None:
        """Tell the holder of a wrong chunk; no reply to that is taken for a refusal."""
        self.reports.add(request_id)
        self.send(request_id, message)

    def receive(self) -> Event | None:
        """Return the next thing that came from the holder, or None."""
        self._last = -1, _NO_BYTES
        if not frames.has_mail(self.socket):
            return None
        message = frames.receive(self.socket)
        if message is None:
            return None
        added = self._added_bytes
        self._taken_bytes += sum([frames.size_on_the_wire(frame, added) for frame in message])
        self._unanswered -= 1
        if self._unanswered < 0:
            return self._ended("answered more than was asked", lied=True)
        try:
            return self._read([frame.buffer for frame in message])
        except MalformedMessageError as error:
            return self._ended(f"sent a malformed message: {error}", lied=True)

    def take(self, request_id: int) -> memoryview:
        """Return the bytes of the reply to that request, which must be the last one received."""
        answered, payload = self._last
        assert answered == request_id
        self._last = -1, _NO_BYTES
        return payload

    def trouble(self) -> Event | None:
        """Return the loss of the connection, if it was lost. Takes in all the monitor's events."""
        lost = None
        while frames.has_mail(self.monitor):
            told, _ = self.monitor.recv_multipart(zmq.NOBLOCK)
            event, number = sockets.MONITOR.unpack(told)
            if event == zmq.EVENT_CONNECTED:
                self._connected_at = time.monotonic()
                self._connection = sockets.connection(number)
                if self._connection is not None:
                    sockets.bound_pauses(self._connection)
            elif event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                took_s = time.monotonic() - self._connected_at
                self._round_trip_s = took_s / self._round_trips
                self._is_up = True
            else:
                # Greeted by something else, it is libzmq that hangs up before the handshake.
                is_foreign = event == zmq.EVENT_DISCONNECTED and not self._is_up
                reason = FOREIGN if is_foreign else _ENDS[event]
                lost = lost or self._ended(f"{reason} ({self.address})", lied=False)
        return lost

    def greeting(self) -> HolderConnected | None:
        """Return, once, that the connection is up; `trouble` learns it from the monitor."""
        round_trip_s, self._round_trip_s = self._round_trip_s, None
        return None if round_trip_s is None else HolderConnected(self.node, round_trip_s)

    def is_sending(self) -> bool:
        """Return whether more of an incomplete reply has come in since the last call."""
        if self._connection is None:
            return False
        before, (received, _) = self._begun_bytes, sockets.transferred_bytes(self._connection)
        self._begun_bytes = received - self._taken_bytes
        return self._begun_bytes - before >= SENDING_BYTES

    def excess(self) -> Event | None:
        """Return the loss of a holder that has sent far more than was asked of it."""
        if self._connection is None:
            return None
        came, _ = sockets.transferred_bytes(self._connection)
        if came <= self._owed_bytes:
            return None
        return self._ended("sent more than was asked", lied=True)

    def bound(self, inflow: Inflow, holders: int) -> bool:
        """Bound TCP's window to the share of one of so many holders, if that is known."""
        if self._connection is None:
            return False
        window_bytes = inflow.window_bytes(holders, sockets.round_trip_s(self._connection))
        if window_bytes is None:
            return False
        sockets.bound_window(self._connection, window_bytes)
        return True

    @property
    def local_address(self) -> str | None:
        """Our own address on this connection, None while there is none."""
        if self._connection is None:
            return None
        try:
            return str(self._connection.getsockname()[0])
        except OSError:
            return None

    def close(self) -> None:
        self.socket.disable_monitor()
        self.monitor.close()
        self.socket.close(linger=REPORT_MS if self.reports else 0)
        if self._connection is not None:
            self._connection.close()

    def _read(self, parts: list[memoryview]) -> Event:
        if len(parts) not in {3, 4} or len(parts[0]) != _TAG.size or len(parts[1]) != 0:
            raise MalformedMessageError("an envelope that we did not send")
        (request_id,) = _TAG.unpack(parts[0])
        reply: NodeReply = messages.decode(bytes(parts[2]), NodeReply)
        payload = parts[3] if len(parts) > 3 else _NO_BYTES  # noqa: PLR2004 (the fourth frame)
        if isinstance(reply, Noted | Error) and request_id in self.reports:
            self.reports.remove(request_id)
            return ReportNoted(self.node, request_id)
        self._last = request_id, payload
        return self._event(reply, request_id, payload)

    def _event(self, reply: NodeReply, request_id: int, payload: memoryview) -> Event:
        match reply:
            case ChunkReply(index=index, have=have, askers=askers):
                digest, size = blake3(payload).digest(), len(payload)
                return ChunkReceived(self.node, request_id, index, size, digest, have, askers)
            case ManifestReply():
                return ManifestReceived(self.node, request_id, bytes(payload))
            case Nothing(have=have):
                return NothingReceived(self.node, request_id, have)
            case Noted():
                return ReportNoted(self.node, request_id)
            case State():
                raise MalformedMessageError("an answer to another request")
            case Error(code=code, message=message):
                return RequestRefused(self.node, request_id, code, message)

    def _ended(self, reason: str, *, lied: bool) -> Event:
        return HolderLost(self.node, reason, lied)
