"""Asks the tracker: one request at a time, with a deadline and retries. Judges no reply."""

import os
import random
import time
from collections.abc import Callable

import zmq
from shoal.protocol import messages
from shoal.protocol.errors import MalformedMessageError, TrackerError, WireCode
from shoal.protocol.messages import Message, TrackerReply
from shoal.wire import frames, sockets

PATIENCE_S = 1.0  # For one try.
TRIES = 3  # So an unreachable tracker is noticed within 3 s.
CHECK_S = 0.1
TAG_BYTES = 8


class TrackerClient:
    """A DEALER to the tracker. Register `socket` with a poller, or use `ask` alone."""

    def __init__(
        self, context: "zmq.Context[zmq.Socket[bytes]]", address: str, tries: int = TRIES
    ) -> None:
        self.address = address
        self.tries = tries
        self.socket = sockets.tracker_dealer(context, address, random.SystemRandom())
        self._tag = b""
        self._body = b""
        self._tries_left = 0
        self._due = 0.0

    @property
    def is_waiting(self) -> bool:
        return self._body != b""

    @property
    def deadline(self) -> float | None:
        """When to call `receive` even if nothing has arrived, in monotonic seconds."""
        return self._due if self.is_waiting else None

    def send(self, message: Message, now: float) -> None:
        """Send `message`, and give up an earlier one that has not been answered."""
        self._body = messages.encode(message)
        self._tries_left = self.tries
        self._try(now)

    def receive(self, now: float) -> TrackerReply | None:
        """Return the reply, or None if there is none yet.

        Raises:
            TrackerError: there will be none.
        """
        while self.is_waiting and frames.has_mail(self.socket):
            reply = self._read(self.socket.recv_multipart(zmq.NOBLOCK))
            if reply is not None:
                self._body = b""
                return reply
        if self.is_waiting and now >= self._due:
            if self._tries_left == 0:
                self._body = b""
                raise TrackerError(unreachable(self.address))
            self._try(now)
        return None

    def ask(self, message: Message, check: Callable[[], None] = lambda: None) -> TrackerReply:
        """Send `message` and wait for the reply; `check` is called meanwhile, and may raise.

        Raises:
            TrackerError: there is none.
        """
        self.send(message, time.monotonic())
        while True:
            reply = self.receive(time.monotonic())
            if reply is not None:
                return reply
            check()
            left_s = min(CHECK_S, self._due - time.monotonic())
            self.socket.poll(max(1, int(1000 * left_s)))

    def close(self) -> None:
        self.socket.close()

    def _try(self, now: float) -> None:
        self._tries_left -= 1
        self._due = now + PATIENCE_S
        self._tag = os.urandom(TAG_BYTES)
        # If there is no room, the queue is full of earlier tries, and the deadline will pass.
        frames.send(self.socket, [self._tag, b"", self._body])

    def _read(self, parts: list[bytes]) -> TrackerReply | None:
        match parts:
            case [tag, b"", body] if tag == self._tag:
                pass
            case _:
                return None  # Late, or not for us.
        try:
            reply: TrackerReply = messages.decode(body, TrackerReply)
        except MalformedMessageError as error:
            return messages.Error(WireCode.MALFORMED, f"the tracker's reply is malformed: {error}")
        return reply


def unreachable(address: str) -> str:
    """Return what to tell the operator about a tracker that does not answer."""
    return (
        f"the tracker at {address} does not answer; start it (shoal tracker), "
        "or correct its address in the cluster file"
    )
