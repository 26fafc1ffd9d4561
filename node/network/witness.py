"""Whether another node holds something whole right now: proved by a chunk that it sends.

So neither a holder that has just died nor one that a tracker made up counts.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from random import Random

import zmq
from shoal.node.fetching.steps import ChunkReceived, Event, ManifestReceived, RequestRefused
from shoal.node.folder.whole import Whole
from shoal.node.network.link import Link
from shoal.protocol import addresses
from shoal.protocol.errors import WireCode
from shoal.protocol.keyring import Keyring, knows, towards_node
from shoal.protocol.manifest import id_of
from shoal.protocol.messages import ChunkRequest, Holder, ManifestRequest

PATIENCE_S = 3.0  # For all that are asked together.
MOST_ASKED = 4
REPEAT_S = 0.5  # One that is busy is asked again.
LOOK_S = 0.1  # How often to see whether to stop.


class Witnesses:
    """Other nodes that can be asked for what this one has."""

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        node: str,
        trackers: tuple[str, ...],
        rng: Random,
        listed: Mapping[str, str] = {},
        ring: Keyring | None = None,
    ) -> None:
        """`listed` has the addresses of the nodes in the cluster file, by name."""
        self._context = context
        self._listed = listed
        self._node = node
        self._trackers = trackers
        self._rng = rng
        self._ring = ring

    def have(self, thing: Whole, holders: Iterable[Holder], check: Callable[[], None]) -> bool:
        """Return whether one of `holders` has all of `thing`.

        Each is asked for one random chunk. `check` is called meanwhile, and may raise.
        """
        named = [one for one in holders if one.complete and self._may_be_asked(one)][:MOST_ASKED]
        links = [self._link(one) for one in named]
        try:
            return self._ask(thing, links, check)
        finally:
            for link in links:
                link.close()

    def _link(self, holder: Holder) -> Link:
        towards = towards_node(self._ring, holder.node)
        return Link(self._context, holder.node, holder.address, towards)

    def _may_be_asked(self, holder: Holder) -> bool:
        if holder.node == self._node or not knows(self._ring, holder.node):
            return False
        listed = self._listed.get(holder.node)
        return addresses.may_be_holder(holder.address, self._trackers, listed)

    def _ask(self, thing: Whole, links: list[Link], check: Callable[[], None]) -> bool:
        now = time.monotonic()
        until, ask_at = now + PATIENCE_S, now
        index = self._rng.randrange(thing.chunk_count) if thing.chunk_count else None
        waiting = set(links)
        while waiting and now < until:
            check()
            if now >= ask_at:
                ask_at = now + REPEAT_S
                for link in waiting:
                    self._send(link, thing, index)
            zmq.select(
                [one for link in waiting for one in (link.socket, link.monitor)], [], [], LOOK_S
            )
            for link in list(waiting):
                event = link.reach() or link.receive() or link.trouble()
                if event is None or _is_busy(event):
                    continue
                if _proves(event, thing, index):
                    return True
                waiting.remove(link)
            now = time.monotonic()
        return False

    def _send(self, link: Link, thing: Whole, index: int | None) -> None:
        request_id = self._rng.getrandbits(63)
        if index is None:
            link.send(request_id, ManifestRequest(thing.id))
        else:
            link.send(request_id, ChunkRequest(thing.id, index, self._node))


def _is_busy(event: Event) -> bool:
    return isinstance(event, RequestRefused) and event.code == WireCode.BUSY


def _proves(event: Event, thing: Whole, index: int | None) -> bool:
    """Return whether this reply proves that its sender has all of it."""
    match event:
        case ManifestReceived(data=data) if index is None:
            return id_of(data) == thing.id
        case ChunkReceived(index=sent, digest=digest, have=have) if index is not None:
            return sent == index and digest == thing.manifest.digest(index) and not have
        case _:
            return False
