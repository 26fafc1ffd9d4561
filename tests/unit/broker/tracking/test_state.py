"""The one place where a change takes effect, whoever decided it."""

from collections.abc import Sequence
from typing import get_args

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given
from shoal.broker.tracking.changes import (
    Change,
    Disowned,
    Dropped,
    Entrusted,
    Forgotten,
    Gone,
    Held,
    Published,
    Renewed,
    Seen,
    Unwished,
    Wished,
    Withdrawn,
)
from shoal.broker.tracking.initial import Initial, InitialNode
from shoal.broker.tracking.settings import TrackerSettings
from shoal.broker.tracking.state import State

from tests.unit.broker.scene import TRACKER_ADDRESS, address_of, content_id
from tests.unit.broker.states import check, shown_state

NODES = st.sampled_from(["n1", "n2", "n3", "n4"])
NAMES = st.sampled_from(["a", "b"])
IDS = st.sampled_from([content_id(1), content_id(2)])
NUMBERS = st.integers(0, 2)
CHANGES: st.SearchStrategy[Change] = st.one_of(
    st.builds(Seen, NODES, st.just(address_of("n1")), NUMBERS, NUMBERS, *2 * [st.booleans()]),
    st.builds(Gone, NODES, st.booleans(), NUMBERS),
    st.builds(Forgotten, NODES),
    st.builds(Published, NAMES, IDS, NUMBERS, NUMBERS, NODES, NUMBERS, *3 * [st.booleans()]),
    st.builds(Dropped, NAMES, IDS),
    st.builds(Held, NAMES, IDS, NODES, st.booleans()),
    st.builds(Withdrawn, NAMES, IDS, NODES),
    st.builds(Disowned, NAMES, NODES),
    st.builds(Entrusted, NODES, st.sampled_from(["", "t1", "t1 t2"])),
    st.builds(Wished, NAMES, IDS, NUMBERS, st.tuples(NODES), age_s=NUMBERS),
    st.builds(Unwished, NAMES, again=NUMBERS),
)


def an_empty_state() -> State:
    nodes = {node: InitialNode(address_of(node)) for node in ("n1", "n2", "n3")}
    initial = Initial(TRACKER_ADDRESS, nodes, {"a": ("n1", "n2", "n3")})
    return State(initial, TrackerSettings(lease_s=30))


def applied(*changes: Change) -> State:
    state = an_empty_state()
    for now, change in enumerate(changes):
        state.apply(change, now)
    return state


@given(st.lists(CHANGES))
def test_takes_any_changes_in_any_order(changes: Sequence[Change]) -> None:
    check(applied(*changes))


@given(st.lists(CHANGES), st.lists(CHANGES))
def test_goes_on_from_a_log_as_if_it_had_seen_it_grow(
    log: Sequence[Change], later: Sequence[Change]
) -> None:
    at_once, one_by_one = an_empty_state(), an_empty_state()
    at_once.replay(log, 100)
    for change in log:
        one_by_one.apply(change, 100)
    for state in (at_once, one_by_one):
        for change in later:
            state.apply(change, 101)
    assert shown_state(at_once) == shown_state(one_by_one)
    check(at_once)


@given(st.lists(CHANGES))
def test_a_log_can_be_sent(log: list[Change]) -> None:
    data = msgspec.msgpack.encode(log)
    assert msgspec.msgpack.decode(data, type=list[Change]) == log


PUBLISHED = ("name", "id", "size_bytes", "number", "publisher", "age_s")


def test_the_names_of_changes_last() -> None:
    """A log that is kept, or read by another version of shoal, has these words in it."""
    written = msgspec.json.encode(Held("a", content_id(1), "n1", complete=True)).decode()
    assert written.startswith('{"change":"held","name":"a","id":"b3:')
    words = {kind.__struct_config__.tag: kind.__struct_fields__ for kind in get_args(Change)}
    assert words == {
        "seen": ("node", "address", "epoch", "sequence", "replaces", "is_part"),
        "entrusted": ("node", "tokens"),
        "gone": ("node", "left", "silent_s"),
        "forgotten": ("node",),
        "published": (*PUBLISHED, "is_first_hand", "is_claim", "is_refused"),
        "dropped": ("name", "id"),
        "held": ("name", "id", "node", "complete"),
        "withdrawn": ("name", "id", "node"),
        "wished": ("name", "id", "size_bytes", "nodes", "zones", "age_s", "again"),
        "unwished": ("name", "age_s", "again"),
        "disowned": ("name", "node"),
    }


A, ID = "a", content_id(1)
N1 = Seen("n1", address_of("n1"), 1, 1)
A1 = Published(A, ID, 10)


@pytest.mark.parametrize(
    "change",
    [
        Held(A, ID, "n1", complete=True),
        Held(A, content_id(9), "n1", complete=True),
        Withdrawn(A, content_id(9), "n1"),
        Dropped(A, content_id(9)),
        Gone("n9", left=False),
        Entrusted("n9", "t"),
        Forgotten("n9"),
        A1,
    ],
)
def test_changes_that_are_known_or_do_not_fit_change_nothing(change: Change) -> None:
    log: list[Change] = [N1, A1, Held(A, ID, "n1", complete=True)]
    assert shown_state(applied(*log, change)) == shown_state(applied(*log))


def test_a_version_is_not_dropped_while_somebody_holds_it() -> None:
    held: list[Change] = [N1, A1, Held(A, ID, "n1", complete=True)]
    assert applied(*held, Dropped(A, ID)).catalogue.newest(A) is not None
    state = applied(*held, Withdrawn(A, ID, "n1"), Dropped(A, ID))
    assert state.catalogue.version_count == 0


def test_a_node_that_is_forgotten_holds_nothing() -> None:
    state = applied(N1, A1, Held(A, ID, "n1", complete=False), Forgotten("n1"))
    assert (state.catalogue.holding_count, len(state.members.by_node)) == (0, 0)
    assert state.members.deadline is None


def test_an_age_counts_from_before_the_change() -> None:
    state = an_empty_state()
    state.apply(Published(A, ID, 10, age_s=60), now=100)
    state.apply(Published(A, ID, 99, 2, "n1", age_s=5), now=110)
    version = state.catalogue.find(A, ID)
    assert version is not None
    assert (version.announced, version.size_bytes, version.published) == (40, 10, (2, "n1"))


def test_nodes_that_spoke_or_disowned_are_not_on_the_lists_of_the_cluster_file() -> None:
    state = applied(N1, Gone("n1", left=True), Disowned(A, "n2"), Disowned("gone", "n9"))
    assert state.initial_holdings.holders(A) == [("n3", address_of("n3"))]


def test_nodes_that_were_alive_have_a_lease_to_come_back() -> None:
    state = an_empty_state()
    n2 = Seen("n2", address_of("n2"), 1, 1)
    state.replay([N1, Gone("n1", left=True), n2], now=100)
    assert [state.members.has_lease(node) for node in ("n1", "n2", "n3")] == [False, True, False]
    assert state.members.deadline == 130
    assert alive(state) == []  # None of them has said so.
    state.apply(Renewed("n2"), now=110)
    assert alive(state) == ["n2"]
    assert state.members.deadline == 140


def alive(state: State) -> list[str]:
    return [node for node, member in state.members.by_node.items() if member.is_alive]


def test_what_came_late_takes_nothing_back() -> None:
    state = State(Initial(TRACKER_ADDRESS), TrackerSettings())
    address, version = address_of("n1"), ("a", content_id(1))
    state.apply(Seen("n1", address, 1, 2), 0)
    state.apply(Published(*version, 1), 0)
    state.apply(Held(*version, "n1", complete=True), 0)
    state.apply(Seen("n1", address, 1, 1), 0)  # From a tracker that was late, …
    state.apply(Withdrawn(*version, "n1"), 0)  # … and so what that update said.
    assert [one.name for one in state.catalogue.held_by("n1")] == ["a"]
