"""Who is asked for chunks, and for how long; the answers are tested with real nodes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from shoal.api.asking import Line
from shoal.config.cluster import Cluster, NodeEntry, TrackerEntry
from shoal.dashboard.closeups import MOST_THINGS, Closeups
from shoal.dashboard.picture import key_of, keyed
from shoal.protocol.messages import File, Holder
from shoal.protocol.trackers import Trackers

ID = f"b3:{7:064x}"
TRACKER = "tcp://192.0.2.1:12000"
LISTED = "tcp://node-1.example:11001"
CLUSTER = Cluster(
    Path("lab.yaml"),
    (TrackerEntry(TRACKER, Path("/t")),),
    {"n1": NodeEntry("n1", LISTED, Path("/n1"))},
    {},
)


@pytest.fixture
def closeups() -> Iterator[Closeups]:
    made = Closeups(CLUSTER, None)
    yield made
    made.close()


@pytest.fixture
def line() -> Iterator[Line]:
    """A line to a tracker that is not asked."""
    with Line(Trackers(["tcp://127.0.0.1:9"])) as line:
        yield line


def thing(number: int = 7) -> File:
    holders = (Holder("n9", "tcp://192.0.2.9:11001", complete=True, alive=True),)
    return File("a", f"b3:{number:064x}", 10, 5, newest=True, holders=holders)


def rows(**nodes: str) -> dict[str, Any]:
    return {node: {"address": address} for node, address in nodes.items()}


def test_asks_only_where_a_holder_may_be(closeups: Closeups) -> None:
    told = rows(
        n1=LISTED,
        n2="tcp://192.0.2.2:11001",
        n3="tcp://192.0.2.2:22",
        n4="tcp://127.0.0.1:11001",
        n5="tcp://elsewhere.example:11001",
        n6=TRACKER,
    )
    assert set(closeups._addresses([*told, "n7"], told)) == {"n1", "n2"}


def test_a_node_has_its_holdings(closeups: Closeups, line: Line) -> None:
    found = closeups.of("node:n9", line, keyed([thing()]), {"nodes": {}, "pushes": {}})
    assert found == {key_of("a", ID): {"whole": True}}


def test_a_thing_has_its_holders_though_too_many_are_looked_at(
    closeups: Closeups, line: Line
) -> None:
    files = keyed([thing(number) for number in range(MOST_THINGS + 1)])
    for key in files:
        found = closeups.of(f"thing:{key}", line, files, {"nodes": {}, "pushes": {}})
        assert found == {"n9": {"state": "whole", "alive": True}}
    assert len(closeups._partials) == MOST_THINGS
    closeups.keep(frozenset({f"thing:{next(iter(files))}"}))
    assert len(closeups._partials) == 1


def test_of_what_the_cluster_file_alone_names_nobody_is_asked(
    closeups: Closeups, line: Line
) -> None:
    files = keyed([File("b", None, None, 0, newest=True, holders=())])
    assert closeups.of("thing:b@", line, files, {"nodes": {}, "pushes": {}}) == {}
    assert closeups._partials == {}
