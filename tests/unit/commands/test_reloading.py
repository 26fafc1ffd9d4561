"""What a running tracker or node says of a cluster file that has changed."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from shoal.commands import node, tracker
from shoal.commands.reloading import Fixed, Reloading
from shoal.config.cluster import Cluster, load

TEXT = """\
tracker: {address: tcp://192.0.2.1:12000, listen: tcp://0.0.0.0:12000}
nodes:
  n1: {address: tcp://192.0.2.1:11001, listen: tcp://0.0.0.0:11001, folder: one}
  n2: {address: tcp://192.0.2.2:11001, folder: two}
"""
OF_TRACKER = "tcp://0.0.0.0:12000", "tcp://0.0.0.0:12001"
OF_N1 = "tcp://0.0.0.0:11001", "tcp://0.0.0.0:11002"


def of_tracker(cluster: Cluster) -> Fixed:
    return tracker._fixed("tcp://127.0.0.1:12000", cluster)


def of_n1(cluster: Cluster) -> Fixed:
    return node._fixed("n1", cluster)


@pytest.mark.parametrize(
    ("fixed", "change", "told"),
    [
        (of_tracker, OF_TRACKER, "where it listens"),
        (of_tracker, OF_N1, None),
        (of_n1, OF_TRACKER, None),
        (of_n1, OF_N1, "address, listen, folder, quota, limits and metrics of n1"),
    ],
)
def test_where_it_listens_changes_with_a_restart(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    fixed: Callable[[Cluster], Fixed],
    change: tuple[str, str],
    told: str | None,
) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(TEXT)
    taken: list[Cluster] = []
    reloading = Reloading(logging.getLogger("shoal.test"), load(path), None, fixed, taken.append)
    path.write_text(TEXT.replace(*change))
    with caplog.at_level(logging.INFO):
        reloading()
    assert taken == [load(path)]
    warnings = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    expected = f"{path}: restart this to have another value of: {told}"
    assert warnings == ([] if told is None else [expected])
