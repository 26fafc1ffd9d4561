"""Where the bytes of a download go."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from shoal.node.fetching import steps
from shoal.node.files.signature import Signature
from shoal.node.folder.source import FileSource
from shoal.node.staging.partial import PartialFile
from shoal.node.staging.spare import NOTHING, Spare
from shoal.node.staging.write_behind import LEAST_BYTES
from shoal.protocol.errors import OperatorError
from shoal.protocol.manifest import encode

from tests.unit.node.staging.taking import Taking
from tests.unit.node.things import bits, chunk, id_of, lettered, made_of, thing
from tests.unit.wire.places import eventually

THING = thing([10] * 4)
OPENING = steps.OpenStaging("a.bin", id_of(THING), THING)
RIGHT = b"".join(map(chunk, range(4)))


class Scene(Taking):
    """A folder, its inventory, and an intake into them."""

    def __init__(self, folder: Path, output: Path | None = None, spare: Spare = NOTHING) -> None:
        super().__init__(folder, spare=spare, output=output)
        self.taken = self.intake()

    def open(self, opening: steps.OpenStaging = OPENING) -> steps.Event:
        return self.taken.open(opening)

    def fill(self) -> None:
        self.open()
        for index in range(4):
            assert self.taken.store(index, memoryview(chunk(index))) is None


def test_what_has_arrived_is_served_at_once(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    assert scene.open() == steps.StagingOpened(0, bits("0123"))
    part = scene.inventory.find(id_of(THING))
    assert part is not None
    assert scene.taken.store(2, memoryview(chunk(2))) is None
    assert (part.have, part.read(2)) == (bits("2"), chunk(2))
    scene.taken.close()
    assert scene.inventory.find(id_of(THING)) is None


def test_finds_what_an_earlier_try_left(tmp_path: Path) -> None:
    first = Scene(tmp_path)
    first.open()
    first.taken.store(1, memoryview(chunk(1)))
    first.taken.close()
    second = Scene(tmp_path)
    assert second.open() == steps.StagingOpened(bits("1"), bits("0123"))
    second.taken.close()


def test_gives_it_its_name_and_shares_it(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.fill()
    path = tmp_path / "a.bin"
    assert scene.taken.publish() == steps.Published(str(path))
    scene.taken.close()
    assert path.read_bytes() == RIGHT
    assert scene.cache.manifest_of("a.bin", Signature.of(path.stat())) == encode(THING)
    file = scene.inventory.whole("a.bin")
    assert file is not None
    assert file.read(3) == chunk(3)


def test_what_goes_elsewhere_is_not_shared(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    scene = Scene(tmp_path / "n1", target)
    scene.fill()
    assert scene.taken.publish() == steps.Published(str(target))
    scene.taken.close()
    assert target.read_bytes() == RIGHT
    assert scene.cache.manifest_of("a.bin", Signature.of(target.stat())) is None
    assert (scene.inventory.names(), scene.inventory.fetched()) == ([], [])


def test_a_thing_is_taken_in_once_at_a_time(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.open()
    second = scene.intake()
    with pytest.raises(OperatorError, match="is being fetched already"):
        second.open(OPENING)
    second.close()
    assert scene.inventory.find(id_of(THING)) is not None
    scene.taken.close()


def test_a_disk_that_refuses_is_an_event(tmp_path: Path) -> None:
    (tmp_path / ".shoal").write_bytes(b"in the way")
    scene = Scene(tmp_path)
    failed = scene.open()
    assert isinstance(failed, steps.DiskFailed)
    assert failed.reason.startswith(f"cannot write a.bin in {tmp_path}: ")
    scene.taken.close()
    scene = Scene(tmp_path / "n1", tmp_path / "nowhere" / "a.bin")
    scene.fill()
    assert isinstance(scene.taken.publish(), steps.DiskFailed)
    scene.taken.close()
    assert not list(tmp_path.rglob("a.bin"))


LARGE = thing([LEAST_BYTES] * 4)


def large(index: int) -> memoryview:
    return memoryview(bytes([index]) * LEAST_BYTES)


@contextmanager
def files_no_longer_than(size_bytes: int) -> Iterator[None]:
    """Have the system refuse (EFBIG) what would make a file of this process longer."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_is_written_behind_is_served_and_published(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.open(steps.OpenStaging("a.bin", id_of(LARGE), LARGE))
    part = scene.inventory.find(id_of(LARGE))
    assert part is not None
    for index in range(4):
        assert scene.taken.store(index, large(index)) is None
    eventually(lambda: part.have == bits("0123"))
    assert part.read(1) == large(1)
    assert scene.taken.publish() == steps.Published(str(tmp_path / "a.bin"))
    scene.taken.close()
    assert (tmp_path / "a.bin").read_bytes() == b"".join(map(large, range(4)))


@pytest.mark.parametrize("failing", [1, 3])
def test_a_write_behind_that_fails_is_an_event(tmp_path: Path, failing: int) -> None:
    """It is never served, and nothing gets its name, if it is the very last one either."""
    scene = Scene(tmp_path)
    scene.open(steps.OpenStaging("a.bin", id_of(LARGE), LARGE))
    part = scene.inventory.find(id_of(LARGE))
    assert part is not None
    with files_no_longer_than(failing * LEAST_BYTES):
        events = [scene.taken.store(index, large(index)) for index in range(failing + 1)]
        assert events == [None] * len(events)
        failed = scene.taken.publish()
    assert isinstance(failed, steps.DiskFailed)
    assert failed.reason.startswith(f"cannot write a.bin in {tmp_path}: File too large")
    assert part.have == bits("012"[:failing])
    assert scene.taken.publish() == failed  # There is room again, but a chunk is not there.
    scene.taken.close()
    assert not (tmp_path / "a.bin").exists()


def test_a_last_chunk_that_could_not_be_written_is_missed(tmp_path: Path) -> None:
    scene, kind = Scene(tmp_path), thing([10] * 4)
    scene.open(steps.OpenStaging("a.bin", id_of(kind), kind))
    with files_no_longer_than(30):
        *others, last = [
            scene.taken.store(index, memoryview(chunk(index, 10))) for index in range(4)
        ]
    assert others == [None] * 3
    assert isinstance(last, steps.DiskFailed)
    assert scene.taken.publish() == last
    scene.taken.close()
    assert not (tmp_path / "a.bin").exists()


@pytest.mark.parametrize("is_behind", [False, True])
def test_after_a_failure_nothing_is_written_or_published(
    tmp_path: Path, *, is_behind: bool
) -> None:
    """Even if it is asked for: the first trouble is said again."""
    size = LEAST_BYTES if is_behind else 10
    scene, kind = Scene(tmp_path), thing([size] * 4)
    scene.open(steps.OpenStaging("a.bin", id_of(kind), kind))
    part = scene.inventory.find(id_of(kind))
    assert part is not None
    with files_no_longer_than(size):
        said = [scene.taken.store(index, memoryview(chunk(index, size))) for index in (0, 1)]
        said.append(scene.taken.publish())
    failed = next(event for event in said if event is not None)
    assert isinstance(failed, steps.DiskFailed)
    for index in (1, 2, 3):  # There is room again.
        assert scene.taken.store(index, memoryview(chunk(index, size))) == failed
    assert scene.taken.publish() == failed
    assert part.have == bits("0")
    scene.taken.close()
    assert not (tmp_path / "a.bin").exists()


def test_nothing_is_published_of_which_a_chunk_was_never_written(tmp_path: Path) -> None:
    """Whoever decides that it is whole."""
    scene = Scene(tmp_path)
    scene.open()
    for index in (0, 1, 3):
        assert scene.taken.store(index, memoryview(chunk(index))) is None
    failed = scene.taken.publish()
    assert isinstance(failed, steps.DiskFailed)
    assert "not everything was written" in failed.reason
    scene.taken.close()
    assert not (tmp_path / "a.bin").exists()


def test_what_appeared_meanwhile_stays_and_what_has_arrived_too(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.fill()
    (tmp_path / "a.bin").write_bytes(b"my only copy")
    with pytest.raises(OperatorError, match=r"already has a different a\.bin that appeared"):
        scene.taken.publish()
    scene.taken.close()
    assert (tmp_path / "a.bin").read_bytes() == b"my only copy"
    (tmp_path / "a.bin").unlink()
    again = scene.intake()
    assert again.open(OPENING) == steps.StagingOpened(bits("0123"), bits("0123"))
    assert again.publish() == steps.Published(str(tmp_path / "a.bin"))
    again.close()


@pytest.mark.parametrize("is_changed", [False, True])
def test_what_was_looked_at_is_replaced_unless_it_has_changed(
    tmp_path: Path, *, is_changed: bool
) -> None:
    (tmp_path / "a.bin").write_bytes(b"old")
    was = FileSource(tmp_path / "a.bin", Signature.of((tmp_path / "a.bin").stat()))
    scene = Scene(tmp_path, spare=Spare.as_seen(was))
    scene.fill()
    if is_changed:
        (tmp_path / "a.bin").write_bytes(b"edited")
        with pytest.raises(
            OperatorError, match="move the other one and run it again, or pass --force"
        ):
            scene.taken.publish()
    else:
        assert isinstance(scene.taken.publish(), steps.Published)
    scene.taken.close()
    assert (tmp_path / "a.bin").read_bytes() == (b"edited" if is_changed else RIGHT)


def test_closing_what_was_never_opened_does_no_harm(tmp_path: Path) -> None:
    Scene(tmp_path).taken.close()


PAGE = 4096


def test_a_chunk_is_written_wherever_the_thing_has_it(tmp_path: Path) -> None:
    letters = "abacab"
    known = made_of(letters, PAGE)
    opening = steps.OpenStaging("a.bin", id_of(known), known)
    scene = Scene(tmp_path)
    assert scene.open(opening) == steps.StagingOpened(0, bits("012345"))
    part = scene.inventory.find(id_of(known))
    assert part is not None
    assert scene.taken.store(2, memoryview(lettered("a", PAGE))) is None
    assert part.have == bits("024")
    scene.taken.store(3, memoryview(lettered("c", PAGE)))
    scene.taken.close()
    spoiled = next((tmp_path / ".shoal/partial").iterdir()) / "data"
    with spoiled.open("r+b") as file:
        file.write(b"!")
    again = Scene(tmp_path)  # What is found has twins too.
    assert again.open(opening) == steps.StagingOpened(bits("0234"), bits("012345"))
    again.taken.store(1, memoryview(lettered("b", PAGE)))
    assert again.taken.publish() == steps.Published(str(tmp_path / "a.bin"))
    again.taken.close()
    assert (tmp_path / "a.bin").read_bytes() == b"".join(lettered(one, PAGE) for one in letters)


def test_many_equal_chunks_are_written_behind(tmp_path: Path) -> None:
    known = made_of("a" * 200, PAGE)
    scene = Scene(tmp_path)
    scene.open(steps.OpenStaging("a.bin", id_of(known), known))
    assert scene.taken.store(7, memoryview(lettered("a", PAGE))) is None
    assert scene.taken.publish() == steps.Published(str(tmp_path / "a.bin"))
    scene.taken.close()
    assert (tmp_path / "a.bin").read_bytes() == lettered("a", 200 * PAGE)


def test_what_rots_before_it_is_whole_is_served_no_more_and_fetched_again(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.fill()
    part = scene.inventory.find(id_of(THING))
    assert isinstance(part, PartialFile)
    assert part.is_right(1)
    with next((tmp_path / ".shoal/partial").glob("*/data")).open("r+b") as file:
        file.seek(10)
        file.write(b"!")
    assert not part.is_right(1)
    assert part.have == bits("023")
    assert part.is_right(1)  # It is not here any more.
    assert scene.taken.publish() == steps.StagingOpened(bits("023"), bits("0123"))
    assert scene.taken.store(1, memoryview(chunk(1))) is None
    assert part.have == bits("0123")
    assert isinstance(scene.taken.publish(), steps.Published)
    scene.taken.close()
    assert (tmp_path / "a.bin").read_bytes() == RIGHT
