"""A rate for the whole cluster, and who gets how much of it."""

import dataclasses
import math

from hypothesis import given
from hypothesis import strategies as st
from shoal.broker.tracking.lending import SETTLE_S, SILENT_S, Lending, shares
from shoal.protocol.messages import Ok, Renew
from shoal.protocol.pushing import News

from tests.unit.broker.scene import Scene

MOST = 10**12
LATER = SETTLE_S + 0.01


def test_those_who_want_all_share_equally() -> None:
    assert shares(30, {"a": MOST, "b": MOST, "c": MOST}) == {"a": 10, "b": 10, "c": 10}
    assert shares(30, {}) == {}


def test_who_wants_less_leaves_the_rest_to_the_others() -> None:
    assert shares(30, {"a": 4, "b": MOST, "c": MOST}) == {"a": 4, "b": 13, "c": 13}


def test_what_nobody_wants_is_room_to_grow_for_all() -> None:
    assert shares(30, {"a": 4, "b": 6}) == {"a": 14, "b": 16}


@given(
    st.integers(1000, 10**9),
    st.dictionaries(st.text("abc", min_size=1), st.integers(1, 10**9), min_size=1, max_size=30),
)
def test_the_shares_are_the_budget_and_nobody_is_left_out(
    budget: int, wants: dict[str, int]
) -> None:
    given = shares(budget, wants)
    assert budget - len(wants) <= sum(given.values()) <= budget
    for node, share in given.items():
        assert share >= min(wants[node], budget // len(wants))


def lending(*nodes: str, budget: int = 1000) -> Lending:
    """Return a budget lent to nodes that want all of it, in a cluster of ten."""
    lent = Lending()
    lent.learn(budget, 10)
    assert lent.settle(0.0) == []
    for node in nodes:
        lent.heard(node, MOST, 0.0)
    return lent


def test_without_a_budget_nothing_is_lent() -> None:
    lent = Lending()
    lent.heard("a", MOST, 0.0)
    assert lent.lent("a") is None
    assert lent.deadline == math.inf
    assert lent.settle(1.0) == []


def test_one_who_does_not_serve_may_begin_with_its_part() -> None:
    lent = lending("a", "b")
    assert lent.lent("a") == lent.lent("c") == 100
    assert sorted(lent.settle(LATER)) == ["a", "b"]
    assert (lent.lent("a"), lent.lent("c")) == (500, 100)


def test_the_shares_settle_a_moment_after_the_first_word() -> None:
    lent = lending("a")
    assert SETTLE_S <= lent.deadline < LATER
    assert lent.settle(SETTLE_S / 2) == []
    lent.heard("b", MOST, SETTLE_S / 2)
    assert lent.settle(LATER) == ["a", "b"]
    assert lent.settle(2 * LATER) == []


def test_one_that_ends_leaves_its_share_to_the_others() -> None:
    lent = lending("a", "b")
    lent.settle(LATER)
    lent.heard("a", 0, 5.0)
    lent.left("c", 5.0)
    assert lent.settle(5.0 + LATER) == ["b"]
    assert lent.lent("b") == 1000


def test_one_that_has_fallen_silent_wants_nothing() -> None:
    lent = lending("a", "b")
    lent.settle(LATER)
    lent.heard("b", MOST, 6.0)
    assert lent.deadline == SILENT_S
    lent.settle(SILENT_S)
    assert lent.settle(SILENT_S + LATER) == ["b"]
    assert lent.deadline == 6.0 + SILENT_S


def test_once_there_is_no_budget_those_who_were_heard_fall_silent_without_a_word() -> None:
    """The tracker would look for the first of them without end."""
    lent = lending("a", "b")
    lent.learn(None, 10)
    assert lent.settle(SILENT_S + 1) == []
    assert (lent.lent("a"), lent.deadline) == (None, math.inf)
    lent.learn(1000, 10)
    lent.settle(SILENT_S + 2)
    assert lent.lent("a") == 100


def test_another_budget_counts_at_once() -> None:
    lent = lending("a")
    lent.settle(LATER)
    lent.learn(400, 10)
    assert lent.settle(LATER) == ["a"]
    assert lent.lent("a") == 400
    lent.learn(None, 10)
    assert lent.settle(LATER) == []
    assert lent.lent("a") is None


def test_a_change_that_nobody_notices_is_not_told() -> None:
    lent = lending("a")
    lent.heard("b", 500, 0.0)
    lent.settle(LATER)
    lent.heard("b", 505, 1.0)
    assert lent.settle(1.0 + LATER) == []


# In the tracker.


def scene(budget: int | None) -> Scene:
    found = Scene(nodes=("n1", "n2", "n3"))
    found.tracker.learn(dataclasses.replace(found.initial, cluster_up=budget))
    for node in ("n1", "n2", "n3"):
        found.update(node)
    found.tracker.expire(found.now)
    return found


def renewed(found: Scene, node: str, wants: int = MOST) -> int | None:
    """Renew a lease; return what is lent."""
    reply = found.send(Renew(node, 1, 0, wants=wants))
    assert isinstance(reply, Ok)
    return reply.lent


def notified(found: Scene) -> tuple[str, ...]:
    found.wait(LATER)
    return found.tracker.expire(found.now).notified


def test_an_answer_to_a_renewal_tells_what_is_lent() -> None:
    found = scene(900)
    assert renewed(found, "n1") == 300
    assert notified(found) == ("n1",)
    assert found.tracker.news_for("n1") == News(0, 900)
    assert renewed(found, "n1") == 900
    assert renewed(scene(None), "n1") is None


def test_the_tracker_wants_to_be_woken_to_settle() -> None:
    found = scene(900)
    renewed(found, "n1")
    deadline = found.tracker.deadline
    assert deadline is not None
    assert found.now < deadline < found.now + LATER


def test_a_node_that_leaves_wants_nothing() -> None:
    found = scene(900)
    for node in ("n1", "n2"):
        renewed(found, node)
    assert notified(found) == ("n1", "n2")
    found.leave("n1")
    assert notified(found) == ("n2",)
    assert renewed(found, "n2") == 900
