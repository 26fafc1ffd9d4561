"""A file as the source of a thing's bytes."""

from pathlib import Path

import pytest
from shoal.node.files.signature import Signature
from shoal.node.folder.source import FileSource, Stretch
from shoal.protocol.size_cutting import file_cut

DATA = bytes(range(250)) * 20


@pytest.mark.parametrize("size_bytes", [0, 1, 4999, 5000])
def test_a_file_is_a_source(tmp_path: Path, size_bytes: int) -> None:
    path = tmp_path / "a"
    path.write_bytes(DATA[:size_bytes])
    source = FileSource(path, Signature.of(path.stat()))
    assert (source.size_bytes, source.listing_bytes) == (size_bytes, 0)
    assert source.cut() == file_cut(size_bytes)
    assert source.read(0, size_bytes) == DATA[:size_bytes]
    buffer = bytearray(size_bytes)
    source.read_into(0, memoryview(buffer))
    assert buffer == DATA[:size_bytes]
    assert [*source.stretches(1, 2)] == [Stretch(str(path), source.signature.fits, 1, 2)]
