"""From a file's bytes to its manifest, with all cores. Remembers nothing (that is the cache's)."""

import os
import stat
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec
from blake3 import blake3

from protocol import manifest
from protocol.manifest import Manifest

R = TypeVar("R")

SERIAL_CHUNKS = 8  # Starting threads costs more than hashing so few.


class FileChangedError(Exception):
    """The file was written to while it was read."""


class Signature(msgspec.Struct, frozen=True):
    """What a file's bytes are taken to be the same by."""

    size_bytes: int
    mtime_ns: int
    inode: int
    mode: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Signature":
        is_executable = bool(status.st_mode & stat.S_IXUSR)
        mode = manifest.EXECUTABLE_MODE if is_executable else manifest.PLAIN_MODE
        return cls(status.st_size, status.st_mtime_ns, status.st_ino, mode)


def hash_file(
    path: Path, on_progress: Callable[[int], None], should_stop: Callable[[], bool]
) -> tuple[Manifest, Signature]:
    """Return the manifest of the file at `path` and the signature it holds for.

    Args:
        path: a regular file.
        on_progress: called with the bytes of each chunk once it is hashed.
        should_stop: asked before each chunk.

    Raises:
        FileChangedError: it changed meanwhile, or `should_stop` said so.
        OSError: it cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        before = Signature.of(os.fstat(file.fileno()))
        size_bytes = before.size_bytes
        chunk_size = manifest.chunk_size_for(size_bytes)

        def digest(offset: int) -> bytes:
            if should_stop():
                raise FileChangedError(f"{path}: stopped")
            wanted = min(chunk_size, size_bytes - offset)
            data = os.pread(file.fileno(), wanted, offset)
            if len(data) != wanted:
                raise FileChangedError(f"{path} became shorter while it was read")
            on_progress(wanted)
            return blake3(data).digest()

        offsets = range(0, size_bytes, chunk_size)
        digests = b"".join(_map(digest, offsets))
        if Signature.of(os.fstat(file.fileno())) != before:
            raise FileChangedError(f"{path} changed while it was read")
    return manifest.plain_file(size_bytes, before.mode, digests), before


def verified_chunks(read: Callable[[int], bytes], thing: Manifest, candidates: list[int]) -> int:
    """Return which of the `candidates` have the right bytes (protocol.bitmap)."""

    def is_right(index: int) -> int:
        return (blake3(read(index)).digest() == thing.digest(index)) << index

    return sum(_map(is_right, candidates))


def _map(function: Callable[[int], R], items: Sequence[int]) -> Iterable[R]:
    """Apply `function` with all cores: reading and hashing both let other threads run."""
    if len(items) <= SERIAL_CHUNKS:
        return map(function, items)
    with ThreadPoolExecutor(os.cpu_count() or 1, "hash") as pool:
        return list(pool.map(function, items))
