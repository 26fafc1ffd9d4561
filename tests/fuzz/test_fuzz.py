"""A short run of each decoder, what was found before, and that the watch sees what it is for."""

import functools
import gc
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shoal.protocol.errors import MalformedMessageError

from tests.fuzz.blind import feed
from tests.fuzz.decoder import Decoder, Read
from tests.fuzz.decoders import DECODERS
from tests.fuzz.mutation import mutated
from tests.fuzz.run import CORPUS, judged
from tests.fuzz.watch import MOST_BYTES, Finding, Watch, trouble_with

DATABASES = {"cache", "tracker-db", "tracker-journal"}  # 5 to 20 ms for each input.
SLOW = {"patterns", "cluster-file", "replaces", "remains", "fstab", "rules"}  # 0.1 to 0.4 ms.
KEPT = sorted(path for path in CORPUS.glob("*/*") if path.is_file())


@pytest.fixture(autouse=True, scope="module")
def _small_heap() -> Iterator[None]:
    """Have garbage collected soon: the more other tests have left, the longer it would lie there.

    32 MiB of it would be taken for what an input needs, and each of 500 be tried again.
    """
    gc.collect()
    gc.freeze()
    gc.collect()  # What is frozen does not count from here on.
    yield
    gc.unfreeze()


@functools.cache
def known(name: str) -> Decoder:
    return DECODERS[name]()


@pytest.mark.parametrize("name", DECODERS)
def test_raises_only_what_it_says(name: str, tmp_path: Path) -> None:
    decoder = known(name)
    count = 60 if name in DATABASES else 2000 if name in SLOW else 10_000
    found: list[Finding] = []
    feed(decoder, count, Random(name), tmp_path, found.append)
    assert [one.trouble for one in found if one.trouble.startswith("raised")] == []


@pytest.mark.parametrize("name", DECODERS)
def test_accepts_what_it_begins_with(name: str, tmp_path: Path) -> None:
    decoder = known(name)
    read = decoder.open_in(tmp_path)
    assert decoder.seeds
    for seed in decoder.seeds:
        read(seed)


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_once_is_mended(path: Path, tmp_path: Path) -> None:
    decoder = known(path.parent.name)
    trouble = trouble_with(decoder, decoder.open_in(tmp_path), path.read_bytes())
    assert trouble is None or trouble.startswith("took")


@pytest.mark.parametrize("name", DECODERS)
def test_raises_only_what_it_says_of_any_bytes(name: str, tmp_path: Path) -> None:
    decoder = known(name)
    read = decoder.open_in(tmp_path)

    @given(data=st.data())
    def of_any_bytes(data: st.DataObject) -> None:
        seed = data.draw(st.sampled_from([b"", *decoder.seeds]))
        start = data.draw(st.integers(0, len(seed)))
        end = data.draw(st.integers(start, len(seed)))
        try:
            read(seed[:start] + data.draw(st.binary(max_size=40)) + seed[end:])
        except decoder.refusals:
            pass

    of_any_bytes()


def found_by(read: Read, inputs: Iterable[bytes], *refusals: type[Exception]) -> list[Finding]:
    found: list[Finding] = []
    watch = Watch(Decoder((b"",), lambda _: read, refusals), read, found.append)
    for data in inputs:
        watch.take(data)
    watch.end()
    return found


def test_finds_an_error_that_was_not_promised() -> None:
    def read(data: bytes) -> None:
        if data[:1] == b"\xc1":
            raise KeyError(1)
        raise MalformedMessageError("no")

    found = found_by(read, [b"\xc1", b"\xc2"], MalformedMessageError)
    assert found == [(b"\xc1", "raised KeyError: 1")]


def test_finds_what_takes_long() -> None:
    def read(data: bytes) -> None:
        if len(data) > 200_000:
            sum(range(10_000_000))

    assert found_by(read, [b"", bytes(200_001)]) == [(bytes(200_001), "took more than 50 ms")]


def test_finds_what_takes_much_memory() -> None:
    def read(data: bytes) -> None:
        if b"e" in data:
            bytearray(b"x") * (2 * MOST_BYTES)

    (found,) = found_by(read, [b"s", b"e", b"d"])
    assert found.data == b"e"
    assert found.trouble.startswith("took 6")


def test_what_only_seemed_to_break_a_promise_is_no_finding(tmp_path: Path) -> None:
    (tmp_path / "0.found").write_bytes(known("names").seeds[0])
    assert judged("names", tmp_path) == []


def test_changes_are_drawn_from_the_seed() -> None:
    pool = [b"one", b"two"]
    assert [mutated(Random(3), pool) for _ in range(9)] == [mutated(Random(3), pool)] * 9
    assert len({mutated(Random(number), pool) for number in range(100)}) > 50
