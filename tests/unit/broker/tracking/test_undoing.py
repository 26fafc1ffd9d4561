"""Changes that are taken back."""

from collections.abc import Sequence

from hypothesis import example, given
from hypothesis import strategies as st
from shoal.broker.tracking.changes import Change, Dropped, Gone, Published, Seen, Unwished
from shoal.broker.tracking.undoing import remembered
from shoal.broker.tracking.wishes import MOST_ENDED

from tests.unit.broker.scene import address_of, content_id
from tests.unit.broker.states import check, shown_state
from tests.unit.broker.tracking.test_state import CHANGES, applied

N4 = Seen("n4", address_of("n4"), 1, 1)


@given(st.lists(CHANGES, max_size=20), st.lists(CHANGES, max_size=20))
@example([N4, Gone("n4", left=False)], [N4])  # A stranger was silent.
def test_the_state_is_what_it_was(before: Sequence[Change], taken_back: Sequence[Change]) -> None:
    state = applied(*before)
    was = shown_state(state)
    steps = []
    for change in taken_back:
        steps.append(remembered(state, change))
        state.apply(change, 1000)
    after = shown_state(state)
    for each in reversed(steps):
        for step in reversed(each):
            step()
    check(state)
    assert shown_state(state) == was
    for change in taken_back:
        state.apply(change, 1000)
    check(state)
    assert shown_state(state) == after


def test_what_was_dropped_has_its_place_again() -> None:
    names = ("a", "b", "c")
    state = applied(*(Published(name, content_id(1), 10) for name in names))
    was = shown_state(state)
    (step,) = remembered(state, Dropped("a", content_id(1)))
    state.apply(Dropped("a", content_id(1)), 1000)
    step()
    assert shown_state(state) == was
    assert list(state.catalogue._by_id[content_id(1)]) == list(names)  # type: ignore[arg-type]


def test_not_all_ended_pushes_are_remembered() -> None:
    state = applied(*(Unwished(str(number)) for number in range(MOST_ENDED + 1)))
    assert len(state.wishes.ended()) == MOST_ENDED
    assert "0" not in state.wishes.ended()
