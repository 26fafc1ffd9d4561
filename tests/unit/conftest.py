"""A place for tests that write very often, and do not care on which disk."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")  # noqa: S108 (only for directories of our own)


@pytest.fixture
def memory_path(tmp_path: Path) -> Iterator[Path]:
    """Give a directory in memory, where syncing costs nothing; on disk if there is none."""
    if not MEMORY.is_dir():
        yield tmp_path
        return
    place = Path(tempfile.mkdtemp(prefix="shoal-", dir=MEMORY))
    yield place
    subprocess.run(["rm", "-rf", place], check=True)
