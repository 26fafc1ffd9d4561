"""A world for the tests of a module, in memory."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.disk_faults.processes import why_not
from tests.disk_faults.scenarios import World, world_in


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    if reason := why_not():
        pytest.skip(reason)
    memory = Path("/dev/shm")  # noqa: S108 (a scratch folder there)
    place = memory if memory.is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as folder, world_in(Path(folder)) as world:
        yield world
