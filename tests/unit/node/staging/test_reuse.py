"""Chunks that lie in the folder already: found wherever they are, and copied only if right."""

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from blake3 import blake3
from shoal.node.folder.whole import Whole
from shoal.node.staging.reflink import Origin
from shoal.node.staging.reuse import chunks_of, copy_chunks
from shoal.protocol import bitmap, manifest
from shoal.protocol.manifest import Manifest

from tests.unit.node import things
from tests.unit.node.sample_trees import Items, Model, file, make, shared
from tests.unit.node.things import bits, digits, thing


def chunk(index: int, size_bytes: int = 256) -> bytes:
    return things.chunk(index, size_bytes)


def a_file(folder: Path, name: str, chunks: str) -> Whole:
    """Return a file of these chunks of 256 bytes; there are four, so that it is cut there."""
    assert len(chunks) == 4
    path = folder / name
    path.write_bytes(b"".join(chunk(int(digit)) for digit in chunks))
    whole = things.whole(path, name)
    assert whole.chunk_count == 4
    return whole


class Written(dict[int, bytes]):
    """What was written where."""

    def __call__(self, index: int, data: bytes, origin: Origin) -> None:
        assert index not in self
        assert origin.source.read(origin.offset, len(data)) == data
        self[index] = data


def copied(thing: Manifest, missing: str, wholes: Sequence[Whole]) -> str:
    """Return which of the `missing` chunks were copied; all that is written must be right."""
    written = Written()
    have = copy_chunks(thing, bits(missing), chunks_of(wholes), written)
    assert set(digits(have)) == set(map(str, written))
    assert all(data == chunk(index) for index, data in written.items())
    return digits(have)


SIX = thing([256] * 6)


def test_finds_chunks_in_whatever_is_there(tmp_path: Path) -> None:
    one, two = a_file(tmp_path, "one", "9037"), a_file(tmp_path, "two", "8884")
    assert copied(SIX, "012345", [one, two]) == "034"
    assert copied(SIX, "012345", [two]) == "4"
    assert copied(SIX, "12345", [one]) == "3"  # Not what is there already.
    assert copied(SIX, "", [one, two]) == ""
    assert copied(SIX, "012345", []) == ""


def test_finds_chunks_in_trees(tmp_path: Path) -> None:
    items: Items = {"a": file(b"x" * 100), "b/c": file(b"y" * 1000), "d": file(b"z" * 1500)}
    tree = shared(make(tmp_path / "t", items))
    written = Written()
    again = copy_chunks(tree.manifest, (1 << tree.chunk_count) - 1, chunks_of([tree]), written)
    assert again == (1 << tree.chunk_count) - 1  # The listing too.
    assert b"".join(written[index] for index in range(tree.chunk_count)) == Model(items).bytes


def test_what_moved_into_a_tree_is_found_there(tmp_path: Path) -> None:
    data = os.urandom(5000)
    (tmp_path / "alone").write_bytes(data)
    alone = things.whole(tmp_path / "alone", "alone")
    tree = shared(make(tmp_path / "t", {"a": file(data)}))
    missing = (1 << tree.chunk_count) - 1
    found = copy_chunks(tree.manifest, missing, chunks_of([alone]), Written())
    assert found == missing & ~1  # All but the listing: both are cut alike.


def of_chunks(*chunks: bytes) -> Manifest:
    digests = b"".join(blake3(one).digest() for one in chunks)
    return manifest.of_file(manifest.PLAIN_MODE, list(map(len, chunks)), digests)


@pytest.mark.parametrize("count", [2, 30])
def test_a_chunk_that_is_wanted_twice_is_written_twice(tmp_path: Path, count: int) -> None:
    path = tmp_path / "zeros"
    path.write_bytes(bytes(1024))
    whole, written = things.whole(path, "zeros"), Written()
    missing = bitmap.full(count) & ~1
    zeros = of_chunks(*[bytes(256)] * count)
    assert copy_chunks(zeros, missing, chunks_of([whole, whole]), written) == missing
    assert written == dict.fromkeys(range(1, count), bytes(256))


def test_many_chunks_are_copied_by_several_threads(tmp_path: Path) -> None:
    data = os.urandom(40 << 10)
    make(tmp_path, {f"{number:02}": file(data[number << 10 :][:1024]) for number in range(40)})
    wholes = [things.whole(path, path.name) for path in sorted(tmp_path.iterdir())]
    wanted = of_chunks(*(data[start : start + 256] for start in range(0, len(data), 256)))
    written = Written()
    assert copy_chunks(wanted, bitmap.full(160), chunks_of(wholes), written) == bitmap.full(160)
    assert b"".join(written[index] for index in range(160)) == data


# What is not there, or no longer what it was.


def rot(path: Path, at: int) -> None:
    """Change a byte so that nothing shows: as a disk does it."""
    status = path.stat()
    with path.open("r+b") as one:
        one.seek(at)
        byte = one.read(1)
        one.seek(at)
        one.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_what_has_rotted_is_not_copied(tmp_path: Path) -> None:
    one = a_file(tmp_path, "one", "0123")
    rot(tmp_path / "one", 257)
    assert one.read(1) != chunk(1)
    assert copied(SIX, "012345", [one]) == "023"


def test_what_has_rotted_here_is_found_there(tmp_path: Path) -> None:
    wholes = [a_file(tmp_path, name, "0123") for name in ("one", "two", "three")]
    rot(tmp_path / "one", 257)
    (tmp_path / "two").unlink()
    assert copied(SIX, "012345", wholes) == "0123"
    assert copied(SIX, "012345", wholes[:2]) == "023"


@pytest.mark.parametrize("change", [Path.unlink, os.utime, lambda path: os.truncate(path, 1023)])
def test_what_is_gone_is_not_copied(tmp_path: Path, change: Callable[[Path], object]) -> None:
    one, two = a_file(tmp_path, "one", "0123"), a_file(tmp_path, "two", "9999")
    change(tmp_path / "one")
    assert copied(SIX, "012345", [one, two]) == ""


def test_a_manifest_that_gives_a_chunk_another_size_gets_none(tmp_path: Path) -> None:
    """No bytes have that size and that digest; written, they would be in the next chunk's place."""
    one, written = a_file(tmp_path, "one", "0123"), Written()
    digests = SIX.digests[: 3 * manifest.DIGEST_BYTES]
    for sizes in ([256, 200, 256], [256, 300, 256]):
        forged = manifest.of_file(manifest.PLAIN_MODE, sizes, digests)
        assert digits(copy_chunks(forged, bits("012"), chunks_of([one]), written)) == "02"
        assert written == {0: chunk(0), 2: chunk(2)}
        written.clear()


def test_a_disk_that_refuses_is_an_error(tmp_path: Path) -> None:
    def write(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    one = a_file(tmp_path, "one", "0123")
    with pytest.raises(OSError, match="space"):
        copy_chunks(SIX, bits("012345"), chunks_of([one]), write)
