"""Who is near, who has something, and which chunk few others have."""

import math

from shoal.node.scheduling.neighbours import Neighbours
from shoal.node.scheduling.outstanding import Request
from shoal.node.scheduling.peer import Peer
from shoal.node.scheduling.settings import FetchSettings
from shoal.node.scheduling.twins import Twins
from shoal.node.scheduling.wanted import Wanted

from tests.unit.node.things import bits, digits, rng, thing

SETTINGS = FetchSettings(give_up_s=60)
ALL = bits("0123456789")
DIFFERENT = Twins(thing([10] * 10))


def some(*holders: str) -> Neighbours:
    """`n1:02` has chunks 0 and 2, `n1` all of them; the first is the farthest."""
    near = Neighbours()
    for place, text in enumerate(holders):
        node, _, chunks = text.partition(":")
        have = None if chunks else ALL
        near.add(Peer(node, have, 0, SETTINGS, distance=100 - place))
        if chunks:
            near.learn(node, bits(chunks), 0, is_whole=False)
    return near


def idle(near: Neighbours, missing: str) -> str:
    wanted = Wanted(10, 0, bits(missing), rng(), DIFFERENT)
    return " ".join(f"{peer.node}:{digits(chunks)}" for peer, chunks in near.idle(wanted))


def test_those_that_owe_something_come_last_and_get_what_is_left() -> None:
    near = some("n1:0", "n2:0", "n3:1")
    for node in ("n1", "n3"):
        request = Request(1, node, 9, 10, 0.0, 1.0, 3.0)
        near[node].sent(request)
        near[node].write_off(request)
    assert idle(near, "01") == "n2:0 n3:1 n1:0"
    wanted = Wanted(10, 0, bits("0"), rng(), DIFFERENT)
    asked = []
    for peer, chunks in near.idle(wanted):
        asked.append(peer.node)
        wanted.claim(chunks)
    assert asked == ["n2"]


def test_knows_what_a_reply_usually_takes() -> None:
    near = some("n1", "n2")
    request = Request(1, "n1", 0, 10, 0.0, 1.0, 3.0)
    assert near.pace.usual_s == math.inf
    assert near.delivered(request, 10, 0.5)
    assert near.pace.usual_s == 0.5
    assert not near.delivered(request, 10, 0.5 + 16)
    assert near.pace.usual_s == 1.5


def test_holders_are_in_order_of_distance() -> None:
    near = some("n1", "n2", "n3:0")
    assert [peer.node for peer in near.in_order] == ["n3", "n2", "n1"]
    assert (len(near), near.partial_count) == (3, 1)
    near.drop(near["n2"])
    near.drop(near["n3"])
    assert [peer.node for peer in near.in_order] == ["n1"]
    assert (len(near), near.partial_count, near.get("n2")) == (1, 0, None)


def test_the_nearest_who_have_something_come_first() -> None:
    near = some("n1:12", "n2", "n3:23", "n4:9")
    assert idle(near, "012") == "n3:2 n2:012 n1:12"
    assert [peer.node for peer in near.useful] == ["n3", "n2", "n1"]
    assert idle(near, "0") == "n2:0"
    assert [peer.node for peer in near.useful] == ["n2"]


def test_who_was_useless_is_useful_again_when_he_has_more() -> None:
    near = some("n1:1", "n2:2")
    assert idle(near, "3") == ""
    assert near.heard("n1", bits("3"), 0)
    assert not near.heard("n1", bits("3"), 0)
    assert not near.heard("n9", bits("3"), 0)
    assert not near.heard("n2", 0, 0)
    assert idle(near, "3") == "n1:3"
    near.learn("n2", ALL, 1, is_whole=True)
    assert idle(near, "3") == "n2:3 n1:3"
    assert near.partial_count == 1
    near.drop(near["n1"])
    assert idle(near, "3") == "n2:3"


def test_the_rarest_are_those_that_others_have_not() -> None:
    near = some("n1:0123", "n2:01", "n3:02", "n4")
    for draw in (0.0, 0.5, 0.9):
        assert digits(near.rarest(bits("0123"), near["n1"], draw)) == "3"
        assert digits(near.rarest(bits("01"), near["n2"], draw)) == "1"
        assert digits(near.rarest(bits("0"), near["n2"], draw)) == "0"


def test_only_a_few_are_compared_which_the_draw_decides() -> None:
    near = some("n1:0123456789", *(f"n{number}:{number}" for number in range(2, 10)))
    first, last = near.rarest(ALL, near["n1"], 0.0), near.rarest(ALL, near["n1"], 0.5)
    assert digits(first) == "012345"
    assert digits(last) == "016789"


def test_says_who_is_silent_and_who_will_be() -> None:
    near = some("n1", "n2")
    assert near.silent(100) == ([], math.inf)
