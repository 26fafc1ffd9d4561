"""Asks the tracker: one request at a time, with a deadline and retries. Judges no reply.

If there are several, the one that protocol.trackers names; one that fails, or answers what is no
message, makes way for the next.
"""

import contextlib
import os
import random
import time
from collections.abc import Callable, Mapping

import zmq
from shoal.protocol import messages
from shoal.protocol.errors import (
    MalformedMessageError,
    NotAllowedError,
    TrackerError,
    WireCode,
)
from shoal.protocol.keyring import Towards
from shoal.protocol.message import Message
from shoal.protocol.messages import TrackerReply
from shoal.protocol.pushing import News
from shoal.protocol.trackers import Trackers
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
        trackers: Trackers,
        tries: int = TRIES,
        towards: Towards | None = None,
        source: str = "",
    ) -> None:
        """Ask each of `trackers` once at least, and so often in all, before giving up.

        `towards` tells with which keys; None if the cluster file has none. `source` is the address
        of the node that asks, if it is one.
        """
        self.address = trackers.current(time.monotonic())
        self.tries = max(tries, len(trackers.addresses))
        self.is_over = False
        self._trackers = trackers
        self._is_one_of_several = len(trackers.addresses) > 1
        # Those that did not answer since the question was put, and why if that is known.
        self._failures: dict[str, NotAllowedError | str] = {}
        self._context = context
        self._rng = random.SystemRandom()
        self._towards = towards
        self._source = source
        self.socket, self.monitor = self._dealer()
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
        looks = self._unsent or self._is_one_of_several
        return min(self._due, self._look_at) if looks else self._due

    def send(self, message: Message, now: float) -> None:
        """Send `message`, and give up an earlier one that has not been answered."""
        self._body = messages.encode(message)
        self._tries_left = self.tries
        self._failures.clear()
        self._try(now)

    def receive(self, now: float) -> TrackerReply | None:
        """Return the reply, or None if there is none yet.

        What comes too late is dropped: left where it is, it would end every poll at once.

        Raises:
            TrackerError: there will be none.
            NotAllowedError: the tracker does not let us in, or is not the one that was meant.
        """
        self._look_at = now + CHECK_S
        if self._unsent and self.is_waiting:
            self._reach(now)
        while frames.has_mail(self.socket):
            reply = self._read(self.socket.recv_multipart(zmq.NOBLOCK), now)
            if reply is not None and self.is_waiting:
                self._body = b""
                self._failures.clear()
                return reply
        self._look(now)
        if self.is_waiting and now >= self._due:
            self._note_failure(now)
            if self._tries_left == 0:
                self._body = b""
                raise self._failure()
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
        self.socket, self.monitor = self._dealer()

    def close(self) -> None:
        self.socket.disable_monitor()
        self.monitor.close()
        self.socket.close()

    def _dealer(self) -> "tuple[zmq.Socket[bytes], zmq.Socket[bytes]]":
        """Return the socket and its monitor, which has news even while nothing is waited for."""
        events = sockets.HANDSHAKE_FAILED | (sockets.CUT if self._is_one_of_several else 0)
        return sockets.tracker_dealer(self._context, self._rng, self._towards, events)

    def _look(self, now: float) -> None:
        """See whether a handshake has failed; to find out why may take half a second.

        If there are several trackers, see too whether this one cannot be reached.
        """
        event, is_cut = 0, False
        while frames.has_mail(self.monitor):
            told, place = self.monitor.recv_multipart(zmq.NOBLOCK)
            number, _ = sockets.MONITOR.unpack(told)
            if number & sockets.HANDSHAKE_FAILED:
                event = number
            elif place.decode().endswith(self._connected.removeprefix("tcp://")):
                is_cut = True  # Else it is one from which we have moved on.
        if not event and not is_cut:
            return
        how = self.address, self._connected, event, self._towards
        refusal = handshake.refusal(*how) if event else None
        is_final = bool(event) and (refusal is not None or self._towards is not None)
        if not is_final and not self._is_one_of_several:
            return  # libzmq tries again.
        self._note_failure(now, refusal)
        if not self._moves_on(now) and is_final:
            self.is_over = True
            self._body = b""
            raise self._failure()

    def _note_failure(self, now: float, refusal: NotAllowedError | None = None) -> None:
        self._failures[self.address] = refusal or self._trouble
        self._trackers.failed(self.address, now)

    def _failure(self) -> TrackerError | NotAllowedError:
        """Return the error for all that have failed since the question was put."""
        refusal = next((e for e in self._failures.values() if isinstance(e, NotAllowedError)), None)
        troubles = {at: e for at, e in self._failures.items() if isinstance(e, str)}
        if refusal is None:
            return TrackerError(unreachable(troubles))
        if not troubles:
            return refusal
        return NotAllowedError(f"{refusal}; no answer from {' and '.join(troubles)} either")

    def _moves_on(self, now: float) -> bool:
        """Go on at once with a tracker that has not failed yet; say whether there is one."""
        if self._trackers.current(now) in self._failures:
            return False
        if self.is_waiting:
            self._tries_left += 1
            self._try(now)
        else:
            self._choose(now)
            self._reach(now)
        return True

    def _choose(self, now: float) -> None:
        address = self._trackers.current(now)
        if address == self.address:
            return
        if self._connected:
            with contextlib.suppress(zmq.ZMQError):  # libzmq has given it up already.
                self.socket.disconnect(self._endpoint)
        self.address, self._connected = address, ""

    def _try(self, now: float) -> None:
        self._tries_left -= 1
        self._due = now + PATIENCE_S
        self._tag = os.urandom(TAG_BYTES)
        self._unsent = [self._tag, b"", self._body]
        self._choose(now)
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

    def _read(self, parts: list[bytes], now: float) -> TrackerReply | None:
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
            return self._instead_of_nonsense(error, now)
        return reply

    def _instead_of_nonsense(
        self, error: MalformedMessageError, now: float
    ) -> messages.Error | None:
        """Ask a tracker that has not failed yet; return what was wrong if there is none."""
        if self.is_waiting:
            self._note_failure(now)
            if self._moves_on(now):
                return None
        return messages.Error(WireCode.MALFORMED, f"the tracker's reply is malformed: {error}")


def unreachable(troubles: Mapping[str, str]) -> str:
    """Return what to tell the operator about trackers, by address, that do not answer.

    The text of each is a phrase that says why its host name could not be looked up, if so.
    """
    (address, trouble), *others = troubles.items()
    if others:
        every = ", ".join(f"{at} ({why})" if why else at for at, why in troubles.items())
        return (
            f"no tracker answers, of {every}; start one (shoal tracker), "
            "or correct their addresses in the cluster file"
        )
    if trouble:
        return (
            f"the tracker at {address} cannot be reached: {trouble}; correct its address "
            "in the cluster file, or the name service"
        )
    return (
        f"the tracker at {address} does not answer; start it (shoal tracker), "
        "or correct its address in the cluster file"
    )
