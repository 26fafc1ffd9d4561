"""Among nine bad holders of any kind, what the tenth has arrives, and that one is not dropped."""

import random
from collections.abc import Iterator

import pytest

from tests.faults.liars import DATA, SHORT, drawn, run, ten_holders
from tests.integration.cluster import Cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with ten_holders(tmp_path_factory.mktemp("liars") / "cluster") as cluster:
        yield cluster


@pytest.mark.parametrize("kind", SHORT)
def test_one_honest_holder_of_ten_is_enough(cluster: Cluster, kind: str) -> None:
    number = SHORT.index(kind)
    done = run(cluster, drawn(kind, random.Random(number)), number)
    assert 0 < done.from_honest_bytes <= len(DATA)
    assert done.wrong_chunks <= 3 * 9
