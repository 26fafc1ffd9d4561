"""Things to fetch and serve, made of a few chunks whose bytes are known; and random numbers."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from random import Random

from blake3 import blake3
from shoal.node.files.signature import Signature
from shoal.node.folder.hashing import hash_source
from shoal.node.folder.source import FileSource
from shoal.node.folder.whole import Whole
from shoal.protocol import bitmap, manifest
from shoal.protocol.control import Chunking
from shoal.protocol.manifest import ContentId, Manifest
from shoal.protocol.size_cutting import file_cut

RNG_SEED = 7


def rng() -> Random:
    return Random(RNG_SEED)


def chunk(index: int, size_bytes: int = 10, version: int = 1) -> bytes:
    """Return the right bytes of a chunk."""
    return (b"%d/%d." % (version, index) * size_bytes)[:size_bytes]


def thing(sizes: Sequence[int], version: int = 1) -> Manifest:
    """Return the manifest of chunks of these sizes in bytes."""
    digests = b"".join(
        blake3(chunk(index, size, version)).digest() for index, size in enumerate(sizes)
    )
    return manifest.of_file(manifest.PLAIN_MODE, sizes, digests)


def made_of(letters: str, size_bytes: int = 10) -> Manifest:
    """Return the manifest of chunks that are made of a letter each; a dot stands for zeros."""
    chunks = [lettered(letter, size_bytes) for letter in letters]
    digests = b"".join(blake3(chunk).digest() for chunk in chunks)
    return manifest.of_file(manifest.PLAIN_MODE, [size_bytes] * len(chunks), digests)


def lettered(letter: str, size_bytes: int = 10) -> bytes:
    return (b"\0" if letter == "." else letter.encode()) * size_bytes


def plain(data: bytes, mode: int = manifest.PLAIN_MODE) -> Manifest:
    """Return the manifest that the product would make of a file with this content."""
    sizes = file_cut(len(data))
    ends = itertools.accumulate(sizes)
    digests = (
        blake3(data[end - size : end]).digest() for size, end in zip(sizes, ends, strict=True)
    )
    return manifest.of_file(mode, sizes, b"".join(digests))


def whole(path: Path, name: str, chunking: Chunking = "fixed") -> Whole:
    """Return the file at `path` as a thing, hashed."""
    source = FileSource(path, Signature.of(path.stat()))
    data = manifest.encode(hash_source(source, lambda _: None, lambda: False, chunking))
    return Whole(name, data, source)


def id_of(thing: Manifest) -> ContentId:
    return manifest.id_of(manifest.encode(thing))


def bits(digits: str) -> int:
    """Return the set of the chunks that are named, each by one digit."""
    return bitmap.of(map(int, digits))


def digits(bits: int) -> str:
    return "".join(map(str, bitmap.indices(bits)))
