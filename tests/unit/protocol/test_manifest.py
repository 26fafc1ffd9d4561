"""Manifests: the canonical form, and forged ones."""

from collections.abc import Sequence

import msgspec
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st
from shoal.protocol import codec, manifest
from shoal.protocol.errors import MalformedMessageError
from shoal.protocol.manifest import EXECUTABLE_MODE, MAX_CHUNKS, PLAIN_MODE, TREE_MODE, Manifest

MIB = 1 << 20
DIGEST = blake3(b"chunk").digest()


def test_gives_each_chunk_its_digest() -> None:
    digests = [bytes([index]) * 32 for index in range(8)]
    whole = manifest.of_file(PLAIN_MODE, [10] * 8, b"".join(digests))
    assert [whole.digest(index) for index in range(8)] == digests


def plain_file(sizes: Sequence[int], mode: int = PLAIN_MODE) -> Manifest:
    return manifest.of_file(mode, sizes, DIGEST * len(sizes))


@given(
    st.lists(st.integers(1, 64 * MIB), max_size=50),
    st.sampled_from([PLAIN_MODE, EXECUTABLE_MODE]),
)
def test_survives_the_wire(sizes: list[int], mode: int) -> None:
    whole = plain_file(sizes, mode)
    assert manifest.decode(manifest.encode(whole)) == whole


@given(st.lists(st.integers(1, 1000), min_size=1), st.lists(st.integers(1, 1000)))
def test_a_trees_first_chunks_are_its_listing(listing: list[int], files: list[int]) -> None:
    sizes = listing + files
    tree = manifest.of_tree(sum(listing), sizes, DIGEST * len(sizes))
    assert tree.listing_chunks == len(listing)
    assert (tree.listing_bytes, tree.size_bytes) == (sum(listing), sum(files))
    assert tree.stream_bytes == sum(sizes)
    assert tree.chunk_offset(len(listing)) == sum(listing)
    assert manifest.decode(manifest.encode(tree)) == tree


def test_the_largest_fits_in_one_reply() -> None:
    data = manifest.encode(plain_file([64 * MIB] * MAX_CHUNKS))
    assert len(data) < manifest.MAX_MANIFEST_BYTES
    assert manifest.decode(data).chunk_count == MAX_CHUNKS
    assert manifest.decode(data).size_bytes == manifest.MAX_SIZE_BYTES


def test_has_these_bytes_for_ever() -> None:
    content = b"0123456789"  # Two chunks of five bytes; as in docs/build/protocol.md.
    digests = blake3(content[:5]).digest() + blake3(content[5:]).digest()
    data = manifest.encode(manifest.of_file(PLAIN_MODE, [5, 5], digests))
    head = bytes.fromhex("96ae73686f616c2f3220626c616b6533cd81a4000ac4080000000500000005c440")
    assert data == head + digests
    digest = "3dd74848dda28e0985bebbda6c1125cbb553c32dfe5dc8d46cf98c2d821e5c2c"
    assert manifest.id_of(data) == f"b3:{digest}"


# Forged manifests: [format, mode, listing_bytes, size_bytes, sizes, digests].

FIVES = manifest.pack_sizes([5, 5])
TWO = DIGEST * 2
FORGED: dict[str, object] = {
    "other format": ["shoal/1 blake3", PLAIN_MODE, 0, 10, FIVES, TWO],
    "other algorithm": ["shoal/2 md5", PLAIN_MODE, 0, 10, FIVES, TWO],
    "no format": [PLAIN_MODE, 0, 10, FIVES, TWO],
    "a field more": [manifest.FORMAT, PLAIN_MODE, 0, 10, FIVES, TWO, 1],
    "a map": {"format": manifest.FORMAT},
    "a link": [manifest.FORMAT, 0o120000, 0, 10, FIVES, TWO],
    "set-user-id": [manifest.FORMAT, 0o104755, 0, 10, FIVES, TWO],
    "negative size": [manifest.FORMAT, PLAIN_MODE, 0, -10, FIVES, TWO],
    "size of 2^63": [manifest.FORMAT, PLAIN_MODE, 0, 2**63, FIVES, TWO],
    "size of 2^64 - 1": [manifest.FORMAT, PLAIN_MODE, 0, 2**64 - 1, FIVES, TWO],
    "size as float": [manifest.FORMAT, PLAIN_MODE, 0, 10.0, FIVES, TWO],
    "no chunks": [manifest.FORMAT, PLAIN_MODE, 0, 10, b"", b""],
    "chunks of an empty file": [manifest.FORMAT, PLAIN_MODE, 0, 0, FIVES, TWO],
    "too few bytes": [manifest.FORMAT, PLAIN_MODE, 0, 11, FIVES, TWO],
    "too many bytes": [manifest.FORMAT, PLAIN_MODE, 0, 9, FIVES, TWO],
    "a size that is cut off": [manifest.FORMAT, PLAIN_MODE, 0, 10, FIVES[:-1], TWO],
    "sizes as a list": [manifest.FORMAT, PLAIN_MODE, 0, 10, [5, 5], TWO],
    "chunks of 0 bytes": [
        manifest.FORMAT,
        PLAIN_MODE,
        0,
        10,
        manifest.pack_sizes([10, 0]),
        TWO,
    ],
    "chunks of 2^31 bytes": [
        manifest.FORMAT,
        PLAIN_MODE,
        0,
        2**31,
        manifest.pack_sizes([2**31]),
        DIGEST,
    ],
    "too many chunks": [
        manifest.FORMAT,
        PLAIN_MODE,
        0,
        MAX_CHUNKS + 1,
        manifest.pack_sizes([1] * (MAX_CHUNKS + 1)),
        DIGEST * (MAX_CHUNKS + 1),
    ],
    "no digests": [manifest.FORMAT, PLAIN_MODE, 0, 10, FIVES, b""],
    "a digest too few": [manifest.FORMAT, PLAIN_MODE, 0, 10, FIVES, DIGEST],
    "a digest too many": [manifest.FORMAT, PLAIN_MODE, 0, 10, FIVES, DIGEST * 3],
    "digests cut to 8 bytes": [manifest.FORMAT, PLAIN_MODE, 0, 10, FIVES, TWO[:16]],
    "a digest a byte short": [manifest.FORMAT, PLAIN_MODE, 0, 10, FIVES, TWO[:-1]],
    "digests as text": [manifest.FORMAT, PLAIN_MODE, 0, 10, FIVES, "0" * 64],
    "a tree without a listing": [manifest.FORMAT, TREE_MODE, 0, 10, FIVES, TWO],
    "a file with a listing": [manifest.FORMAT, PLAIN_MODE, 5, 5, FIVES, TWO],
    "a chunk that is half listing": [manifest.FORMAT, TREE_MODE, 4, 6, FIVES, TWO],
    "a listing that is longer than all": [manifest.FORMAT, TREE_MODE, 11, 0, FIVES, TWO],
    "a negative listing": [manifest.FORMAT, TREE_MODE, -5, 15, FIVES, TWO],
    "a huge listing": [
        manifest.FORMAT,
        TREE_MODE,
        manifest.MAX_LISTING_BYTES + 1,
        0,
        FIVES,
        TWO,
    ],
}


@pytest.mark.parametrize("case", FORGED)
def test_refuses(case: str) -> None:
    with pytest.raises(MalformedMessageError):
        manifest.decode(codec.pack(FORGED[case]))


def test_accepts_what_the_forged_ones_were_made_from() -> None:
    data = codec.pack([manifest.FORMAT, PLAIN_MODE, 0, 10, FIVES, TWO])
    assert manifest.encode(manifest.decode(data)) == data


def test_refuses_another_spelling_of_the_same() -> None:
    canonical = manifest.encode(plain_file([5, 5]))
    spelled = canonical.replace(b"\x00\x0a\xc4", b"\x00\xcc\x0a\xc4")  # 10 in two bytes.
    assert spelled != canonical
    with pytest.raises(MalformedMessageError, match="canonical"):
        manifest.decode(spelled)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_nothing_else(data: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        manifest.decode(data)


@given(st.integers(0, 100), st.binary(min_size=1, max_size=3))
def test_a_manifest_changed_anywhere_is_refused_or_another_thing(at: int, change: bytes) -> None:
    data = manifest.encode(plain_file([5, 5]))
    changed = data[:at] + change + data[at + len(change) :]
    try:
        manifest.decode(changed)
    except MalformedMessageError:
        return
    assert changed == data or manifest.id_of(changed) != manifest.id_of(data)


def test_refuses_a_manifest_that_is_too_long() -> None:
    with pytest.raises(MalformedMessageError, match="at most"):
        manifest.decode(bytes(manifest.MAX_MANIFEST_BYTES + 1))


def test_cannot_be_made_inconsistent() -> None:
    whole = plain_file([5, 5])
    with pytest.raises(ValueError, match="do not add up"):
        msgspec.structs.replace(whole, sizes=manifest.pack_sizes([4, 4]))
    with pytest.raises(ValueError, match="does not have up to"):
        plain_file([1] * (MAX_CHUNKS + 1))


@pytest.mark.parametrize(
    ("text", "is_id"),
    [
        (f"b3:{'0' * 64}", True),
        (f"b3:{'0123456789abcdef' * 4}", True),
        (f"b3:{'A' * 64}", False),  # Upper case, and the rest.
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
