"""Secret keys: one file for each name, in a folder beside the cluster file. Makes none.

lab.yaml has lab.keys/, with tracker.key, n1.key and so on. No message shows what is in them.
"""

import os
import stat
from collections.abc import Container, Iterator
from pathlib import Path

import zmq
from shoal.config.cluster import Cluster
from shoal.config.document import choices, shown
from shoal.config.security import REMEDY, Keys
from shoal.protocol import keys
from shoal.protocol.errors import OperatorError
from shoal.protocol.keys import KeyPair
from shoal.protocol.names import display
from zmq.utils import z85

MAX_FILE_BYTES = 4096  # A comment and a key take 200.
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class NoSecretError(OperatorError):
    """This machine has no secret of that name, or this user may not read it."""


def folder_of(cluster_file: Path) -> Path:
    """Return the folder of the secrets that belong to a cluster file."""
    return cluster_file.with_name(f"{cluster_file.stem}.keys")


def secret_file(cluster_file: Path, name: str) -> Path:
    """Return where the secret of a node, a reader, an admin or the `tracker` is."""
    return folder_of(cluster_file) / f"{name}.key"


def own_pair(cluster: Cluster, name: str) -> KeyPair:
    """Return the keys of a node, a reader, an admin or the `tracker`; the cluster has keys.

    Raises:
        NoSecretError: its secret is not here, or not readable.
        OperatorError: it has no key in the cluster file; others may read or change the secret; it
            is damaged; or it does not belong to the key in the cluster file.
    """
    assert cluster.keys is not None
    public = cluster.keys.of(name)
    if public is None:
        place = display(str(cluster.path))
        raise OperatorError(f"{name} has no key in {place}; {REMEDY}, and copy the file again")
    path = secret_file(cluster.path, name)
    secret = read_secret(path, trusted_users(cluster.path))
    if public_of(secret) != public:
        thing = f"{display(str(path))} does not belong to the key of {name} in the cluster file"
        remedy = f"copy the right one here, or run `shoal keys --new {name}`"
        raise OperatorError(f"{thing}; {remedy}")
    return KeyPair(public, secret)


def asking_pair(cluster: Cluster, as_name: str | None = None) -> KeyPair:
    """Return the keys of a command that only asks: those of `as_name`, or any that are here.

    Admins come first, then readers, then nodes.

    Raises:
        OperatorError: as `own_pair`; nobody is called `as_name`; or no secret is here.
    """
    assert cluster.keys is not None
    names = list(_names(cluster.keys))
    if as_name is not None:
        if as_name not in names and as_name not in cluster.nodes:
            place = display(str(cluster.path))
            raise OperatorError(f"{place}: no {shown(as_name)}; {choices(as_name, names)}")
        return own_pair(cluster, as_name)
    problem: OperatorError | None = None
    for name in names:
        try:
            return own_pair(cluster, name)
        except NoSecretError:
            continue
        except OperatorError as error:
            problem = problem or error
    if problem is not None:
        raise problem
    folder = display(str(folder_of(cluster.path)))
    message = f"{display(str(cluster.path))} has keys, and {folder} has no secret that you may read"
    remedy = (
        "copy your own NAME.key there; `shoal keys --reader NAME` makes one where the file is kept"
    )
    raise NoSecretError(f"{message}; {remedy}")


def trusted_users(cluster_file: Path) -> set[int]:
    """Return who may own what keys rest on: root, this user, and whoever root does it for."""
    user = os.geteuid()
    try:
        owner = cluster_file.stat().st_uid if user == 0 else user
    except OSError:  # It was there a moment ago.
        owner = user
    return {0, user, owner}


def read_secret(path: Path, owners: Container[int]) -> bytes:
    """Return the secret in a file of one of these users, 32 bytes.

    Raises:
        NoSecretError: there is none, or it is not readable.
        OperatorError: others may read or change it, or it holds no secret.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        remedy = (
            f"copy it here, or run `shoal keys --new {path.stem}` where the cluster file is kept"
        )
        raise NoSecretError(f"{display(str(path))}: no such secret; {remedy}") from None
    except PermissionError:
        remedy = "run this as the user to whom it belongs"
        raise NoSecretError(f"{display(str(path))}: not readable; {remedy}") from None
    except OSError as error:  # ELOOP: a link.
        raise _wrong(path, f"cannot be opened: {error.strerror}") from None
    try:
        _refuse_unsafe(path, os.fstat(descriptor), owners)
        return _secret_in(path, os.read(descriptor, MAX_FILE_BYTES + 1))
    finally:
        os.close(descriptor)


def public_of(secret: bytes) -> bytes:
    """Return the public key that belongs to a secret one."""
    return z85.decode(zmq.curve_public(z85.encode(secret)))


def _names(known: Keys) -> Iterator[str]:
    yield from known.admins
    yield from known.readers
    yield from known.nodes


def _refuse_unsafe(path: Path, found: os.stat_result, owners: Container[int]) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _wrong(path, "is not a file")
    if found.st_uid not in owners:
        remedy = "give it to the user who runs shoal: chown"
        raise OperatorError(f"{display(str(path))}: belongs to another user; {remedy}")
    if found.st_mode & OTHERS:
        name = display(str(path))
        remedy = f"run `chmod 600 {name}`, and `shoal keys --new {path.stem}` if others were there"
        raise OperatorError(f"{name}: others may read or change it; {remedy}")


def _secret_in(path: Path, content: bytes) -> bytes:
    lines = [line for line in content.split(b"\n") if line.strip() and line[:1] != b"#"]
    if len(content) > MAX_FILE_BYTES or len(lines) != 1:
        raise _wrong(path, "does not hold one secret")
    try:
        return keys.secret_in(lines[0].strip().decode("ascii"))
    except ValueError:  # UnicodeDecodeError is one.
        raise _wrong(path, "holds no secret") from None


def _wrong(path: Path, cause: str) -> OperatorError:
    remedy = f"expected a file of `shoal keys`; remove it and run `shoal keys --new {path.stem}`"
    return OperatorError(f"{display(str(path))}: {cause}; {remedy}")
