"""Which holders are asked: `n1@a` stands for holder n1 at address a, `n1~` for a partial one."""

import pytest
from shoal.node.fetching.evidence import PARDONED_CHUNKS, WRONG_CHUNKS, Evidence
from shoal.node.fetching.roster import Roster, Trouble
from shoal.node.fetching.settings import FetchSettings
from shoal.node.fetching.steps import Connect, Disconnect
from shoal.node.scheduling.scheduler import Scheduler
from shoal.protocol.distance import distance
from shoal.protocol.messages import Holder

from tests.unit.node.things import bits, rng, thing

TRACKER = "tcp://10.0.0.1:12000"
SETTINGS = FetchSettings()
LOST = Trouble("closed the connection")
SILENT = Trouble("does not answer", was_silent=True)
REFUSED = Trouble("refused: no", refused=True)
LIED = Trouble("sent wrong bytes", lied=True)


def holders(text: str) -> tuple[Holder, ...]:
    """Return what the tracker says: `~` marks one that has a part."""
    return tuple(map(holder, text.split()))


def holder(text: str) -> Holder:
    node, _, host = text.rstrip("~").partition("@")
    address = host if host.startswith("tcp:") else f"tcp://10.0.1.{ord(host or node[1:])}:11000"
    return Holder(node, address, complete=not text.endswith("~"), alive=True)


def a_roster(named: str = "") -> Roster:
    roster = Roster("me", (TRACKER,), SETTINGS)
    learned(roster, named)
    return roster


def learned(roster: Roster, named: str) -> str:
    """Return who is to be connected to after the tracker has said so, `-n1` for one left."""
    roster.learn(holders(named))
    return retried(roster, 0)


def retried(roster: Roster, now: float) -> str:
    changes = roster.choose(now)
    return " ".join("-" * isinstance(change, Disconnect) + change.node for change in changes)


def missing(roster: Roster, chunks: str) -> None:
    """Have these be the ones, of eight, that are missing."""
    needed = bits(chunks)
    roster.begin(Scheduler(thing([10] * 8), 0, needed, rng(), 1 << 20), 0)


def nearest(named: str) -> list[str]:
    """Return those named, the nearest to `me` first."""
    return sorted(named.replace("~", "").split(), key=lambda node: distance("me", node))


FEW = FetchSettings(most_wholes=6, most_holders=4)
TEN = " ".join(f"p{number}@tcp://10.0.2.{number}:11000" for number in range(10))
TEN_NODES = nearest(" ".join(f"p{number}" for number in range(10)))


def test_connects_to_each_holder_once() -> None:
    roster = a_roster()
    assert learned(roster, "n2 n1") == "n1 n2"
    assert learned(roster, "n1 n2 n3") == "n3"
    assert roster.connected == ["n1", "n2", "n3"]


def test_leaves_itself_out() -> None:
    assert learned(a_roster(), "n1 me@x") == "n1"


def test_does_not_connect_to_itself_under_another_name() -> None:
    """Fault 50."""
    roster = Roster("me", (TRACKER,), SETTINGS, {"me": holder("me@x").address})
    assert learned(roster, "n1 n2@x") == "n1"


def test_one_address_under_two_names_is_one_holder() -> None:
    assert learned(a_roster(), "n1@x n2@x") == "n1"
    assert learned(a_roster("n1@x"), "n2@x") == ""


def test_goes_by_a_host_name_only_if_the_cluster_file_has_it() -> None:
    listed = {"n1": "tcp://n1.lan:11000", "n2": "tcp://n2.lan:11000"}
    names = "n1@tcp://n1.lan:11000 n2@tcp://n1.lan:11000 n3@tcp://n3.lan:11000"
    assert learned(Roster("me", (TRACKER,), SETTINGS, listed), names) == "n1"
    assert learned(a_roster(), names) == ""


def test_does_not_go_to_a_holder_whose_key_is_not_known() -> None:
    roster = a_roster()
    roster.knows = lambda node: node != "n1"
    assert learned(roster, "n1@x n2@y") == "n2"
    assert roster.troubles() == "n1 has no key in the cluster file here"
    roster.knows = lambda _: True
    assert learned(roster, "n1@x") == "n1"


def test_does_not_go_where_no_holder_can_be() -> None:
    bad = ("169.254.169.254:11000", "127.0.0.1:11000", "224.0.0.1:11000", "10.0.0.1:12000")
    for place in (*bad, "10.0.1.1:22"):
        roster = a_roster()
        assert learned(roster, f"n1@tcp://{place} n2") == "n2"
        assert "n1 has an untrusted address" in roster.troubles()
        assert not roster.has_liars


def test_a_bad_address_may_be_put_right() -> None:
    roster = a_roster("n1@tcp://10.0.1.1:22")
    assert learned(roster, "n1@x") == "n1"
    assert roster.troubles() == ""


def test_tries_the_only_holder_again_and_again() -> None:
    """Its cable was back, and it was left alone for seconds."""
    roster = a_roster("n1 n2")
    roster.part_with("n2", REFUSED, 0)
    for now in (0.0, 0.3, 0.6, 0.9):
        roster.part_with("n1", LOST, now)
        assert retried(roster, now + 0.29) == ""
        assert retried(roster, now + 0.3) == "n1"


def test_tries_a_lost_holder_again_after_a_pause_that_doubles_while_there_is_another() -> None:
    roster = a_roster("n1 n2")
    pauses = []
    now = 0.0
    for _ in range(8):
        roster.part_with("n1", LOST, now)
        assert not roster.is_alone
        retry_at = roster.deadline(now)
        assert retry_at is not None
        assert retried(roster, retry_at - 0.01) == ""
        assert retried(roster, retry_at) == "n1"
        pauses.append(retry_at - now)
        now = retry_at
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


def test_one_that_refuses_is_asked_three_times_in_a_minute_at_most() -> None:
    roster = a_roster("n1")
    asked = [0.0]
    while asked[-1] < 60:
        roster.part_with("n1", REFUSED, asked[-1])
        retry_at = roster.deadline(asked[-1])
        assert retry_at is not None
        assert retried(roster, retry_at) == "n1"
        asked.append(retry_at)
    assert asked == [0, 2, 18, 78]


def test_the_pause_is_short_again_once_it_has_delivered() -> None:
    roster = a_roster("n1 n2")
    for now in (0, 10, 20):
        roster.part_with("n1", SILENT, now)
        roster.choose(now + 5)
    roster.proved_good("n1")
    roster.part_with("n1", LOST, 30)
    assert roster.deadline(30) == 31
    assert roster.give_up_s("n1") == 60


def test_a_silent_holder_gets_longer_each_time() -> None:
    """Its link may be that slow: 1 MiB takes 131 s at 64 kbit/s."""
    roster = a_roster("n1")
    patience = []
    for _ in range(6):
        patience.append(roster.give_up_s("n1"))
        roster.part_with("n1", SILENT, 0)
    assert patience == [60, 120, 240, 480, 960, 960]
    for _ in range(2000):
        roster.part_with("n1", SILENT, 0)
    assert roster.give_up_s("n1") == 960


def test_one_that_is_only_unreachable_gets_no_longer() -> None:
    roster = a_roster("n1")
    roster.part_with("n1", LOST, 0)
    assert roster.give_up_s("n1") == 60


def test_a_liar_is_never_asked_again() -> None:
    roster = a_roster("n1 n2")
    roster.part_with("n1", LIED, 0)
    assert learned(roster, "n1 n1@z") == ""
    assert retried(roster, 10_000) == ""
    assert (roster.connected, roster.has_liars, roster.is_hopeless) == (["n2"], True, False)


def test_whoever_sent_wrong_chunks_alone_is_asked_once_more_if_there_is_nobody_else() -> None:
    roster = a_roster("n1 n2~")
    for index in range(WRONG_CHUNKS):
        roster.evidence.sent_wrong("n1", index)
    assert [one.node for one in roster.sent_wrong("n1", 0)] == ["n1"]
    roster.part_with("n2", LIED, 0)
    assert (roster.connected, roster.is_hopeless) == ([], True)
    assert roster.pardon()
    assert retried(roster, 1) == "n1"
    missing(roster, "9")
    assert not roster.is_hopeless
    for index in range(WRONG_CHUNKS, PARDONED_CHUNKS):
        assert roster.sent_wrong("n1", 2) == []
        roster.evidence.sent_wrong("n1", index)
    assert [one.node for one in roster.sent_wrong("n1", 2)] == ["n1"]
    assert not roster.pardon()
    assert (retried(roster, 10_000), roster.is_hopeless) == ("", True)


def test_a_pardoned_one_whose_address_another_has_by_now_is_left_out() -> None:
    roster = a_roster("n1")
    for index in range(WRONG_CHUNKS):
        roster.evidence.sent_wrong("n1", index)
    roster.sent_wrong("n1", 0)
    roster.learn((Holder("n2", roster._condemned["n1"].address, complete=True, alive=True),))
    assert roster.pardon()
    assert retried(roster, 1) == "n2"


def test_is_hopeless_when_everybody_has_lied() -> None:
    roster = a_roster("n1 n2")
    roster.part_with("n1", LIED, 0)
    found_out_one = roster.is_hopeless
    roster.part_with("n2", LIED, 0)
    assert (found_out_one, roster.is_hopeless) == (False, True)
    assert not a_roster().is_hopeless


def test_seeks_a_lost_holder_where_it_is_now() -> None:
    roster = a_roster("n1@x")
    assert learned(roster, "n1@y") == ""  # It still answers at the old address.
    roster.part_with("n1", LOST, 0)
    assert learned(roster, "n1@x") == ""
    roster.learn(holders("n1@y"))
    assert roster.choose(0) == [Connect("n1", "tcp://10.0.1.121:11000")]
    assert roster.connected == ["n1"]


def test_says_what_is_wrong_with_each() -> None:
    roster = a_roster("n3 n2 n1")
    roster.part_with("n3", LOST, 0)
    roster.part_with("n1", LIED, 0)
    assert roster.troubles() == "n1 sent wrong bytes; n3 closed the connection"


def a_small_roster(named: str) -> Roster:
    """Return one that asks four at a time."""
    roster = Roster("me", (TRACKER,), FEW)
    learned(roster, named)
    return roster


def test_of_many_the_nearest_are_asked() -> None:
    roster = a_small_roster(TEN.replace(":11000", ":11000~"))
    assert roster.connected == sorted(TEN_NODES[:4])
    assert roster.deadline(0) is None


def test_nearer_ones_take_the_places_of_others_who_may_come_back() -> None:
    by_node = {each.partition("@")[0]: each for each in TEN.split()}
    far, near = TEN_NODES[6:], TEN_NODES[:2]
    roster = a_small_roster(" ".join(f"{by_node[node]}~" for node in far))
    assert roster.connected == sorted(far)
    told = learned(roster, " ".join(f"{by_node[node]}~" for node in near))
    assert sorted(told.split()) == sorted([*near, *(f"-{node}" for node in far[2:])])
    roster.part_with(near[0], LOST, 0)
    assert retried(roster, 0) == far[2]
    assert (roster.troubles(), roster.deadline(0)) == (f"{near[0]} closed the connection", 1)


def test_whole_holders_are_all_asked_and_partial_ones_have_places_too() -> None:
    """The whole ones are those that the tracker lists."""
    parts = TEN_NODES[:5]
    named = " ".join(f"{each}~" if each[:2] in parts else each for each in TEN.split())
    assert a_small_roster(named).connected == sorted([*TEN_NODES[5:], *TEN_NODES[:2]])
    assert a_small_roster(TEN).connected == sorted(TEN_NODES[:6])


def test_one_that_was_lost_takes_nobody_s_place() -> None:
    roster = a_small_roster(TEN)
    roster.part_with(TEN_NODES[0], LOST, 0)
    assert retried(roster, 0) == TEN_NODES[6]
    assert retried(roster, 10) == ""
    for node in TEN_NODES[6:]:
        roster.part_with(node, LIED, 10)
        roster.choose(10)
    assert roster.connected == sorted(TEN_NODES[:6])


def test_asks_more_of_them_when_these_bring_nothing() -> None:
    settings = FetchSettings(most_holders=2)
    roster = Roster("me", (TRACKER,), settings)
    counts = [len(learned(roster, TEN.replace(":11000", ":11000~")).split())]
    for _ in range(3):
        roster.widen()
        counts.append(len(retried(roster, 0).split()))
    assert counts == [2, 2, 4, 0]


def test_one_that_is_whole_now_is_asked_however_far_it_is() -> None:
    roster = a_small_roster(TEN.replace(":11000", ":11000~"))
    farthest = TEN_NODES[-1]
    whole = next(each for each in TEN.split() if each.startswith(f"{farthest}@"))
    assert farthest in learned(roster, whole).split()


def test_who_sent_all_that_is_missing_wrong_is_no_company() -> None:
    roster = a_roster("n1 n2~")
    roster.part_with("n2", LOST, 0)
    missing(roster, "12")
    roster.evidence.sent_wrong("n1", 1)
    assert (roster.is_alone, roster.has_liars) == (False, True)
    roster.evidence.sent_wrong("n1", 2)
    assert (roster.is_alone, roster.is_hopeless) == (True, False)
    assert retried(roster, 1) == "n2"
    assert (roster.is_alone, roster.is_hoping) == (False, True)
    assert roster.troubles() == ("n1 sent wrong bytes of chunks 2 and 3; n2 closed the connection")


def test_is_hopeless_when_all_have_sent_the_same_wrong() -> None:
    roster = a_roster("n1 n2")
    for node in ("n1", "n2"):
        roster.evidence.sent_wrong(node, 1)
    found_out: list[bool] = []
    for chunks in ("123", "02", "1"):  # The second time it has come from a third one.
        missing(roster, chunks)
        found_out.append(roster.is_hopeless)
    assert found_out == [True, False, True]
    roster.part_with("n1", LOST, 0)
    assert roster.is_hopeless
    assert roster.troubles().startswith("n1 sent wrong bytes of chunk 2 and closed the connection")


# What is proven of each.


def proven(**wrong: str) -> Evidence:
    evidence = Evidence()
    for node, chunks in wrong.items():
        for index in map(int, chunks):
            assert evidence.sent_wrong(node, index)
    return evidence


def test_each_wrong_chunk_is_news_once() -> None:
    evidence = proven(n1="3")
    assert evidence
    assert not proven()
    assert not evidence.sent_wrong("n1", 3)
    assert (evidence.wrong("n1"), evidence.wrong("n2")) == (bits("3"), 0)


@pytest.mark.parametrize(
    ("wrong", "right", "is_liar"),
    [("12", 0, False), ("123", 0, True), ("123", 2, True), ("123", 3, False), ("1234", 3, True)],
)
def test_a_liar_sends_several_wrong_and_fewer_right(wrong: str, right: int, is_liar: bool) -> None:  # noqa: FBT001
    evidence = proven(n1=wrong)
    for _ in range(right):
        evidence.sent_right("n1")
    assert evidence.is_liar("n1") is is_liar


def test_knows_what_all_of_some_sent_wrong() -> None:
    evidence = proven(n1="123", n2="234")
    assert evidence.wrong_at_all(["n1", "n2"]) == bits("23")
    assert evidence.wrong_at_all(["n1", "n2", "n3"]) == 0
    assert evidence.wrong_at_all([]) == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("", ""),
        ("0", "sent wrong bytes of chunk 1"),
        ("04", "sent wrong bytes of chunks 1 and 5"),
        ("048", "sent wrong bytes of chunks 1, 5 and 9"),
        ("0245", "sent wrong bytes of chunks 1, 3, 5 and 1 more"),
        ("024678", "sent wrong bytes of chunks 1, 3, 5 and 3 more"),
    ],
)
def test_says_which_chunks_counted_from_one(wrong: str, said: str) -> None:
    assert proven(n1=wrong).phrase("n1") == said
