"""What interrupted fetches have left."""

import errno
import os
from pathlib import Path

import pytest
from shoal.node.folder.inventory import Inventory
from shoal.node.staging.partial import PartialFile
from shoal.node.staging.remains import Remains, found, note_name, staging_place
from shoal.node.staging.reuse import chunks_of, copy_chunks
from shoal.node.staging.staged_file import StagedFile
from shoal.protocol import bitmap, manifest
from shoal.protocol.manifest import ContentId

from tests.unit.node.staging.test_staged_tree import FILES, LISTING, MODEL, begun, fill
from tests.unit.node.things import chunk, id_of, made_of, thing

SIZE = 1 << 20
THING = thing([SIZE] * 2)
SMALL = thing([10] * 4)


def leave(folder: Path, name: str, seed: str = "") -> ContentId:
    """Leave a fetch of which one chunk has come."""
    known = made_of(f"{seed}ab", SIZE) if seed else THING
    staging = StagedFile(folder / ".shoal/partial", id_of(known), known)
    staging.open()
    staging.write(0, chunk(0, SIZE))
    staging.close()
    if name:
        note_name(staging_place(folder, id_of(known)), name)
    return id_of(known)


def remains_in(folder: Path) -> Remains:
    return Remains(folder, Inventory(lambda _: None))


def fetched(folder: Path, *, is_damaged: bool = False) -> Remains:
    """Return what is left in a folder whose node fetches the thing just now, or has it damaged."""
    inventory = Inventory(lambda _: None)
    staging = StagedFile(folder / ".shoal/partial", id_of(THING), THING)
    (inventory.put_damaged if is_damaged else inventory.put_partial)(PartialFile("a", staging))
    return Remains(folder, inventory)


def test_says_what_is_there_and_how_much_of_the_disk_it_takes(tmp_path: Path) -> None:
    assert found(tmp_path) == []
    content_id = leave(tmp_path, "ä/b.bin")
    (one,) = remains_in(tmp_path).found()
    assert (one.name, one.id) == ("ä/b.bin", content_id)
    assert SIZE <= one.size_bytes < 2 * SIZE
    assert 0 <= one.age_s < 60


def test_its_age_is_that_of_what_was_written_last(tmp_path: Path) -> None:
    leave(tmp_path, "a")
    (place,) = (tmp_path / ".shoal/partial").iterdir()
    for path in (*place.iterdir(), place):
        os.utime(path, (1, 1))
    assert found(tmp_path)[0].age_s > 1e9
    os.utime(place / "data")
    assert found(tmp_path)[0].age_s < 60


def test_a_name_that_is_damaged_or_missing_is_none(tmp_path: Path) -> None:
    content_id = leave(tmp_path, "")
    assert [one.name for one in found(tmp_path)] == [""]
    for damaged in (b"\xff", bytes(5)):  # The latter after a loss of power.
        (staging_place(tmp_path, content_id) / "name").write_bytes(damaged)
        assert [one.name for one in found(tmp_path)] == [""]
    note_name(staging_place(tmp_path, content_id), content_id)  # Its name was not known.
    assert [one.name for one in found(tmp_path)] == [content_id]


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    partial = tmp_path / ".shoal/partial"
    (partial / "notes").mkdir(parents=True)
    (partial / ("0" * 64)).symlink_to(tmp_path)
    assert found(tmp_path) == []


def test_is_removed_at_a_word(tmp_path: Path) -> None:
    content_id = leave(tmp_path, "a")
    assert remains_in(tmp_path).discard(content_id)
    assert found(tmp_path) == []
    assert [path.name for path in (tmp_path / ".shoal").iterdir()] == ["partial"]
    assert remains_in(tmp_path).discard(content_id)  # Nothing of it is there, either.


@pytest.mark.parametrize("call", ["mkdir", "rename"])
def test_needs_no_room_to_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    content_id = leave(tmp_path, "a")
    monkeypatch.setattr(os, call, refuse)
    assert remains_in(tmp_path).discard(content_id)
    assert found(tmp_path) == []


def test_what_is_being_fetched_stays(tmp_path: Path) -> None:
    content_id = leave(tmp_path, "a")
    remains = fetched(tmp_path)
    assert (remains.found(), remains.discard(content_id)) == ([], False)
    remains.discard_others("a", "b3:")
    assert remains.discard_if(lambda _: True) == []
    assert [one.id for one in found(tmp_path)] == [content_id]
    assert fetched(tmp_path, is_damaged=True).discard(content_id)


def test_other_versions_of_a_name_go(tmp_path: Path) -> None:
    leave(tmp_path, "a", "x")
    newest, other = leave(tmp_path, "a"), leave(tmp_path, "b", "y")
    remains_in(tmp_path).discard_others("a", newest)
    assert {one.id for one in found(tmp_path)} == {newest, other}


def test_those_go_that_are_said_to(tmp_path: Path) -> None:
    leave(tmp_path, "a")
    leave(tmp_path, "b", "y")
    gone = remains_in(tmp_path).discard_if(lambda one: one.name == "b")
    assert [one.name for one in gone] == ["b"]
    assert [one.name for one in found(tmp_path)] == ["a"]


# What can be copied from them.


def copied(folder: Path, content_id: ContentId, wanted: manifest.Manifest) -> dict[int, bytes]:
    """Return the chunks of `wanted` that are found in what there is."""
    found: dict[int, bytes] = {}
    left = remains_in(folder).to_copy_from(content_id, "a")
    assert left is not None
    copy_chunks(
        wanted,
        bitmap.full(wanted.chunk_count),
        chunks_of([left]),
        lambda index, data, _: found.update({index: data}),
    )
    return found


def test_of_a_file_what_came(tmp_path: Path) -> None:
    staging = StagedFile(tmp_path / ".shoal/partial", id_of(SMALL), SMALL)
    staging.open()
    for index in (1, 3):
        staging.write(index, chunk(index))
    staging.close()
    assert copied(tmp_path, id_of(SMALL), SMALL) == {1: chunk(1), 3: chunk(3)}


def test_of_a_tree_what_came(tmp_path: Path) -> None:
    staging, _ = begun(tmp_path)
    came = [*FILES][:3]
    fill(staging, came)
    staging.close()
    found = copied(tmp_path, MODEL.id, MODEL.manifest)
    assert found.keys() >= {*range(LISTING)}
    assert all(data == MODEL.chunks[index] for index, data in found.items())
    assert found.keys() & {*came}
    assert not found.keys() & {*FILES[4:]} - {index for index in FILES if not MODEL.chunks[index]}


@pytest.mark.parametrize("garbage", [b"", b"no manifest"])
def test_what_is_no_manifest_is_of_no_use(tmp_path: Path, garbage: bytes) -> None:
    place = staging_place(tmp_path, id_of(SMALL))
    place.mkdir(parents=True)
    (place / "manifest").write_bytes(garbage)
    assert remains_in(tmp_path).to_copy_from(id_of(SMALL), "a") is None
