"""Clusters for the tests: one for a test, or one for all tests of a module."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cluster import Cluster, cluster_in


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """n1, n2 and n3, of which nobody runs yet."""
    with cluster_in(tmp_path / "cluster") as cluster:
        yield cluster
