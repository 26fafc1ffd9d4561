"""Which chunks of a thing are equal, and which are zeros."""

import pytest
from blake3 import blake3
from shoal.node.scheduling.twins import Twins, all_zeros
from shoal.protocol import manifest
from shoal.protocol.manifest import Manifest

from tests.unit.node.things import bits, digits, made_of, thing

MEBIBYTE = 1 << 20


def test_the_chunks_of_most_things_are_all_different() -> None:
    twins = Twins(thing([10] * 4))
    assert [digits(twins.of(index)) for index in range(4)] == ["0", "1", "2", "3"]
    assert digits(twins.with_all(bits("13"))) == "13"


def test_equal_chunks_are_twins() -> None:
    twins = Twins(made_of("abacab"))
    assert [digits(twins.of(index)) for index in range(6)] == ["024", "15", "024", "3", "024", "15"]
    assert digits(twins.with_all(bits("03"))) == "0234"
    assert digits(twins.with_all(bits("45"))) == "01245"
    assert twins.with_all(0) == 0


def test_a_digest_with_another_size_is_no_twin() -> None:
    digest = blake3(b"aa").digest()
    forged = manifest.of_file(manifest.PLAIN_MODE, [2, 3, 2], digest * 3)
    assert digits(Twins(forged).of(0)) == "02"
    assert digits(Twins(forged).of(1)) == "1"


def zeros_among(*chunks: bytes) -> Manifest:
    digests = b"".join(blake3(chunk).digest() for chunk in chunks)
    return manifest.of_file(manifest.PLAIN_MODE, [len(chunk) for chunk in chunks], digests)


def test_zeros_are_known_by_their_digest_whatever_their_size() -> None:
    sizes = 100, 1, 3 * MEBIBYTE + 5, MEBIBYTE, 100
    assert digits(all_zeros(zeros_among(*map(bytes, sizes)))) == "01234"
    assert digits(all_zeros(zeros_among(b"\0", b"\0\1", bytes(9), b"\1" + bytes(8)))) == "02"


@pytest.mark.parametrize("sizes", [[], [10]])
def test_most_things_have_no_zeros(sizes: list[int]) -> None:
    assert all_zeros(thing(sizes)) == 0


def test_a_digest_of_fewer_zeros_is_not_that_of_more() -> None:
    digest = blake3(bytes(5)).digest()
    assert digits(all_zeros(manifest.of_file(manifest.PLAIN_MODE, [5, 6], digest * 2))) == "0"
