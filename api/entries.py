"""What is in a directory that is shared, without fetching it: its list of files alone.

The list is taken from one holder after the other, until one sends the right bytes.
"""

import time
from collections.abc import Iterator
from typing import NamedTuple, Self

import zmq
from blake3 import blake3
from shoal.api import push as pushing
from shoal.api.security import asking_ring
from shoal.config.cluster import Cluster
from shoal.node.fetching.manifest_requests import manifest_in
from shoal.protocol import listing, messages
from shoal.protocol.addresses import may_be_holder
from shoal.protocol.errors import IntegrityError, MalformedMessageError, NobodyAliveError
from shoal.protocol.keyring import Keyring, knows, towards_node
from shoal.protocol.listing import Listing
from shoal.protocol.manifest import ContentId, Manifest
from shoal.protocol.message import Message
from shoal.protocol.messages import (
    ChunkReply,
    ChunkRequest,
    Holder,
    Holders,
    ManifestReply,
    ManifestRequest,
    NodeReply,
    Query,
)
from shoal.protocol.names import display
from shoal.wire import sockets
from shoal.wire.host_names import HOST_NAMES, HostNameError

PATIENCE_S = 5.0  # For each reply.
PAUSE_S = 0.05  # Before a chunk is asked for again that a busy holder has not sent.
MOST_HOLDERS = 8  # Of how many to ask, one after the other.
FRAMES = 4  # Tag, delimiter, body, payload.

Socket = zmq.Socket[bytes]


class Contents(NamedTuple):
    """One version of a thing. `listing` is None if it is a file."""

    name: str
    id: str
    version: int  # 0 if nobody knows its number.
    size_bytes: int
    listing: Listing | None


class _Refused(Exception):  # noqa: N818 (never leaves this module)
    """A holder sent nothing of use; the message is a phrase that follows its name."""


def contents(cluster: Cluster, what: str, as_name: str | None = None) -> Contents:
    """Return which version is meant, and what is in it.

    Args:
        cluster: whose tracker and nodes to ask.
        what: a name, an id or NAME@ID; no path in a directory.
        as_name: with whose key to ask, if there are keys; by default any that is here.

    Raises:
        NotFoundError: no node holds it.
        NobodyAliveError: no node that has it answers.
        IntegrityError: nobody has sent the right bytes.
        TrackerError: the tracker does not answer, or not sensibly.
    """
    ring = asking_ring(cluster, as_name)
    with pushing.opened(cluster) as line:
        content = pushing.found(line, what)
        content_id = ContentId(content.id)
        answer = line.ask(Query(content_id), Holders)
    node = as_name or (ring.name if ring is not None else next(iter(cluster.nodes)))
    asking = _Asking(cluster, ring, content_id, node)
    thing, data = asking.first(answer.holders, display(content.name))
    found = listing.decode(data) if data else None
    return Contents(content.name, content.id, content.version, thing.size_bytes, found)


class _Asking:
    """Asks holders of one thing."""

    def __init__(
        self, cluster: Cluster, ring: Keyring | None, content_id: ContentId, node: str
    ) -> None:
        """`node` is who asks, as the holders log it."""
        self._cluster = cluster
        self._ring = ring
        self._id = content_id
        self._node = node

    def first(self, holders: tuple[Holder, ...], name: str) -> tuple[Manifest, bytes]:
        """Return the manifest and the listing's bytes from the first that sends them."""
        troubles: list[str] = []
        for holder in self._known(holders):
            try:
                with _Connection(self._ring, holder) as connection:
                    return self._listing_from(connection)
            except _Refused as refusal:
                troubles.append(f"{holder.node} {refusal}")
        said = f": {'; '.join(troubles)}" if troubles else ""
        if any("wrong" in trouble for trouble in troubles):
            message = f"no holder could deliver the list of files of {name}{said}"
            raise IntegrityError(f"{message}; restore it on one of them")
        raise NobodyAliveError(f"nobody alive holds {name}{said}; start a node that has it")

    def _known(self, holders: tuple[Holder, ...]) -> Iterator[Holder]:
        trackers = self._cluster.tracker_addresses
        nodes = self._cluster.nodes
        usable = [
            one
            for one in holders
            if knows(self._ring, one.node)
            and may_be_holder(
                one.address, trackers, nodes[one.node].address if one.node in nodes else None
            )
        ]
        usable.sort(key=lambda one: (not one.complete, one.node not in nodes))
        yield from usable[:MOST_HOLDERS]

    def _listing_from(self, connection: "_Connection") -> tuple[Manifest, bytes]:
        data = connection.ask(ManifestRequest(self._id), ManifestReply)
        thing = manifest_in(data, self._id)
        if isinstance(thing, str):
            raise _Refused(f"{thing}, which is wrong")
        chunks = [self._chunk(connection, thing, index) for index in range(thing.listing_chunks)]
        data = b"".join(chunks) if thing.is_tree else b""
        if thing.is_tree:
            try:
                listing.decode(data)
            except MalformedMessageError as error:
                raise _Refused(f"sent a wrong list of files: {error}") from None
        return thing, data

    def _chunk(self, connection: "_Connection", thing: Manifest, index: int) -> bytes:
        request = ChunkRequest(self._id, index, self._node)
        data = connection.ask(request, ChunkReply)
        if blake3(data).digest() != thing.digest(index):
            raise _Refused("sent wrong bytes")
        return data


class _Connection:
    """One holder. A context manager."""

    def __init__(self, ring: Keyring | None, holder: Holder) -> None:
        try:
            numbers = HOST_NAMES.wait(holder.address)
        except HostNameError as error:
            raise _Refused(f"cannot be reached: {error}") from None
        self._context: zmq.Context[Socket] = zmq.Context()
        self._socket = sockets.dealer(self._context, numbers, towards_node(ring, holder.node))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close(linger=0)
        self._context.term()

    def ask(self, request: Message, expected: type[Message]) -> bytes:
        """Return the payload of the reply, which must be of that type."""
        until = time.monotonic() + PATIENCE_S
        while True:
            self._socket.send_multipart([b"list", b"", messages.encode(request)])
            left_s = until - time.monotonic()
            if left_s <= 0 or not self._socket.poll(int(1000 * left_s)):
                raise _Refused("does not answer")
            frames = self._socket.recv_multipart()
            try:
                reply = messages.decode(frames[2], NodeReply)
            except (IndexError, MalformedMessageError):
                raise _Refused("does not speak our protocol") from None
            if isinstance(reply, expected) and len(frames) == FRAMES:
                return frames[3]
            if not isinstance(reply, messages.Nothing):
                said = reply.message if isinstance(reply, messages.Error) else "nothing of it"
                raise _Refused(f"refused: {display(said)}")
            time.sleep(PAUSE_S)
