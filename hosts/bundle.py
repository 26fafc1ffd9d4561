"""The bundle that a host gets: all packages in one archive, called after what is in it."""

import hashlib
import io
import tarfile
import threading
from pathlib import Path

from shoal.hosts.distributions import Files, Shoal, this_shoal
from shoal.hosts.machine import Machine, this_machine
from shoal.hosts.wheels import fetched
from shoal.protocol.errors import DiskError

HASH_CHARACTERS = 16


class Bundle:
    """What is in an archive, its hash, and the archive itself once somebody needs it."""

    def __init__(self, files: Files) -> None:
        """Read the files.

        Raises:
            DiskError: one cannot be read.
        """
        self._contents = {name: _read(files[name]) for name in sorted(files)}
        self._lock = threading.Lock()
        self._archive = b""
        digest = hashlib.sha256()
        for name, data in self._contents.items():
            digest.update(f"{name}\0{len(data)}\0".encode() + data)
        self._digest = digest.hexdigest()

    def name_for(self, machine: Machine) -> str:
        """Return what it is called on a machine; the hash covers its Python, too."""
        both = f"{self._digest} {machine.python}".encode()
        return hashlib.sha256(both).hexdigest()[:HASH_CHARACTERS]

    def archive(self) -> bytes:
        """Return a tar.gz of all. Safe in threads."""
        with self._lock:
            if not self._archive:
                target = io.BytesIO()
                with tarfile.open(fileobj=target, mode="w:gz", compresslevel=6) as tar:
                    for name, data in self._contents.items():
                        info = tarfile.TarInfo(name)
                        info.size, info.mode = len(data), 0o644
                        tar.addfile(info, io.BytesIO(data))
                self._archive = target.getvalue()
            return self._archive


class Bundles:
    """Makes one for each kind of machine, when the first of that kind asks. Safe in threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[object, threading.Lock] = {}
        self._shoal: Shoal | None = None
        self._made: dict[object, Bundle] = {}

    def of(self, machine: Machine) -> Bundle:
        """Return the bundle for a machine.

        Raises:
            OperatorError: there are no packages for it, or it cannot be told where ours are.
            DiskError: one of the files here cannot be read.
        """
        with self._lock:
            self._shoal = shoal = self._shoal or this_shoal()
            is_like_this = machine.runs_the_same(shoal.least_glibc(this_machine().glibc))
            there = (machine.version, machine.processor, machine.libc, machine.libc_version)
            kind = () if is_like_this else there
            lock = self._locks.setdefault(kind, threading.Lock())  # pip may take a minute.
        with lock:
            if kind not in self._made:
                files = shoal.all_files() if is_like_this else fetched(shoal, machine)
                self._made[kind] = Bundle(files)
            return self._made[kind]


def _read(source: Path | bytes) -> bytes:
    if isinstance(source, bytes):
        return source
    try:
        return source.read_bytes()
    except OSError as error:
        message = f"cannot read {source}: {error.strerror}"
        raise DiskError(f"{message}; install shoal again") from None
