"""The state as a log."""

from collections.abc import Sequence

from hypothesis import example, given
from hypothesis import strategies as st
from shoal.broker.tracking.changes import Change, Held, Published, Seen
from shoal.broker.tracking.dump import dump
from shoal.broker.tracking.initial import Initial
from shoal.broker.tracking.settings import TrackerSettings
from shoal.broker.tracking.state import State

from tests.unit.broker.scene import address_of, content_id
from tests.unit.broker.states import check, shown_state, shown_timeless
from tests.unit.broker.tracking.test_state import CHANGES, an_empty_state, applied

ID = content_id(1)
NEW, LATE = (Seen("n1", address_of("n1"), epoch, 1) for epoch in (2, 1))


@given(st.lists(CHANGES, max_size=30))
@example([NEW, Published("a", ID, 10), Held("a", ID, "n1", complete=True), LATE])
def test_leads_to_the_same_state(changes: Sequence[Change]) -> None:
    state, again = applied(*changes), an_empty_state()
    again.replay(dump(state, 1000), 1000)
    check(again)
    assert shown_timeless(again) == shown_timeless(state)
    assert list(dump(again, 1000)) == list(dump(state, 1000))
    assert shown_state(again)["refused"] == shown_state(state)["refused"]


@given(st.lists(CHANGES, max_size=30))
def test_needs_no_cluster_file(changes: Sequence[Change]) -> None:
    blind, again = State(Initial(""), TrackerSettings()), an_empty_state()
    blind.replay(changes, 1000)
    again.replay(dump(blind, 1000), 1000)
    straight = an_empty_state()
    straight.replay(changes, 1000)
    assert shown_timeless(again) == shown_timeless(straight)
