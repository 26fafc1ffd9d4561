"""Which thing has a chunk, and as which of its chunks: looked up by the chunk's digest.

Holds neither chunks nor things. A record takes 12 bytes and a bytearray's spare eighth, so about 14
bytes a distinct chunk of a thing; a thing takes some 300 more.
"""

import itertools
from collections.abc import Iterator

from shoal.protocol.manifest import ContentId, Manifest

_DIGEST_BYTES = 5  # After the 12 bits that choose a bucket. The finder compares the whole digest.
_NUMBER_BYTES = 5  # Of a thing: a number is never used again.
_INDEX_BYTES = 2
_RECORD_BYTES = _DIGEST_BYTES + _NUMBER_BYTES + _INDEX_BYTES


class ChunkIndex:
    """The chunks of many things. Only one thread may change it; any may look something up."""

    def __init__(self) -> None:
        self._buckets: dict[int, bytearray] = {}  # Records, by the first 12 bits of a digest.
        self._numbers: dict[ContentId, int] = {}
        self._ids: dict[int, ContentId] = {}
        self._next_number = itertools.count()

    def add(self, content_id: ContentId, thing: Manifest) -> None:
        """Take in the chunks of a thing that is not in it; of equal chunks, one."""
        number = next(self._next_number)
        self._numbers[content_id], self._ids[number] = number, content_id
        for bucket, record in _records(number, thing):
            self._buckets.setdefault(bucket, bytearray()).extend(record)

    def remove(self, content_id: ContentId, thing: Manifest) -> None:
        """Forget the chunks of a thing that is in it."""
        number = self._numbers.pop(content_id)
        del self._ids[number]
        for key, record in _records(number, thing):
            bucket = self._buckets[key]
            at = next(_places_of(record, bytes(bucket)))
            del bucket[at : at + _RECORD_BYTES]
            if not bucket:
                del self._buckets[key]

    def find(self, digest: bytes) -> Iterator[tuple[ContentId, int]]:
        """Yield the chunks, as things and indices, that may have this digest: it begins the same.

        Chunks that are added or removed meanwhile may be among them or not.
        """
        records = bytes(self._buckets.get(_bucket_of(digest), b""))
        for at in _places_of(_known_of(digest), records):
            record = records[at : at + _RECORD_BYTES]
            content_id = self._ids.get(int.from_bytes(record[_DIGEST_BYTES:-_INDEX_BYTES], "big"))
            if content_id is not None:
                yield content_id, int.from_bytes(record[-_INDEX_BYTES:], "big")


def _records(number: int, thing: Manifest) -> Iterator[tuple[int, bytes]]:
    """Yield the bucket and the record of each chunk of a thing that is its first with its bytes."""
    middle, seen = number.to_bytes(_NUMBER_BYTES, "big"), set[bytes]()
    for index in range(thing.chunk_count):
        digest = thing.digest(index)
        if digest not in seen:
            seen.add(digest)
            end = index.to_bytes(_INDEX_BYTES, "big")
            yield _bucket_of(digest), _known_of(digest) + middle + end


def _bucket_of(digest: bytes) -> int:
    return digest[0] << 4 | digest[1] >> 4


def _known_of(digest: bytes) -> bytes:
    return digest[2 : 2 + _DIGEST_BYTES]


def _places_of(start: bytes, records: bytes) -> Iterator[int]:
    """Yield where in `records` those are that begin so."""
    at = records.find(start)
    while at >= 0:
        if at % _RECORD_BYTES == 0:
            yield at
        at = records.find(start, at + 1)
