"""A fetch that is killed at random moments is resumed, and pays for little twice."""

import random
from collections.abc import Iterator

import pytest

from tests.faults.kills import WAYS, Lab, lab


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with lab(tmp_path_factory.mktemp("kills") / "cluster") as made:
        yield made


@pytest.mark.parametrize("way", WAYS, ids=" ".join)
def test_a_killed_fetch_is_resumed(made: Lab, way: tuple[str, ...]) -> None:
    name, *options = way
    assert made.live(name, random.Random(1), *options).kills
