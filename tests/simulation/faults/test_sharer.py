"""What is done to a tracker's process happens to it, in whatever order, and is noticed."""

import logging
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulation.faults import several, system, threads
from tests.simulation.faults.cluster import Cluster
from tests.simulation.faults.several import Several
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


@pytest.fixture
def trackers(tmp_path: Path) -> Iterator[Several]:
    """Return trackers that have not been started, in a world in which threads are simulated."""
    loop = Loop(random.Random(1))
    threads.begin(loop)
    with system.replaced(loop):
        trackers = Cluster(SEED, loop, tmp_path).several
        assert trackers is not None
        yield trackers
        for host in trackers.hosts:
            host.kill()
        loop.run(loop.now + 0.1)


def test_a_paused_tracker_that_is_to_stop_stops_later_and_is_started_again(
    trackers: Several,
) -> None:
    host = trackers.hosts[0]
    loop = host.cluster.loop
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


def test_a_tracker_that_is_back_before_anybody_looks_has_not_served_all_the_time(
    trackers: Several,
) -> None:
    host, service, asker = trackers.hosts[0], trackers.service, trackers.probe.host
    loop = host.cluster.loop
    host.start()
    loop.run(1.0)
    service.watch()
    loop.run(1.25)
    assert service.bad_since(asker, 1.0, [host]) == 0
    host.kill()
    host.start()
    loop.run(2.0)
    assert host.is_up
    assert service.bad_since(asker, 1.0, [host]) == 1
    assert service.bad_since(asker, 1.3, [host]) == 0
    assert service.silent_since(asker, 1.0, [host]) == 0
