"""The cluster's keys: who has which, what the cluster file says, and what each process goes by."""

import random
from typing import TYPE_CHECKING, Any

import zmq
from shoal.api.security import fill
from shoal.config.keys import public_of
from shoal.config.security import TRACKER, Keys, ReaderEntry
from shoal.protocol.errors import OperatorError
from shoal.protocol.keyring import Keyring, Towards
from shoal.protocol.keys import KeyPair
from shoal.protocol.permits import Publish, Who
from shoal.wire import curve

if TYPE_CHECKING:
    from pathlib import Path

ADMIN, READER = "boss", "guest"


class Keyrings:
    """All keys of one simulation; nobody has any before `switch_on`."""

    def __init__(self, rng: random.Random) -> None:
        self.file: Keys | None = None  # As whoever keeps it has it.
        self.pairs: dict[str, KeyPair] = {}  # On each host's disk, by name.
        self.old: list[KeyPair] = []  # That have been replaced.
        self.goes_by: dict[str, Keys] = {}  # What each process has read, by name.
        self._copies: dict[str, Keys] = {}  # Of the file, at each host.
        self._rings: dict[str, Keyring] = {}  # Of the processes that run now.
        self._rng = rng

    @property
    def is_on(self) -> bool:
        return self.file is not None

    def switch_on(
        self, nodes: list[str], listed: list[str], folder: "Path", publish: Publish
    ) -> None:
        """Make keys for the tracker, an admin, a reader and nodes; those listed are in the file."""
        for name in (TRACKER, ADMIN, READER, *nodes):
            self.pairs[name] = self.new_pair()
        self.file = Keys(
            self.pairs[TRACKER].public,
            {name: self.pairs[name].public for name in listed},
            {READER: ReaderEntry(self.pairs[READER].public, folder)},
            {ADMIN: self.pairs[ADMIN].public},
            publish,
        )

    def new_pair(self) -> KeyPair:
        secret = self._rng.randbytes(32)
        return KeyPair(public_of(secret), secret)

    # Changes of the file.

    def put(self, node: str) -> None:
        """Have a node in the file, with the key that it has."""
        self._change({**self._nodes, node: self.pairs[node].public})

    def take_out(self, node: str) -> None:
        """Take a node's key out of the file."""
        self._change({name: key for name, key in self._nodes.items() if name != node})

    def replace(self, name: str) -> None:
        """Make a new pair in place of one, as `shoal keys --new` does, and put it on the host."""
        self.old.append(self.pairs[name])
        self.pairs[name] = self.new_pair()
        if name == TRACKER:
            self._change(self._nodes, self.pairs[TRACKER].public)
        else:
            self.put(name)

    @property
    def _nodes(self) -> dict[str, bytes]:
        assert self.file is not None
        return self.file.nodes

    def _change(self, nodes: dict[str, bytes], tracker: bytes | None = None) -> None:
        known = self.file
        assert known is not None
        others = known.readers, known.admins, known.publish
        self.file = Keys(tracker or known.tracker, nodes, *others)

    # What processes do.

    def copy_to(self, host: str) -> None:
        """Bring the file to a host, as it is now."""
        if self.file is not None:
            self._copies[host] = self.file

    def ring(self, name: str) -> Keyring | None:
        """Return the ring of a process that starts; None without keys.

        Raises:
            OperatorError: its secret does not belong to what the host's copy of the file says.
        """
        if self.file is None:
            return None
        known = self._copies.setdefault(name, self.file)
        pair = self.pairs[name]
        if known.of(name) != pair.public:
            raise OperatorError(f"the secret of {name} does not belong to its key")
        ring = self._rings[name] = Keyring(name, pair)
        fill(ring, known)
        self.goes_by[name] = known
        return ring

    def reload(self, name: str) -> None:
        """Have a process go by its host's copy of the file, as SIGHUP does."""
        if name in self._rings:
            known = self._copies[name]
            fill(self._rings[name], known)
            self.goes_by[name] = known

    def is_outdated(self, name: str) -> bool:
        """Say whether a process still has a key that was replaced."""
        ring = self._rings.get(name)
        return ring is not None and ring.own != self.pairs[name]

    def towards_tracker(self, name: str) -> Towards | None:
        """Return how a command speaks to the tracker with the key of `name`; None without keys."""
        if self.file is None:
            return None
        return Towards(self.pairs[name], self.file.tracker, name)

    # What others do, who run no program of ours.

    def secure(self, sock: Any, name: str, server: str) -> None:
        """Have a DEALER speak to a server with the key of `name`, if it has one."""
        if name in self.pairs:
            curve.secure_client(sock, Towards(self.pairs[name], self.pairs[server].public, name))

    def guard(self, sock: Any, name: str) -> None:
        """Have a socket that is to be bound take those who mean `name`, if that has a key."""
        if name in self.pairs:
            sock.setsockopt(zmq.CURVE_SERVER, 1)
            sock.setsockopt(zmq.CURVE_SECRETKEY, self.pairs[name].secret)

    # What is true of it.

    def who(self, at: str, key: bytes) -> Who | None:
        """Return who has a public key by what the process of that name goes by."""
        known = self.goes_by.get(at)
        if known is None:
            return None
        if at == TRACKER and key == known.tracker:
            return None  # Nobody asks with the tracker's own key here.
        return known.table().get(key)
