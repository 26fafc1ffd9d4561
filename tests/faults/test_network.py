"""Under each fault of the network the right bytes arrive, and nobody slow is given up."""

import os
from collections.abc import Iterator

import pytest

from tests.faults.network import CASES, FILE, SHORT, TREE, Network, network
from tests.multihost.conftest import give_up


@pytest.fixture(scope="module")
def made(lab_obstacle: str | None) -> Iterator[Network]:
    if lab_obstacle is not None:
        give_up(lab_obstacle, os.environ)
    with network(seed=1) as made:
        yield made


@pytest.mark.parametrize("name", SHORT)
def test_a_fetch_completes(made: Network, name: str) -> None:
    thing = (FILE, TREE)[list(SHORT).index(name) % 2]
    done = made.run(CASES[name], thing)
    assert set(done.document["holders"]) <= {"n2", "n3"}
