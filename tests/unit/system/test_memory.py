"""Freed memory stays with the process: the next chunk needs no new pages."""

import resource
import sys

import pytest
from shoal.system.memory import keep_freed_memory

CHUNK_BYTES = 4 << 20


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator is meant")
def test_a_chunk_takes_the_pages_of_the_one_before() -> None:
    keep_freed_memory()
    touched = bytes(CHUNK_BYTES)
    del touched
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        touched = b"x" * CHUNK_BYTES
        del touched
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert faults < 10 * CHUNK_BYTES // 4096  # Giving back and taking again would be 50 times.
