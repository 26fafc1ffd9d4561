"""Manifests: the rule for chunk sizes, the canonical form, and forged ones."""

import itertools

import msgspec
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from protocol import codec, manifest
from protocol.errors import MalformedMessageError
from protocol.manifest import MAX_CHUNKS, MAX_SIZE_BYTES, PLAIN_MODE, Manifest

MIB = 1 << 20
DIGEST = blake3(b"chunk").digest()
SIZES = st.integers(0, 4096) | st.integers(0, 40 * MIB) | st.integers(0, MAX_SIZE_BYTES)


def chunk_count(size_bytes: int) -> int:
    return -(-size_bytes // manifest.chunk_size_for(size_bytes))


def plain_file(size_bytes: int, mode: int = PLAIN_MODE) -> Manifest:
    return manifest.plain_file(size_bytes, mode, DIGEST * chunk_count(size_bytes))


def drawn(size_bytes: int) -> str:
    """Return the chunk sizes of a file as text, neighbours of one size together."""
    runs = plain_file(size_bytes).runs
    return " + ".join(f"{run.count} x {run.size_bytes}" for run in runs)


@pytest.mark.parametrize(
    ("size_bytes", "chunks"),
    [
        (0, ""),
        (1, "1 x 1"),
        (2, "2 x 1"),
        (3, "1 x 2 + 1 x 1"),
        (371, "1 x 186 + 1 x 185"),
        (511, "1 x 256 + 1 x 255"),
        (512, "2 x 256"),
        (513, "2 x 256 + 1 x 1"),
        (2048, "8 x 256"),
        (2049, "7 x 257 + 1 x 250"),
        (MIB - 1, "7 x 131072 + 1 x 131071"),
        (MIB, "8 x 131072"),
        (MIB + 1, "8 x 131072 + 1 x 1"),
        (64 * MIB, "512 x 131072"),
        (128 * MIB, "1024 x 131072"),
        (128 * MIB + 1, "512 x 262144 + 1 x 1"),
        (512 * MIB - 1, "1023 x 524288 + 1 x 524287"),
        (512 * MIB, "1024 x 524288"),
        (512 * MIB + 1, "256 x 2097152 + 1 x 1"),
        (2 << 30, "512 x 4194304"),
        (128 << 30, "32768 x 4194304"),
        ((128 << 30) + 1, "16384 x 8388608 + 1 x 1"),
        (MAX_SIZE_BYTES, f"{MAX_CHUNKS} x {64 * MIB}"),
    ],
)
def test_cuts_a_file_into_chunks(size_bytes: int, chunks: str) -> None:  # fault 88
    assert drawn(size_bytes) == chunks


@given(SIZES)
def test_the_chunk_size_keeps_its_limits(size_bytes: int) -> None:
    chunk_size_bytes, count = manifest.chunk_size_for(size_bytes), chunk_count(size_bytes)
    assert 1 <= chunk_size_bytes <= manifest.MAX_CHUNK_BYTES
    assert count <= MAX_CHUNKS
    assert count <= 2 or chunk_size_bytes >= 256
    assert count > 1 or size_bytes < 2  # What can be shared out is.


@pytest.mark.parametrize("size_bytes", [0, 1, 2, 371, 8 * MIB, 8 * MIB + 1, 40 * MIB - 1])
def test_the_chunks_tile_the_file(size_bytes: int) -> None:
    whole = plain_file(size_bytes)
    ranges = [
        (whole.chunk_offset(index), whole.chunk_offset(index) + whole.chunk_size(index))
        for index in range(whole.chunk_count)
    ]
    edges = [0, *itertools.chain.from_iterable(ranges), size_bytes]
    assert edges[::2] == edges[1::2]  # Each begins where the one before ends.
    assert all(begin < end for begin, end in ranges)
    assert whole.size_bytes == size_bytes
    for index, (begin, end) in enumerate(ranges):
        assert whole.chunk_at(begin) == whole.chunk_at(end - 1) == index


def test_gives_each_chunk_its_digest() -> None:
    digests = [bytes([index]) * 32 for index in range(8)]
    whole = manifest.plain_file(MIB, PLAIN_MODE, b"".join(digests))
    assert [whole.digest(index) for index in range(8)] == digests


@pytest.mark.parametrize("size_bytes", [MAX_SIZE_BYTES + 1, 2**63, 2**200])
def test_refuses_a_file_that_is_too_large(size_bytes: int) -> None:
    with pytest.raises(ValueError, match="is larger than"):
        manifest.plain_file(size_bytes, PLAIN_MODE, b"")


@given(SIZES.filter(lambda size_bytes: size_bytes < 1 << 35), st.booleans())
def test_survives_the_wire(size_bytes: int, executable: bool) -> None:  # noqa: FBT001  # Drawn.
    mode = manifest.EXECUTABLE_MODE if executable else PLAIN_MODE
    whole = plain_file(size_bytes, mode)
    assert manifest.decode(manifest.encode(whole)) == whole


def test_the_largest_fits_in_one_reply() -> None:
    data = manifest.encode(plain_file(MAX_SIZE_BYTES))
    assert len(data) < manifest.MAX_MANIFEST_BYTES
    assert manifest.decode(data).chunk_count == MAX_CHUNKS


def test_has_these_bytes_for_ever() -> None:
    content = b"0123456789"  # Two chunks of five bytes; the same example as in docs/protocol.md.
    digests = blake3(content[:5]).digest() + blake3(content[5:]).digest()
    data = manifest.encode(manifest.plain_file(10, PLAIN_MODE, digests))
    head = bytes.fromhex("94ae73686f616c2f3120626c616b65339193a00acd81a491920502c440")
    assert data == head + digests
    digest = "8b247555999a0f80ab88af209ecbcfdbdf463e2be145eeecf5aa4aac423a5639"
    assert manifest.id_of(data) == f"b3:{digest}"


# Forged manifests: [format, entries, runs, digests].

ENTRY = ["", 10, PLAIN_MODE]
TWO = DIGEST * 2
FORGED = {
    "other format": ["shoal/2 blake3", [ENTRY], [[5, 2]], TWO],
    "other algorithm": ["shoal/1 md5", [ENTRY], [[5, 2]], TWO],  # fault 90
    "no format": [[ENTRY], [[5, 2]], TWO],
    "a field more": [manifest.FORMAT, [ENTRY], [[5, 2]], TWO, 1],
    "a map": {"format": manifest.FORMAT},
    "no entry": [manifest.FORMAT, [], [], b""],
    "two entries": [manifest.FORMAT, [ENTRY, ENTRY], [[5, 4]], TWO * 2],
    "a path": [manifest.FORMAT, [["../net.txt", 10, PLAIN_MODE]], [[5, 2]], TWO],
    "a link": [manifest.FORMAT, [["", 10, 0o120000]], [[5, 2]], TWO],
    "set-user-id": [manifest.FORMAT, [["", 10, 0o104755]], [[5, 2]], TWO],
    "an entry with a field more": [manifest.FORMAT, [[*ENTRY, 1]], [[5, 2]], TWO],
    "negative size": [manifest.FORMAT, [["", -10, PLAIN_MODE]], [[5, 2]], TWO],
    "size of 2^63": [manifest.FORMAT, [["", 2**63, PLAIN_MODE]], [[5, 2]], TWO],
    "size of 2^64 - 1": [manifest.FORMAT, [["", 2**64 - 1, PLAIN_MODE]], [[5, 2]], TWO],
    "size as float": [manifest.FORMAT, [["", 10.0, PLAIN_MODE]], [[5, 2]], TWO],
    "no chunks": [manifest.FORMAT, [ENTRY], [], b""],
    "chunks of an empty file": [manifest.FORMAT, [["", 0, PLAIN_MODE]], [[5, 2]], TWO],
    "too few bytes": [manifest.FORMAT, [ENTRY], [[4, 2]], TWO],
    "too many bytes": [manifest.FORMAT, [ENTRY], [[6, 2]], TWO],
    "a run of none": [manifest.FORMAT, [ENTRY], [[5, 2], [1, 0]], TWO],
    "a run of -2": [manifest.FORMAT, [ENTRY], [[5, 4], [5, -2]], TWO],
    "a run of 2^31": [manifest.FORMAT, [ENTRY], [[5, 2**31]], TWO],
    "chunks of 0 bytes": [manifest.FORMAT, [ENTRY], [[5, 2], [0, 1]], DIGEST * 3],
    "chunks of -5 bytes": [manifest.FORMAT, [ENTRY], [[15, 1], [-5, 1]], TWO],
    "chunks of 2^40 bytes": [manifest.FORMAT, [["", 2**40, PLAIN_MODE]], [[2**40, 1]], DIGEST],
    "two runs of one size": [manifest.FORMAT, [ENTRY], [[5, 1], [5, 1]], TWO],
    "too many chunks": [
        manifest.FORMAT,
        [["", MAX_CHUNKS + 3, PLAIN_MODE]],
        [[1, MAX_CHUNKS], [3, 1]],
        DIGEST * (MAX_CHUNKS + 1),
    ],
    "too many runs": [
        manifest.FORMAT,
        [["", 6144 + 1, PLAIN_MODE]],
        [[1 + index % 2, 1] for index in range(4097)],
        DIGEST * 4097,
    ],
    "no digests": [manifest.FORMAT, [ENTRY], [[5, 2]], b""],
    "a digest too few": [manifest.FORMAT, [ENTRY], [[5, 2]], DIGEST],
    "a digest too many": [manifest.FORMAT, [ENTRY], [[5, 2]], DIGEST * 3],
    "digests cut to 8 bytes": [manifest.FORMAT, [ENTRY], [[5, 2]], TWO[:16]],  # fault 90
    "a digest a byte short": [manifest.FORMAT, [ENTRY], [[5, 2]], TWO[:-1]],
    "digests as text": [manifest.FORMAT, [ENTRY], [[5, 2]], "0" * 64],
}


@pytest.mark.parametrize("case", FORGED)
def test_refuses(case: str) -> None:  # fault 85
    with pytest.raises(MalformedMessageError):
        manifest.decode(codec.pack(FORGED[case]))


def test_accepts_what_the_forged_ones_were_made_from() -> None:
    data = codec.pack([manifest.FORMAT, [ENTRY], [[5, 2]], TWO])
    assert manifest.encode(manifest.decode(data)) == data


def test_refuses_another_spelling_of_the_same() -> None:
    canonical = manifest.encode(manifest.plain_file(10, PLAIN_MODE, TWO))
    spelled = canonical.replace(b"\x93\xa0\x0a", b"\x93\xa0\xcc\x0a")  # 10 in two bytes.
    assert spelled != canonical
    with pytest.raises(MalformedMessageError, match="canonical"):
        manifest.decode(spelled)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_nothing_else(data: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        manifest.decode(data)


@given(st.integers(0, 100), st.binary(min_size=1, max_size=3))
def test_a_manifest_changed_anywhere_is_refused_or_another_thing(at: int, change: bytes) -> None:
    data = manifest.encode(manifest.plain_file(10, PLAIN_MODE, TWO))
    changed = data[:at] + change + data[at + len(change) :]
    try:
        manifest.decode(changed)
    except MalformedMessageError:
        return
    assert changed == data or manifest.id_of(changed) != manifest.id_of(data)


def test_refuses_a_manifest_that_is_too_long() -> None:  # fault 86
    with pytest.raises(MalformedMessageError, match="at most"):
        manifest.decode(bytes(manifest.MAX_MANIFEST_BYTES + 1))


def test_cannot_be_made_inconsistent() -> None:
    whole = manifest.plain_file(10, PLAIN_MODE, TWO)
    with pytest.raises(ValueError, match="do not add up"):
        msgspec.structs.replace(whole, runs=(manifest.Run(4, 2),))
    with pytest.raises(ValueError, match="more than"):
        msgspec.structs.replace(whole, runs=(manifest.Run(1, MAX_CHUNKS + 1),))


@pytest.mark.parametrize(
    ("text", "is_id"),
    [
        (f"b3:{'0' * 64}", True),
        (f"b3:{'0123456789abcdef' * 4}", True),
        (f"b3:{'A' * 64}", False),  # fault 90, and the rest
        (f"B3:{'0' * 64}", False),
        (f"b3:{'0' * 63}", False),
        (f"b3:{'0' * 65}", False),
        (f"b3:{'0' * 16}", False),
        (f"b3:{'0' * 64}\n", False),
        (f" b3:{'0' * 64}", False),
        (f"sha256:{'0' * 64}", False),
        ("0" * 64, False),
        ("net.txt", False),
        ("", False),
    ],
)
def test_tells_an_id_from_a_name(text: str, is_id: bool) -> None:  # noqa: FBT001  # A table.
    assert manifest.is_id(text) is is_id
