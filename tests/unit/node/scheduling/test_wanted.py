"""The sets of chunks that are missing and free."""

from shoal.node.scheduling.twins import Twins
from shoal.node.scheduling.wanted import Wanted
from shoal.protocol.manifest import Manifest

from tests.unit.node.things import bits, digits, made_of, rng, thing


def wanted(have: str = "", of: Manifest | None = None) -> Wanted:
    of = of or thing([10] * 10)
    return Wanted(10, bits(have), bits("0123456789"), rng(), Twins(of))


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


def test_gives_them_in_order_unless_they_are_to_be_scattered() -> None:
    chunks = wanted()
    assert {chunks.next_of(bits("2479"), scattered=False) for _ in range(100)} == {2}
    assert {chunks.next_of(bits("2479"), scattered=True) for _ in range(100)} == {2, 4, 7, 9}


def test_of_equal_chunks_one_is_there_when_the_other_is() -> None:
    chunks = wanted("0", made_of("abababcdef"))
    assert digits(chunks.with_twins(bits("16"))) == "1356"
    assert digits(chunks.arrived(3)) == "135"
    assert chunks.arrived(1) == 0
    assert digits(chunks.missing) == "246789"
    assert digits(chunks.have) == "0135"
