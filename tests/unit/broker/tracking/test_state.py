"""What a tracker takes up from the one before it."""

from shoal.broker.tracking.initial import Initial, InitialNode
from shoal.broker.tracking.records import (
    DisownedRecord,
    DurableState,
    HolderRecord,
    NodeRecord,
    VersionRecord,
)
from shoal.broker.tracking.settings import TrackerSettings
from shoal.broker.tracking.state import restored

from tests.unit.broker.scene import TRACKER_ADDRESS, address_of, content_id

INITIAL = Initial(
    TRACKER_ADDRESS,
    {node: InitialNode(address_of(node)) for node in ("n1", "n2", "n3")},
    {"a": ("n1", "n2", "n3")},
)


def test_who_spoke_or_disowned_before_is_not_on_the_lists_of_the_file() -> None:
    remembered = DurableState(
        nodes=(NodeRecord("n1", address_of("n1"), 1, 1, left=True),),
        disowned=(DisownedRecord("a", "n2"), DisownedRecord("gone", "n9")),
    )
    state = restored(INITIAL, TrackerSettings(), remembered, now=0)
    assert state.initial_holdings.holders("a") == [("n3", address_of("n3"))]


def test_who_had_not_left_has_a_lease_to_come_back() -> None:
    remembered = DurableState(
        nodes=(
            NodeRecord("n1", address_of("n1"), 1, 1, left=True),
            NodeRecord("n2", address_of("n2"), 1, 1, left=False),
        ),
    )
    state = restored(INITIAL, TrackerSettings(lease_s=30), remembered, now=100)
    assert [state.leases.is_alive(node) for node in ("n1", "n2", "n3")] == [False, True, False]
    assert state.leases.deadline == 130


def test_a_holder_without_its_node_or_version_is_passed_over() -> None:
    remembered = DurableState(
        nodes=(NodeRecord("n1", address_of("n1"), 1, 1, left=False),),
        versions=(VersionRecord(1, "a", content_id(1), 10, 0),),
        holders=(
            HolderRecord(1, "n1", complete=True),
            HolderRecord(1, "n9", complete=True),
            HolderRecord(7, "n1", complete=True),
        ),
    )
    state = restored(INITIAL, TrackerSettings(), remembered, now=0)
    assert state.catalogue.holding_count == 1
    assert state.changes == []
