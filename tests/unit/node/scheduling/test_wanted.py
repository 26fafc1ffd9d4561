"""The sets of chunks that are missing and free, and those with equal bytes."""

import collections

import pytest
from blake3 import blake3
from shoal.node.scheduling.wanted import Twins, Wanted, all_zeros
from shoal.protocol import manifest
from shoal.protocol.manifest import Manifest

from tests.unit.node.things import bits, digits, made_of, rng, thing

MEBIBYTE = 1 << 20


def wanted(have: str = "", of: Manifest | None = None) -> Wanted:
    of = of or thing([10] * 10)
    return Wanted(bits(have), bits("0123456789"), rng(), Twins(of))


def test_wants_what_is_not_there() -> None:
    assert (digits(wanted("037").missing), digits(wanted("037").free)) == ("1245689",) * 2
    assert digits(wanted("037").have) == "037"


def test_a_chunk_arrives_once() -> None:
    chunks = wanted("0123456")
    assert chunks.arrived(8)
    assert not chunks.arrived(8)
    assert (digits(chunks.missing), digits(chunks.have)) == ("79", "01234568")


def test_what_is_claimed_is_free_again_unless_it_has_arrived() -> None:
    chunks = wanted("01234")
    chunks.claim(bits("678"))
    assert digits(chunks.free) == "59"
    chunks.arrived(7)
    chunks.release(bits("67"))
    assert digits(chunks.free) == "569"


def test_nothing_is_free_but_what_is_to_come() -> None:
    chunks = wanted("01")
    assert not chunks.is_idle
    chunks.claim(bits("3"))
    chunks.urge([(2, 3)], only=[(0, 4), (8, 9)])
    assert digits(chunks.free) == "28"
    chunks.release(bits("3"))
    assert digits(chunks.free) == "238"
    for index in (2, 3, 8):
        assert not chunks.is_idle
        chunks.arrived(index)
    assert (chunks.is_idle, chunks.is_complete, digits(chunks.missing)) == (True, False, "45679")
    chunks.urge([])
    assert (chunks.is_idle, digits(chunks.free)) == (False, "45679")


def test_picks_in_order_unless_they_are_to_be_scattered() -> None:
    chunks = wanted()
    picked = [chunks.pick(bits("2479"), is_scattered=False) for _ in range(9)]
    assert picked == [2] * 9


def test_a_scattered_pick_is_any_of_them_as_often_as_any_other() -> None:
    """The first from a random chunk on is often the same: the one behind those that are there."""
    chunks = wanted()
    picked = collections.Counter(chunks.pick(bits("2479"), is_scattered=True) for _ in range(4000))
    assert picked.keys() == {2, 4, 7, 9}
    assert max(picked.values()) < 1.2 * min(picked.values())


def test_of_equal_chunks_one_is_there_when_the_other_is() -> None:
    chunks = wanted("0", made_of("abababcdef"))
    assert digits(chunks.with_twins(bits("16"))) == "1356"
    assert digits(chunks.arrived(3)) == "135"
    assert chunks.arrived(1) == 0
    assert digits(chunks.missing) == "246789"
    assert digits(chunks.have) == "0135"


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


def in_turn(length: int, have: int = 0) -> Wanted:
    """Return what is missing of three files of so many chunks, which come in turn."""
    count = 3 * length
    found = Wanted(have, (1 << count) - 1, rng(), Twins(thing([10] * count)))
    found.order((length, 2 * length))
    return found


def test_long_files_come_in_turn_and_each_in_random_order() -> None:
    chunks = in_turn(200)
    everything = chunks.missing
    picked = {chunks.pick(everything, is_scattered=True) for _ in range(500)}
    assert max(picked) < 200
    assert len(picked) > 100


def test_what_is_not_their_turn_is_picked_rather_than_nothing() -> None:
    assert in_turn(200).pick(1 << 450, is_scattered=True) == 450


def test_the_next_file_has_its_turn_when_one_is_complete() -> None:
    chunks = in_turn(200, have=(1 << 200) - 1)
    assert 200 <= chunks.pick(chunks.missing, is_scattered=True) < 400
    last = in_turn(200, have=(1 << 400) - 1)
    assert last.pick(last.missing, is_scattered=False) == 400


def test_of_short_files_others_are_picked_at_times_too() -> None:
    chunks = in_turn(50)
    picked = [chunks.pick(chunks.missing, is_scattered=True) < 50 for _ in range(1000)]
    assert 750 < sum(picked) < 920  # Three in four, and a third of the others.
    assert chunks.pick(chunks.missing, is_scattered=False) == 0
