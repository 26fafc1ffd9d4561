"""A short run of each decoder, what was found before, and that the loop finds what it looks for."""

from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shoal.protocol.errors import MalformedMessageError

from tests.fuzz.decoders import DECODERS, Decoder, Read
from tests.fuzz.loop import MOST_BYTES, answered, fuzzed
from tests.fuzz.mutation import mutated
from tests.fuzz.run import CORPUS

FILES = {"cluster-file", "rules", "cache", "tracker-db"}  # Opened and closed for each input.
KEPT = sorted(path for path in CORPUS.glob("*/*") if path.is_file())


@pytest.mark.parametrize("name", DECODERS)
def test_raises_only_what_it_says(name: str, tmp_path: Path) -> None:
    decoder = DECODERS[name]()
    count = 60 if name in FILES else 2000
    found = list(fuzzed(decoder, decoder.open_in(tmp_path), count, Random(name)))
    assert [one.trouble for one in found if one.trouble.startswith("raised")] == []


@pytest.mark.parametrize("name", DECODERS)
def test_accepts_what_it_begins_with(name: str, tmp_path: Path) -> None:
    decoder = DECODERS[name]()
    read = decoder.open_in(tmp_path)
    assert decoder.seeds
    for seed in decoder.seeds:
        read(seed)


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_once_is_mended(path: Path, tmp_path: Path) -> None:
    decoder = DECODERS[path.parent.name]()
    _, trouble = answered(decoder, decoder.open_in(tmp_path), path.read_bytes())
    assert trouble is None or trouble.startswith("took")


@pytest.mark.parametrize("name", sorted(DECODERS.keys() - FILES))
@given(data=st.data())
def test_raises_only_what_it_says_of_any_bytes(name: str, data: st.DataObject) -> None:
    decoder = DECODERS[name]()
    seed = data.draw(st.sampled_from([b"", *decoder.seeds]))
    start = data.draw(st.integers(0, len(seed)))
    end = data.draw(st.integers(start, len(seed)))
    changed = seed[:start] + data.draw(st.binary(max_size=40)) + seed[end:]
    try:
        decoder.open_in(Path())(changed)
    except decoder.refusals:
        pass


def decoder_of(read: Read) -> Decoder:
    return Decoder((b"seed",), lambda _: read, (MalformedMessageError,))


def found_by(read: Read, count: int = 3000) -> set[str]:
    return {one.trouble for one in fuzzed(decoder_of(read), read, count, Random(1))}


def test_finds_an_error_that_was_not_promised() -> None:
    def read(data: bytes) -> None:
        if data[:1] == b"\xc1":
            raise KeyError(1)
        raise MalformedMessageError("no")

    assert found_by(read) == {"raised KeyError: 1"}


def test_finds_what_takes_long() -> None:
    def read(data: bytes) -> None:
        if len(data) > 200_000:
            sum(range(5_000_000))

    assert found_by(read) == {"took more than 50 ms"}


def test_finds_what_takes_much_memory() -> None:
    def read(data: bytes) -> None:
        if b"e" in data:
            bytearray(b"x") * (2 * MOST_BYTES)

    decoder = Decoder((b"seed", *map(str.encode, "abcdefgh")), lambda _: read, ())
    found = list(fuzzed(decoder, read, 20, Random(1)))
    assert found
    assert all(b"e" in one.data for one in found)
    assert all(one.trouble.startswith("took 6") for one in found)


def test_goes_on_from_what_led_to_a_new_answer() -> None:
    def read(data: bytes) -> None:
        depth = next(
            (at for at, byte in enumerate(b"\xff\xff\xff") if data[at : at + 1] != bytes([byte])), 3
        )
        if depth == 3:
            raise KeyError(depth)
        raise MalformedMessageError("abc"[depth])

    assert found_by(read, 20_000) == {"raised KeyError: 3"}


def test_changes_are_drawn_from_the_seed() -> None:
    pool = [b"one", b"two"]
    assert [mutated(Random(3), pool) for _ in range(9)] == [mutated(Random(3), pool)] * 9
    assert len({mutated(Random(number), pool) for number in range(100)}) > 50
