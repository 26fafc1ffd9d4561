"""Where chunks are found: `a0` is chunk 0 of the thing a."""

import hypothesis.strategies as st
from hypothesis import given, settings
from shoal.node.folder import chunk_index
from shoal.node.folder.chunk_index import ChunkIndex
from shoal.protocol.manifest import ContentId, Manifest

from tests.unit.node.things import lettered, made_of

LETTERS = "UVWXYZ"


def digest(letter: str) -> bytes:
    return made_of(letter).digest(0)


class Scene:
    """An index of things that are each made of some letters."""

    def __init__(self) -> None:
        self.index = ChunkIndex()
        self._things: dict[str, Manifest] = {}

    def add(self, name: str, letters: str) -> None:
        self._things[name] = made_of(letters)
        self.index.add(ContentId(name), self._things[name])

    def remove(self, name: str) -> None:
        self.index.remove(ContentId(name), self._things.pop(name))

    def found(self, letter: str) -> str:
        found = self.index.find(digest(letter))
        return " ".join(sorted(f"{name}{index}" for name, index in found))


def test_finds_a_chunk_in_each_thing_once() -> None:
    scene = Scene()
    scene.add("a", "XYX")
    scene.add("b", "ZX")
    scene.add("empty", "")
    assert [scene.found(letter) for letter in "XYZV"] == ["a0 b1", "a1", "b0", ""]


def test_what_was_removed_is_not_found_and_leaves_nothing() -> None:
    scene = Scene()
    scene.add("a", "XYX")
    scene.add("b", "ZX")
    scene.remove("a")
    assert [scene.found(letter) for letter in "XYZ"] == ["b1", "", "b0"]
    scene.remove("b")
    assert not scene.index._buckets
    assert not scene.index._ids
    assert not scene.index._numbers


def test_a_thing_that_goes_while_it_is_looked_for_is_not_found() -> None:
    scene = Scene()
    scene.add("a", "X")
    scene.add("b", "X")
    found = scene.index.find(digest("X"))
    assert next(found) == ("a", 0)
    scene.remove("b")
    assert list(found) == []


def test_bytes_that_look_alike_across_records_are_no_chunk() -> None:
    known = digest("X")[2:7]
    records = b"\0" + known + bytes(6) + known + bytes(7)
    assert list(chunk_index._places_of(known, records)) == [12]


def test_takes_few_bytes_a_chunk() -> None:
    scene = Scene()
    letters = "".join(map(chr, range(0x4E00, 0x4E00 + 20_000)))
    digests = b"".join(lettered(letter, 4)[:4].ljust(32, b"\0") for letter in letters)
    assert len(digests) == 32 * 20_000
    thing = made_of("X" * 20_000)
    scene.index.add(ContentId("a"), Manifest(thing.mode, 0, thing.size_bytes, thing.sizes, digests))
    sizes = [bucket.__sizeof__() for bucket in scene.index._buckets.values()]
    assert sum(sizes) <= 14 * 20_000 + 64 * len(sizes)


THINGS = st.dictionaries(st.sampled_from("abcdef"), st.text(LETTERS, max_size=5))


@given(THINGS, THINGS)
@settings(max_examples=50)
def test_finds_what_is_there_whatever_came_and_went(
    before: dict[str, str], now: dict[str, str]
) -> None:
    scene = Scene()
    for name, letters in before.items():
        scene.add(name, letters)
    for name in before:
        scene.remove(name)
    for name, letters in now.items():
        scene.add(name, letters)
    for letter in LETTERS:
        there = (f"{name}{now[name].index(letter)}" for name in sorted(now) if letter in now[name])
        assert scene.found(letter) == " ".join(there)
