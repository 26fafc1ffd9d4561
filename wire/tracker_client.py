"""Asks the tracker: one request at a time, with a deadline and retries. Judges no reply."""

import contextlib
import os
import random
import time
from collections.abc import Callable

import zmq
from shoal.protocol import messages
from shoal.protocol.errors import MalformedMessageError, TrackerError, WireCode
from shoal.protocol.keyring import Towards
from shoal.protocol.message import Message
from shoal.protocol.messages import TrackerReply
from shoal.protocol.pushing import News
from shoal.wire import frames, handshake, host_names, origin, sockets
from shoal.wire.host_names import HOST_NAMES, HostNameError

PATIENCE_S = 1.0  # For one try.
TRIES = 3  # So an unreachable tracker is noticed within 3 s.
CHECK_S = 0.1
TAG_BYTES = 8
NEWS_TAG = b"news"  # Of what the tracker sends without being asked.


class TrackerClient:
    """A DEALER to the tracker. Register `socket` with a poller, or use `ask` alone.

    Once `is_over`, it will not be connected again: `renew` it, or close it.
    """

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        address: str,
        tries: int = TRIES,
        towards: Towards | None = None,
        source: str = "",
    ) -> None:
        """`towards` tells with which keys; None if the cluster file has none.

        `source` is the address of the node that asks, if it is one.
        """
        self.address = address
        self.tries = tries
        self.is_over = False
        self._context = context
        self._rng = random.SystemRandom()
        self._towards = towards
        self._source = source
        self.socket, self._monitor = sockets.tracker_dealer(context, self._rng, towards)
        self._connected = self._endpoint = ""  # To these numbers, as libzmq was told.
        self._unsent: list[bytes] = []  # The last try, until the tracker's numbers are known.
        self._trouble = ""
        self._news: News | None = None
        self._tag = b""
        self._body = b""
        self._tries_left = 0
        self._due = self._look_at = 0.0
        self._reach(0.0)

    @property
    def is_waiting(self) -> bool:
        return self._body != b""

    @property
    def deadline(self) -> float | None:
        """When to call `receive` even if nothing has arrived, in monotonic seconds."""
        if not self.is_waiting:
            return None
        return min(self._due, self._look_at) if self._unsent else self._due

    def send(self, message: Message, now: float) -> None:
        """Send `message`, and give up an earlier one that has not been answered."""
        self._body = messages.encode(message)
        self._tries_left = self.tries
        self._try(now)

    def receive(self, now: float) -> TrackerReply | None:
        """Return the reply, or None if there is none yet.

        What comes too late is dropped: left where it is, it would end every poll at once.

        Raises:
            TrackerError: there will be none.
            NotAllowedError: the tracker does not let us in, or is not the one that was meant.
        """
        if self._unsent and self.is_waiting:
            self._reach(now)
        while frames.has_mail(self.socket):
            reply = self._read(self.socket.recv_multipart(zmq.NOBLOCK))
            if reply is not None and self.is_waiting:
                self._body = b""
                return reply
        self._look()
        if self.is_waiting and now >= self._due:
            if self._tries_left == 0:
                self._body = b""
                raise TrackerError(unreachable(self.address, self._trouble))
            self._try(now)
        return None

    def taken_news(self) -> News | None:
        """Return what the tracker has told without being asked, once."""
        news, self._news = self._news, None
        return news

    def ask(self, message: Message, check: Callable[[], None] = lambda: None) -> TrackerReply:
        """Send `message` and wait for the reply; `check` is called meanwhile, and may raise.

        Raises:
            TrackerError: there is none.
            NotAllowedError: the tracker does not let us in, or is not the one that was meant.
        """
        until = time.monotonic() + self.tries * PATIENCE_S
        self.send(message, time.monotonic())
        while True:
            try:
                reply = self.receive(time.monotonic())
            except TrackerError:
                if not self.is_over or time.monotonic() > until:
                    raise
                time.sleep(CHECK_S)  # It may have been too busy to greet everybody.
                self.renew(self._towards)
                self.send(message, time.monotonic())
                reply = None
            if reply is not None:
                return reply
            check()
            assert self.deadline is not None
            left_s = min(CHECK_S, self.deadline - time.monotonic())
            self.socket.poll(max(1, int(1000 * left_s)))

    def renew(self, towards: Towards | None) -> None:
        """Connect again; `socket` is another one then. Nothing may be waiting for an answer."""
        self.close()
        self.is_over, self._connected = False, ""
        self._towards = towards
        self.socket, self._monitor = sockets.tracker_dealer(self._context, self._rng, towards)

    def close(self) -> None:
        self.socket.disable_monitor()
        self._monitor.close()
        self.socket.close()

    def _look(self) -> None:
        """See whether a handshake has failed; to find out why may take half a second."""
        event = 0
        while frames.has_mail(self._monitor):
            told, _ = self._monitor.recv_multipart(zmq.NOBLOCK)
            event, _ = sockets.MONITOR.unpack(told)
        if not event:
            return
        refusal = handshake.refusal(self.address, self._connected, event, self._towards)
        if refusal is None and self._towards is None:
            return  # libzmq tries again.
        self.is_over = True
        self._body = b""
        raise refusal or TrackerError(unreachable(self.address))

    def _try(self, now: float) -> None:
        self._tries_left -= 1
        self._due = now + PATIENCE_S
        self._tag = os.urandom(TAG_BYTES)
        self._unsent = [self._tag, b"", self._body]
        self._reach(now)

    def _reach(self, now: float) -> None:
        """Send what is unsent, once the tracker's numbers are known; they may have changed."""
        self._look_at = now + host_names.LOOK_S
        try:
            numbers = HOST_NAMES.find(self.address)
        except HostNameError as error:
            numbers, self._trouble = None, str(error)
        else:
            self._trouble = "" if numbers else "its host name is still being looked up"
        if self.is_over:
            return
        if numbers is not None and numbers != self._connected:
            if self._connected:
                self.socket.disconnect(self._endpoint)
            self._connected, self._endpoint = numbers, origin.endpoint(numbers, self._source)
            self.socket.connect(self._endpoint)
        if self._connected and self._unsent:
            # If there is no room, the queue is full of earlier tries, and the deadline will pass.
            frames.send(self.socket, self._unsent)
            self._unsent = []

    def _read(self, parts: list[bytes]) -> TrackerReply | None:
        match parts:
            case [tag, b"", body] if tag == self._tag:
                pass
            case [tag, b"", body] if tag == NEWS_TAG:
                with contextlib.suppress(MalformedMessageError):
                    self._news = messages.decode(body, News)
                return None
            case _:
                return None  # Late, or not for us.
        try:
            reply: TrackerReply = messages.decode(body, TrackerReply)
        except MalformedMessageError as error:
            return messages.Error(WireCode.MALFORMED, f"the tracker's reply is malformed: {error}")
        return reply


def unreachable(address: str, trouble: str = "") -> str:
    """Return what to tell the operator about a tracker that does not answer.

    `trouble` is a phrase that says why its host name could not be looked up.
    """
    if trouble:
        return (
            f"the tracker at {address} cannot be reached: {trouble}; correct its address "
            "in the cluster file, or the name service"
        )
    return (
        f"the tracker at {address} does not answer; start it (shoal tracker), "
        "or correct its address in the cluster file"
    )
