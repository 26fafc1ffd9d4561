"""What a fetch has left can be copied from, as far as it came."""

from pathlib import Path

import pytest
from shoal.node.staging.file_staging import Staging, staging_place
from shoal.node.staging.partly import remains_of
from shoal.node.staging.reuse import chunks_of, copy_chunks
from shoal.protocol import bitmap, manifest
from shoal.protocol.manifest import ContentId

from tests.unit.node.staging.test_tree_staging import FILES, LISTING, MODEL, begun, fill
from tests.unit.node.things import chunk, id_of, thing

THING = thing([10] * 4)


def copied(folder: Path, content_id: ContentId, wanted: manifest.Manifest) -> dict[int, bytes]:
    """Return the chunks of `wanted` that are found in what there is."""
    found: dict[int, bytes] = {}
    remains = remains_of(folder, content_id, "a")
    assert remains is not None
    copy_chunks(
        wanted,
        bitmap.full(wanted.chunk_count),
        chunks_of([remains]),
        lambda index, data, _: found.update({index: data}),
    )
    return found


def test_of_a_file_what_came(tmp_path: Path) -> None:
    staging = Staging(tmp_path / ".shoal/partial", id_of(THING), THING)
    staging.open()
    for index in (1, 3):
        staging.write(index, chunk(index))
    staging.close()
    assert copied(tmp_path, id_of(THING), THING) == {1: chunk(1), 3: chunk(3)}


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
    place = staging_place(tmp_path, id_of(THING))
    place.mkdir(parents=True)
    (place / "manifest").write_bytes(garbage)
    assert remains_of(tmp_path, id_of(THING), "a") is None
