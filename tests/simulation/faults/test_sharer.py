"""What is done to a tracker's process happens to it, in whatever order."""

import logging
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulation.faults import several, system, threads
from tests.simulation.faults.cluster import Cluster
from tests.simulation.faults.threads import Loop

SEED = next(seed for seed in range(100) if several.count_of(seed) > 1)


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    """Have the loggers as they were, after a simulation."""
    logger, other = logging.getLogger("shoal"), logging.getLogger("concurrent.futures")
    kept = logger.handlers, logger.propagate, logger.level, other.disabled
    yield
    logger.handlers, logger.propagate, level, other.disabled = kept
    logger.setLevel(level)


def test_a_paused_tracker_that_is_to_stop_stops_later_and_is_started_again(tmp_path: Path) -> None:
    loop = Loop(random.Random(1))
    threads.begin(loop)
    with system.replaced(loop):
        trackers = Cluster(SEED, loop, tmp_path).several
        assert trackers is not None
        host = trackers.hosts[0]
        host.start()
        loop.run(1.0)
        first = host.process
        assert first is not None
        first.pause()
        host.stop()
        host.start()
        loop.run(10.0)
        assert host.is_up
        assert host.process is first
        first.go_on()
        loop.run(20.0)
        assert first.is_dead
        assert host.is_up
        host.kill()
        loop.run(20.1)
