"""What a node can serve, whole and in part, and what is told when that changes."""

import os
from pathlib import Path

import pytest
from shoal.node.files.signature import GoneError, Signature
from shoal.node.folder.inventory import MOST, Inventory
from shoal.node.folder.source import FileSource
from shoal.node.folder.whole import Whole
from shoal.node.staging.partial import PartialFile
from shoal.node.staging.staged_file import StagedFile
from shoal.protocol import manifest
from shoal.protocol.messages import Holding, Withdrawal
from shoal.protocol.titles import Title

from tests.unit.node import things
from tests.unit.node.things import bits, chunk, id_of, made_of, plain, thing

DATA = os.urandom(5000)


def whole(folder: Path, name: str = "a.bin", data: bytes = DATA) -> Whole:
    path = folder / name
    path.write_bytes(data)
    os.utime(path, ns=(1, 1))
    return things.whole(path, name)


class Shelf:
    """An inventory, what it told of its changes, and what is held by that."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: list[str] = []
        self.held: dict[tuple[str, str], Holding] = {}
        self.inventory = Inventory(self._hear)

    def _hear(self, change: Holding | Withdrawal) -> None:
        self.held.pop((change.name, change.id), None)
        if isinstance(change, Holding):
            self.held[change.name, change.id] = change
            self.told.append(f"+{change.name}{'' if change.complete else '~'}")
        else:
            self.told.append(f"-{change.name}")

    def announced(self) -> list[tuple[str, bool]]:
        return sorted((holding.name, holding.complete) for holding in self.held.values())


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_finds_a_file_by_name_and_by_id(shelf: Shelf) -> None:
    file = whole(shelf.folder)
    shelf.inventory.put(file)
    assert shelf.inventory.find("a.bin") is shelf.inventory.find(file.id) is file
    assert shelf.inventory.find("b.bin") is None
    assert shelf.inventory.find(id_of(plain(b"other"))) is None
    assert (shelf.inventory.names(), shelf.told) == (["a.bin"], ["+a.bin"])


def test_the_same_bytes_may_have_two_names(shelf: Shelf) -> None:
    one, two = whole(shelf.folder, "a"), whole(shelf.folder, "b")
    shelf.inventory.put(one)
    shelf.inventory.put(two)
    assert shelf.announced() == [("a", True), ("b", True)]
    shelf.inventory.remove("a")
    assert shelf.inventory.find(one.id) is two
    shelf.inventory.remove("b")
    assert shelf.inventory.find(one.id) is None


def test_a_new_version_takes_the_old_one_s_place(shelf: Shelf) -> None:
    old = whole(shelf.folder, data=b"old")
    shelf.inventory.put(old)
    new = whole(shelf.folder, data=b"new")
    shelf.told.clear()
    shelf.inventory.put(new)
    assert shelf.told == ["+a.bin", "-a.bin"]  # At no moment is nothing held.
    assert shelf.inventory.find("a.bin") is shelf.inventory.whole("a.bin") is new
    assert shelf.inventory.find(old.id) is None


def test_says_only_what_changes(shelf: Shelf) -> None:
    shelf.inventory.remove("a")
    assert shelf.told == []
    shelf.inventory.put(whole(shelf.folder, "a"))
    shelf.inventory.remove("a")
    assert shelf.told == ["+a", "-a"]


def a_partial(folder: Path) -> tuple[PartialFile, StagedFile]:
    parts = thing([10] * 4)
    staging = StagedFile(folder / "partial", id_of(parts), parts)
    staging.open()
    return PartialFile("a.bin", staging), staging


def test_a_part_is_served_by_its_id_alone(shelf: Shelf) -> None:
    partial, staging = a_partial(shelf.folder)
    try:
        shelf.inventory.put_partial(partial)
        staging.write(2, chunk(2))
        partial.have = bits("2")
        assert shelf.inventory.find("a.bin") is None
        assert shelf.inventory.part("a.bin", None) is partial
        assert shelf.inventory.part("a.bin", partial.id) is partial
        assert shelf.inventory.part("a.bin", f"b3:{1:064x}") is None
        assert (partial.have_bytes, partial.size_bytes) == (10, 40)
        assert shelf.inventory.find(partial.id) is partial
        assert (partial.size_bytes, partial.chunk_count, partial.read(2)) == (40, 4, chunk(2))
        assert partial.data == manifest.encode(thing([10] * 4))
        assert shelf.announced() == [("a.bin", False)]
        shelf.inventory.remove_partial(partial.id)
        assert (shelf.announced(), shelf.told) == ([], ["+a.bin~", "-a.bin"])
    finally:
        staging.close()


def test_a_part_that_is_put_down_is_gone(shelf: Shelf) -> None:
    partial, staging = a_partial(shelf.folder)
    staging.close()
    with pytest.raises(GoneError):
        partial.read(0)


def test_what_is_whole_is_not_announced_as_a_part_too(shelf: Shelf) -> None:
    partial, staging = a_partial(shelf.folder)
    staging.close()
    shelf.inventory.put_partial(partial)
    data = b"".join(map(chunk, range(4)))
    path = shelf.folder / "a.bin"
    path.write_bytes(data)
    shelf.inventory.put(Whole("a.bin", partial.data, things.whole(path, "a.bin").source))
    assert shelf.announced() == [("a.bin", True)]
    shelf.inventory.remove_partial(partial.id)
    shelf.inventory.remove_partial(partial.id)
    assert shelf.announced() == [("a.bin", True)]
    shelf.inventory.remove("a.bin")
    assert shelf.announced() == []


def test_what_was_whole_and_is_fetched_again_is_announced_as_a_part(shelf: Shelf) -> None:
    partial, staging = a_partial(shelf.folder)
    staging.close()
    path = shelf.folder / "a.bin"
    path.write_bytes(b"".join(map(chunk, range(4))))
    shelf.inventory.put(Whole("a.bin", partial.data, things.whole(path, "a.bin").source))
    shelf.inventory.put_damaged(partial)
    shelf.inventory.remove("a.bin")
    assert shelf.announced() == [("a.bin", False)]
    another, staging = a_partial(shelf.folder)
    staging.close()
    assert shelf.inventory.put_partial(another)
    assert not shelf.inventory.put_partial(another)
    assert shelf.inventory.find(partial.id) is another
    assert shelf.announced() == [("a.bin", False)]
    shelf.inventory.remove_partial(another.id)
    assert shelf.inventory.find(partial.id) is partial
    assert shelf.announced() == [("a.bin", False)]
    assert shelf.inventory.remove_damaged("a.bin")
    assert not shelf.inventory.remove_damaged("a.bin")
    assert shelf.announced() == []


def test_tells_of_titles(shelf: Shelf) -> None:
    file = whole(shelf.folder)
    partial, staging = a_partial(shelf.folder)
    staging.close()
    shelf.inventory.put(file)
    shelf.inventory.put_partial(partial)
    for content_id, number in ((file.id, 2), (partial.id, 3)):
        shelf.inventory.entitle("a.bin", Title(content_id, number, "n2"))
        assert shelf.held["a.bin", content_id].version == number
    shelf.inventory.entitle("b.bin", Title(partial.id, 4, "n2"))
    assert partial.title.version == 3


def test_forgets_what_has_a_name_only_if_it_is_what_was_meant(shelf: Shelf) -> None:
    file = whole(shelf.folder)
    shelf.inventory.put(file)
    shelf.inventory.remove("a.bin", f"b3:{1:064x}")
    assert shelf.announced() == [("a.bin", True)]
    shelf.inventory.remove("a.bin", file.id)
    assert shelf.announced() == []


def places(shelf: Shelf, letter: str) -> str:
    found = shelf.inventory.places(made_of(letter).digest(0))
    return " ".join(f"{thing.name}{index}" for thing, index in found)


def lettered(shelf: Shelf, name: str, letters: str) -> Whole:
    """Return a thing of these chunks. It has no bytes."""
    source = FileSource(shelf.folder / name, Signature(0, 0, 0, manifest.PLAIN_MODE))
    return Whole(name, manifest.encode(made_of(letters)), source)


def test_says_where_a_chunk_is(shelf: Shelf) -> None:
    for name, letters in (("a", "XY"), ("b", "YX"), ("c", "XY")):
        shelf.inventory.put(lettered(shelf, name, letters))
    assert (places(shelf, "X"), places(shelf, "Z")) == ("a0 c0 b1", "")
    shelf.inventory.put(lettered(shelf, "a", "XY"))  # The same once more …
    shelf.inventory.put(lettered(shelf, "b", "YZ"))  # … and another version.
    assert (places(shelf, "X"), places(shelf, "Z")) == ("a0 c0", "b1")
    shelf.inventory.remove("c")
    assert places(shelf, "X") == "a0"
    shelf.inventory.put(lettered(shelf, "a", "XY"))
    assert places(shelf, "X") == "a0"
    shelf.inventory.remove("a")
    assert places(shelf, "X") == ""


def test_names_some_places_of_a_chunk_that_is_everywhere(shelf: Shelf) -> None:
    for number in range(20):
        shelf.inventory.put(lettered(shelf, f"same{number}", "X"))
        shelf.inventory.put(lettered(shelf, f"other{number}", "Y" * (number + 1)))
    assert len(places(shelf, "X").split()) == MOST
    assert len(places(shelf, "Y").split()) == MOST


def test_takes_in_nothing_that_cannot_be_announced(shelf: Shelf) -> None:
    file = whole(shelf.folder)
    file.name = "../a"
    with pytest.raises(ValueError, match=r"\.\."):
        shelf.inventory.put(file)
    assert (shelf.told, shelf.inventory.names()) == ([], [])


def test_finding_waits_for_nobody(shelf: Shelf) -> None:
    """Whoever changes something has the lock, and may wait for the interpreter meanwhile."""
    thing = whole(shelf.folder)
    shelf.inventory.put(thing)
    with shelf.inventory._lock, shelf.inventory._replacing:
        assert shelf.inventory.find("a.bin") is shelf.inventory.find(thing.id) is thing
        assert shelf.inventory.find("nothing") is None
        assert shelf.inventory.whole("a.bin") is thing


def test_at_no_moment_of_a_replacement_is_nothing_found(shelf: Shelf) -> None:
    one, two = whole(shelf.folder, data=b"one"), whole(shelf.folder, data=b"two")
    found: list[object] = []
    inventory = Inventory(lambda _: found.append(inventory.find("a.bin")))
    for each in (one, two, one, one):
        inventory.put(each)
    assert None not in found
