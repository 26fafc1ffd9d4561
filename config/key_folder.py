"""The folder of the secrets beside a cluster file, for the one who makes them.

A new secret is NAME.key.new until its public key is in the cluster file. So a kill between the two
loses nothing, and a secret whose key was taken out of the file never comes back.
"""

import contextlib
import fcntl
import os
import stat
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Self

import zmq
from shoal.config.keys import folder_of, public_of, read_secret, secret_file, trusted_users
from shoal.config.security import Party
from shoal.protocol.errors import OperatorError
from shoal.protocol.keys import KeyPair, secret_text
from shoal.protocol.names import display
from shoal.system.replacing import sync_folder, write_secret
from zmq.utils import z85

_NEW = ".new"


class KeyFolder:
    """The secrets of one cluster file. From `locked`, which keeps other makers out meanwhile."""

    def __init__(self, cluster_file: Path) -> None:
        self._cluster_file = cluster_file
        self.path = folder_of(cluster_file)
        self._owners = trusted_users(cluster_file)

    @classmethod
    @contextlib.contextmanager
    def locked(cls, cluster_file: Path) -> Iterator[Self]:
        """Make the folder if there is none, and wait until nobody else makes keys in it.

        Raises:
            OperatorError: others may change what is in it.
            OSError: it cannot be made or opened.
        """
        folder = cls(cluster_file)
        with contextlib.suppress(FileExistsError):
            folder.path.mkdir(mode=0o700)
            folder.path.chmod(0o700)  # Whatever the umask has taken away.
            folder._give_away()
        descriptor = os.open(folder.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            problem = trouble_with(folder.path, os.fstat(descriptor), folder._owners)
            if problem is not None:
                raise OperatorError(problem)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield folder
        finally:
            os.close(descriptor)

    def settle(self, public_keys: Iterable[tuple[str, bytes | None]]) -> None:
        """Finish what a kill has interrupted, given who has which key in the cluster file."""
        for name, public in public_keys:
            new = self._new(name)
            if not os.path.lexists(new):
                continue
            if public is not None and self._holds(new, public):
                self.put_in_place([name])
            else:
                new.unlink()

    def _holds(self, new: Path, public: bytes) -> bool:
        try:
            return public_of(read_secret(new, self._owners)) == public
        except OperatorError:  # The kill came before all of it was written.
            return False

    def holds(self, party: Party) -> bool:
        """Return whether the secret of a party that has a key is here.

        Raises:
            OperatorError: it is, and does not belong to the key, or is not safe.
        """
        path = secret_file(self._cluster_file, party.name)
        if not os.path.lexists(path):
            return False
        if public_of(read_secret(path, self._owners)) != party.key:
            thing = f"{display(str(path))} does not belong to the key of {party.name}"
            remedy = f"put the right one there, or run `shoal keys --new {party.name}`"
            raise OperatorError(f"{thing} in {display(str(self._cluster_file))}; {remedy}")
        return True

    def prepare(self, parties: Iterable[Party]) -> list[Party]:
        """Make secrets, which `put_in_place` makes the valid ones; return their public keys.

        They are on the disk before anybody can rely on the public keys.
        """
        made = [party._replace(key=self._prepare(party)) for party in parties]
        sync_folder(self.path)
        sync_folder(self.path.parent)
        return made

    def _prepare(self, party: Party) -> bytes:
        pair = new_pair()
        who = party.name if party.name == party.role else f"{party.role} {party.name}"
        content = f"# The secret key of {who}. Nobody else may read it.\n"
        content += f"{secret_text(pair.secret)}\n"
        write_secret(self._new(party.name), content.encode(), self._cluster_file.stat())
        return pair.public

    def put_in_place(self, names: Iterable[str]) -> None:
        """Make the prepared secrets the valid ones. Their public keys are in the cluster file."""
        for name in names:
            self._new(name).replace(secret_file(self._cluster_file, name))
        sync_folder(self.path)

    def _new(self, name: str) -> Path:
        path = secret_file(self._cluster_file, name)
        return path.with_name(path.name + _NEW)

    def _give_away(self) -> None:
        """Give the folder to the cluster file's owner, if root makes it."""
        owner = self._cluster_file.stat()
        if os.geteuid() == 0:
            os.chown(self.path, owner.st_uid, owner.st_gid)


def trouble_with(path: Path, found: os.stat_result, owners: Container[int]) -> str | None:
    """Return why users besides these could change it, with the remedy; None if they cannot."""
    name = display(str(path))
    if found.st_uid not in owners:
        return f"{name}: belongs to another user, who may change it; move it away or chown it"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"{name}: others may change it; run `chmod go-w {name}`"
    return None


def new_pair() -> KeyPair:
    """Return new keys, from the operating system's random numbers."""
    public, secret = zmq.curve_keypair()
    return KeyPair(z85.decode(public), z85.decode(secret))
