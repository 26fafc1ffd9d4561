"""The keys that a process goes by: its own, and those of everybody in the cluster file.

They can be replaced while it runs. Knows no sockets and no files.
"""

from collections.abc import Mapping
from typing import NamedTuple

from shoal.protocol.keys import KeyPair
from shoal.protocol.permits import Who


class Towards(NamedTuple):
    """How to speak to a server that lets in only those with keys."""

    own: KeyPair
    server: bytes  # Its public key.
    name: str  # Whose own key that is in the cluster file.


NO_LONGER_KNOWN = (
    "your key is not in the cluster file any more; add it again there, and reload that (SIGHUP)"
)


class Keyring:
    """Looked up from any thread; `replace` changes all keys but our own at once."""

    def __init__(self, name: str, own: KeyPair) -> None:
        """`name` is ours in the cluster file, `own` our pair; nobody else is known yet."""
        self.name = name
        self.own = own
        self.removals = 0  # How often somebody lost access; a new number means: look again.
        self._tracker = b""
        self._nodes: Mapping[str, bytes] = {}
        self._table: Mapping[bytes, Who] = {}

    def replace(
        self, tracker: bytes, nodes: Mapping[str, bytes], table: Mapping[bytes, Who]
    ) -> None:
        """Go by these keys from now on.

        Args:
            tracker: the tracker's public key, 32 bytes, as all of them.
            nodes: the public keys of nodes, by name.
            table: who has which public key.
        """
        lost = [key for key, who in self._table.items() if table.get(key) != who]
        self._tracker, self._nodes, self._table = tracker, dict(nodes), dict(table)
        if lost:
            self.removals += 1

    def who(self, key: bytes) -> Who | None:
        """Return who has a public key; None if nobody has it any more."""
        return self._table.get(key)

    def towards_tracker(self) -> Towards:
        """Return how to speak to the tracker."""
        return Towards(self.own, self._tracker, self.name)

    def towards_node(self, node: str) -> Towards | None:
        """Return how to speak to a node; None if the cluster file has no key of it."""
        key = self._nodes.get(node)
        return None if key is None else Towards(self.own, key, self.name)


def towards_tracker(ring: Keyring | None) -> Towards | None:
    """Return how to speak to the tracker; None without keys."""
    return None if ring is None else ring.towards_tracker()


def towards_node(ring: Keyring | None, node: str) -> Towards | None:
    """Return how to speak to a node that `knows` says yes to; None without keys."""
    return None if ring is None else ring.towards_node(node)


def knows(ring: Keyring | None, node: str) -> bool:
    """Say whether a node can be asked: its key is known, or there are no keys at all."""
    return ring is None or ring.towards_node(node) is not None
