"""Manifests: the sizes and hashes of the chunks of one file or tree. Reads no files.

A manifest's canonical bytes are the msgpack of `[FORMAT, mode, listing_bytes, size_bytes, sizes,
digests]`. The thing's bytes are those of a tree's listing (protocol.listing), if it is one, and
then those of its files, end to end; the chunks cover them all. `sizes` are the chunks' sizes,
4 bytes each, and `digests` their BLAKE3 digests, 32 bytes each. The id of the thing is the BLAKE3
of the manifest's bytes: whoever has an id can check a manifest, and a listing, from anybody.
"""

import array
import bisect
import functools
import itertools
import struct
from collections.abc import Sequence
from typing import Annotated, NewType

import msgspec
from blake3 import blake3
from shoal.protocol import codec, names
from shoal.protocol.errors import MalformedMessageError

ContentId = NewType("ContentId", str)

FORMAT = "shoal/2 blake3"
DIGEST_BYTES = 32
SIZE_BYTES = 4  # Big-endian.
MAX_CHUNKS = 1 << 15  # 1 MiB of digests: one message.
MAX_MANIFEST_BYTES = 2 << 20
MAX_CHUNK_BYTES = 64 << 20  # The largest frame a node accepts.
MAX_SIZE_BYTES = MAX_CHUNKS * MAX_CHUNK_BYTES  # 2 TiB.
MAX_LISTING_BYTES = 128 << 20  # A million files with paths of 120 bytes.

PLAIN_MODE = 0o100644  # Git's modes: what matters about a file, and no more.
EXECUTABLE_MODE = 0o100755
TREE_MODE = 0o040000


class _Document(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    format: str
    mode: int
    listing_bytes: Annotated[int, msgspec.Meta(ge=0, le=MAX_LISTING_BYTES)]
    size_bytes: Annotated[int, msgspec.Meta(ge=0, le=MAX_SIZE_BYTES)]
    sizes: Annotated[bytes, msgspec.Meta(max_length=MAX_CHUNKS * SIZE_BYTES)]
    digests: Annotated[bytes, msgspec.Meta(max_length=MAX_CHUNKS * DIGEST_BYTES)]


class Manifest(msgspec.Struct, frozen=True, dict=True):
    """The chunks of one shared thing, checked: sizes add up, limits are kept.

    `size_bytes` is what its files have; `listing_bytes`, which only a tree has, stand before them.
    """

    mode: int
    listing_bytes: int
    size_bytes: int
    sizes: bytes
    digests: bytes

    def __post_init__(self) -> None:
        if len(self.sizes) % SIZE_BYTES or self.chunk_count > MAX_CHUNKS:
            raise ValueError(f"does not have up to {MAX_CHUNKS} chunk sizes")
        if len(self.digests) != self.chunk_count * DIGEST_BYTES:
            raise ValueError("does not have one digest for each chunk")
        if self.mode not in {PLAIN_MODE, EXECUTABLE_MODE, TREE_MODE}:
            raise ValueError("has the mode of neither a file nor a tree")
        if self.is_tree != (self.listing_bytes > 0):
            raise ValueError("is a tree without a listing, or a file with one")
        sizes = self._sizes
        if sizes and not 1 <= min(sizes) <= max(sizes) <= MAX_CHUNK_BYTES:
            raise ValueError(f"has a chunk of no bytes, or of more than {MAX_CHUNK_BYTES}")
        if sum(sizes) != self.stream_bytes:
            raise ValueError("has chunks that do not add up to the size")
        if self._offsets[self.listing_chunks] != self.listing_bytes:
            raise ValueError("has a chunk that is part listing, part files")

    @property
    def is_tree(self) -> bool:
        return self.mode == TREE_MODE

    @property
    def stream_bytes(self) -> int:
        """Return the bytes of all chunks: the listing's and the files'."""
        return self.listing_bytes + self.size_bytes

    @functools.cached_property  # Needed with each message about a chunk.
    def chunk_count(self) -> int:
        return len(self.sizes) // SIZE_BYTES

    @functools.cached_property
    def listing_chunks(self) -> int:
        """Return how many chunks the listing has; they come first."""
        return bisect.bisect_left(self._offsets, self.listing_bytes)

    @property
    def _sizes(self) -> tuple[int, ...]:
        return struct.unpack(f">{self.chunk_count}I", self.sizes)

    @functools.cached_property
    def _offsets(self) -> "array.array[int]":
        return array.array("Q", itertools.accumulate(self._sizes, initial=0))

    def chunk_offset(self, index: int) -> int:
        """Return where chunk `index` begins, in bytes from the start of the thing's bytes."""
        return self._offsets[index]

    def chunk_size(self, index: int) -> int:
        return self._offsets[index + 1] - self._offsets[index]

    def chunk_at(self, offset: int) -> int:
        """Return the index of the chunk that holds the byte at `offset`."""
        return bisect.bisect_right(self._offsets, offset) - 1

    def digest(self, index: int) -> bytes:
        return self.digests[index * DIGEST_BYTES : (index + 1) * DIGEST_BYTES]


def of_file(mode: int, sizes: Sequence[int], digests: bytes) -> Manifest:
    """Return the manifest of one file that was cut into chunks of these sizes.

    Raises:
        ValueError: `digests` are not those of so many chunks, or there are too many.
    """
    return Manifest(mode, 0, sum(sizes), pack_sizes(sizes), digests)


def of_tree(listing_bytes: int, sizes: Sequence[int], digests: bytes) -> Manifest:
    """Return the manifest of a tree; the first chunks are its listing's. Raises as `of_file`."""
    size_bytes = sum(sizes) - listing_bytes
    return Manifest(TREE_MODE, listing_bytes, size_bytes, pack_sizes(sizes), digests)


def pack_sizes(sizes: Sequence[int]) -> bytes:
    """Return chunk sizes as a manifest holds them."""
    return struct.pack(f">{len(sizes)}I", *sizes)


def encode(manifest: Manifest) -> bytes:
    """Return the canonical bytes of `manifest`."""
    fields = (getattr(manifest, name) for name in manifest.__struct_fields__)
    return codec.pack([FORMAT, *fields])


def decode(data: bytes) -> Manifest:
    """Return the manifest that `data` is the canonical bytes of.

    Raises:
        MalformedMessageError: it is none, breaks a limit or is not in canonical form.
    """
    document = codec.unpack(data, _Document, MAX_MANIFEST_BYTES, len(_Document.__struct_fields__))
    if document.format != FORMAT:
        raise MalformedMessageError(f"manifest format {document.format[:20]!r} is not {FORMAT!r}")
    _, *fields = msgspec.structs.astuple(document)
    try:
        manifest = Manifest(*fields)
    except ValueError as error:
        raise MalformedMessageError(f"the manifest {error}") from None
    if encode(manifest) != data:
        raise MalformedMessageError("the manifest is not in canonical form")
    return manifest


def id_of(data: bytes) -> ContentId:
    """Return the id of the thing whose canonical manifest bytes are `data`."""
    return ContentId(f"b3:{blake3(data).hexdigest()}")


def is_id(text: str) -> bool:
    """Return whether `text` has the form of an id, and so is no name."""
    return names.is_like_an_id(text)
