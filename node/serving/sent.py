"""How much was sent, and to whom. Sends nothing."""

from shoal.system.figures import Named

MOST_PEERS = 1000  # With sums of their own: 81 kB of text, made in 40 ms.


class Sent:
    """Counts what a server has given to be sent. One thread counts; any may read."""

    __slots__ = ("by_peer", "chunk_count", "manifest_count")

    def __init__(self) -> None:
        self.by_peer = Named(MOST_PEERS)  # Bytes of chunks, by the asker's name.
        self.chunk_count = 0
        self.manifest_count = 0

    def chunk(self, peer: str, size_bytes: int) -> None:
        """Count one chunk."""
        self.chunk_count += 1
        self.by_peer.add(peer, size_bytes)
