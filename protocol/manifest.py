"""What a shared thing consists of: its entries, and the chunks of their bytes. Reads no files.

A manifest's canonical bytes are the msgpack of `[FORMAT, entries, runs, digests]`: an entry is
`[path, size_bytes, mode]`, a run is `[chunk_size_bytes, count]` (how many neighbouring chunks have
one size), and digests are the chunks' BLAKE3 digests end to end. The id of the thing is the BLAKE3
of those bytes, so whoever has an id can check a manifest from anybody.
"""

import bisect
import functools
import itertools
import re
from typing import Annotated, NewType

import msgspec
from blake3 import blake3

from protocol import codec
from protocol.errors import MalformedMessageError

ContentId = NewType("ContentId", str)

FORMAT = "shoal/1 blake3"
DIGEST_BYTES = 32
MAX_CHUNKS = 1 << 15  # 1 MiB of digests: one message.
MAX_MANIFEST_BYTES = 4 << 20
MAX_RUNS = 1 << 12  # A plain file has two. Bounds what nested headers cost (codec.unpack).
MAX_CHUNK_BYTES = 64 << 20  # The largest frame a node accepts.
MAX_SIZE_BYTES = MAX_CHUNKS * MAX_CHUNK_BYTES  # 2 TiB.
MAX_ENTRIES = 1  # One plain file; directories come with their own paging.

PLAIN_MODE = 0o100644  # Git's modes: what matters about a file, and no more.
EXECUTABLE_MODE = 0o100755

_ID = re.compile(r"b3:[0-9a-f]{64}\Z")
_SMALL_FILE_CHUNKS = 8
_SMALLEST_CHUNK_BYTES = 256
_LEAST_CHUNK_BYTES = 128 << 10  # Of a file that is not small …
_MOST_CHUNK_BYTES = 4 << 20  # … nor huge.
_USUAL_CHUNKS = 512
_SWARM_BYTES = 512 << 20  # Up to this size twice as many: they are worth their cost.


class Entry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One file of the thing. A plain file's path is empty: its name is the tracker's business."""

    path: str
    size_bytes: Annotated[int, msgspec.Meta(ge=0, le=MAX_SIZE_BYTES)]
    mode: int


class Run(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """`count` neighbouring chunks of `size_bytes` each."""

    size_bytes: Annotated[int, msgspec.Meta(ge=1, le=MAX_CHUNK_BYTES)]
    count: Annotated[int, msgspec.Meta(ge=1, le=MAX_CHUNKS)]


class _Document(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    format: str
    entries: Annotated[tuple[Entry, ...], msgspec.Meta(min_length=1, max_length=MAX_ENTRIES)]
    runs: Annotated[tuple[Run, ...], msgspec.Meta(max_length=MAX_RUNS)]
    digests: Annotated[bytes, msgspec.Meta(max_length=MAX_CHUNKS * DIGEST_BYTES)]


class Manifest(msgspec.Struct, frozen=True, dict=True):
    """The entries and chunks of one shared thing, checked: sizes add up, limits are kept."""

    entries: tuple[Entry, ...]
    runs: tuple[Run, ...]
    digests: bytes

    def __post_init__(self) -> None:
        if self.chunk_count > MAX_CHUNKS:
            raise ValueError(f"has more than {MAX_CHUNKS} chunks")
        if len(self.digests) != self.chunk_count * DIGEST_BYTES:
            raise ValueError("has not one digest for each chunk")
        if any(one.size_bytes == two.size_bytes for one, two in itertools.pairwise(self.runs)):
            raise ValueError("has neighbouring runs of one size")
        if sum(run.size_bytes * run.count for run in self.runs) != self.size_bytes:
            raise ValueError("has chunks that do not add up to the size")
        for entry in self.entries:
            if entry.path or entry.mode not in {PLAIN_MODE, EXECUTABLE_MODE}:
                raise ValueError("has an entry that is not a plain file")

    @functools.cached_property
    def size_bytes(self) -> int:
        return sum(entry.size_bytes for entry in self.entries)

    @functools.cached_property
    def chunk_count(self) -> int:
        return sum(run.count for run in self.runs)

    @functools.cached_property
    def _offsets(self) -> list[int]:
        sizes = (run.size_bytes for run in self.runs for _ in range(run.count))
        return [0, *itertools.accumulate(sizes)]

    def chunk_offset(self, index: int) -> int:
        """Return where chunk `index` begins, in bytes from the start of the entries' bytes."""
        return self._offsets[index]

    def chunk_size(self, index: int) -> int:
        return self._offsets[index + 1] - self._offsets[index]

    def chunk_at(self, offset: int) -> int:
        """Return the index of the chunk that holds the byte at `offset`."""
        return bisect.bisect_right(self._offsets, offset) - 1

    def digest(self, index: int) -> bytes:
        return self.digests[index * DIGEST_BYTES : (index + 1) * DIGEST_BYTES]


def plain_file(size_bytes: int, mode: int, digests: bytes) -> Manifest:
    """Return the manifest of one file cut into chunks of `chunk_size_for(size_bytes)`.

    Raises:
        ValueError: `digests` are not those of so many chunks, or the file is too large.
    """
    chunk_size = chunk_size_for(size_bytes)
    count, rest = divmod(size_bytes, chunk_size)
    runs = [Run(chunk_size, count)] if count else []
    if rest:
        runs.append(Run(rest, 1))
    return Manifest((Entry("", size_bytes, mode),), tuple(runs), digests)


def chunk_size_for(size_bytes: int) -> int:
    """Return the chunk size for a file of `size_bytes`, in bytes.

    From 128 KiB to 4 MiB, so that a file has some 512 to 1024 chunks: in a swarm each host waits
    for a few whole chunks, so they must be short beside the file, and each costs some 0.3 ms, so
    they must be few. Beyond, doubled until a huge file has at most MAX_CHUNKS. A small file is cut
    into up to 8, so that it too comes from several holders at once, but into 2 if they had less
    than 256 bytes (docs/decisions/0003-chunk-sizes.md).

    Raises:
        ValueError: it is larger than MAX_SIZE_BYTES.
    """
    if size_bytes > MAX_SIZE_BYTES:
        raise ValueError(f"is larger than {MAX_SIZE_BYTES} bytes")
    if size_bytes <= _SMALL_FILE_CHUNKS * _LEAST_CHUNK_BYTES:
        eighth = -(-size_bytes // _SMALL_FILE_CHUNKS)
        half = -(-size_bytes // 2)
        return max(1, min(max(eighth, _SMALLEST_CHUNK_BYTES), half))
    usual = 2 * _USUAL_CHUNKS if size_bytes <= _SWARM_BYTES else _USUAL_CHUNKS
    chunk_size = _LEAST_CHUNK_BYTES
    while chunk_size * usual < size_bytes and chunk_size < _MOST_CHUNK_BYTES:
        chunk_size *= 2
    while chunk_size * MAX_CHUNKS < size_bytes:
        chunk_size *= 2
    return chunk_size


def encode(manifest: Manifest) -> bytes:
    """Return the canonical bytes of `manifest`."""
    document = _Document(FORMAT, manifest.entries, manifest.runs, manifest.digests)
    return codec.pack(document)


def decode(data: bytes) -> Manifest:
    """Return the manifest that `data` is the canonical bytes of.

    Raises:
        MalformedMessageError: it is none, breaks a limit or is not in canonical form.
    """
    document = codec.unpack(data, _Document, MAX_MANIFEST_BYTES, MAX_RUNS)
    if document.format != FORMAT:
        raise MalformedMessageError(f"manifest format {document.format[:20]!r} is not {FORMAT!r}")
    try:
        manifest = Manifest(document.entries, document.runs, document.digests)
    except ValueError as error:
        raise MalformedMessageError(f"the manifest {error}") from None
    if encode(manifest) != data:
        raise MalformedMessageError("the manifest is not in canonical form")
    return manifest


def id_of(data: bytes) -> ContentId:
    """Return the id of the thing whose canonical manifest bytes are `data`."""
    return ContentId(f"b3:{blake3(data).hexdigest()}")


def is_id(text: str) -> bool:
    """Say whether `text` has the form of an id (and so is no name)."""
    return _ID.match(text) is not None
