"""Rows of plain data, which stay the same while nothing happens."""

from pathlib import Path

import pytest
from shoal.config.cluster import Cluster, NodeEntry, TrackerEntry
from shoal.dashboard import picture
from shoal.protocol.messages import File, Holder, NodeStatus
from shoal.protocol.pushing import Doing, Failure, Pushed, Target, Transfer

ID = f"b3:{7:064x}"
TRACKER = TrackerEntry("tcp://10.0.0.1:12000", Path("/t"))
CLUSTER = Cluster(
    Path("lab.yaml"),
    (TRACKER,),
    {"n1": NodeEntry("n1", "tcp://10.0.0.1:11001", Path("/n1"), zone="rack-1")},
    {},
)
DOING = Doing(
    "0.1.0",
    100_000_000,
    sent_rate=5,
    fetching=(Transfer("a", ID, 1, 4, 20, 2), Transfer("b", None, 0, 0, 3)),
    hashing=(Transfer("c", None, 2, 3),),
    failed=(Failure("d", ID, "the disk is full", 40),),
)


def status(name: str = "n1", *, alive: bool = True, silent_ms: int | None = 400) -> NodeStatus:
    address = "tcp://10.0.0.1:11001"
    return NodeStatus(name, address, alive, 3, silent_ms, spoke=True, doing=DOING)


def test_a_node_is_what_it_told() -> None:
    rows = picture.nodes([status()], CLUSTER, 100.0, {})
    assert rows["n1"]["state"] == "alive"
    assert (rows["n1"]["host"], rows["n1"]["zone"], rows["n1"]["listed"]) == (
        "10.0.0.1",
        "rack-1",
        True,
    )
    assert (rows["n1"]["got"], rows["n1"]["sent"], rows["n1"]["heard"]) == (23, 5, None)
    assert rows["n1"]["fetching"][0] == {
        "name": "a",
        "id": ID,
        "have": 1,
        "size": 4,
        "rate": 20,
        "holders": 2,
    }
    assert [each["name"] for each in rows["n1"]["hashing"]] == ["c"]
    assert rows["n1"]["failed"][0]["reason"] == "the disk is full"


def test_a_node_that_is_off_does_nothing_any_more() -> None:
    row = picture.nodes([status(alive=False, silent_ms=60_000)], CLUSTER, 100.0, {})["n1"]
    assert (row["state"], row["heard"], row["version"]) == ("offline", 40.0, "0.1.0")
    assert (row["got"], row["sent"], row["fetching"], row["failed"]) == (0, 0, [], [])


@pytest.mark.parametrize(
    ("silent_ms", "spoke", "expected"),
    [(5, False, "offline"), (None, True, "offline"), (None, False, "never")],
)
def test_tells_a_node_that_was_never_there(
    silent_ms: int | None, expected: str, *, spoke: bool
) -> None:
    address = "tcp://10.0.0.9:11001"
    one = NodeStatus("n9", address, alive=False, files=0, silent_ms=silent_ms, spoke=spoke)
    row = picture.nodes([one], CLUSTER, 100.0, {})["n9"]
    assert (row["state"], row["listed"], row["zone"]) == (expected, False, None)


def test_a_row_stays_the_same_while_a_node_is_silent() -> None:
    before = picture.nodes([status(alive=False, silent_ms=60_000)], CLUSTER, 100.0, {})
    after = picture.nodes([status(alive=False, silent_ms=61_700)], CLUSTER, 101.5, before)
    assert picture.changes(before, after) == {}


def test_a_thing_counts_its_holders_by_what_they_have() -> None:
    def holder(name: str, *, complete: bool = True, alive: bool = True) -> Holder:
        return Holder(name, "tcp://10.0.0.1:11001", complete, alive)

    holders = holder("a"), holder("b"), holder("c", complete=False), holder("d", alive=False)
    files = [File("x@y", ID, 10, 60, newest=True, holders=holders, version=2, publisher="a")]
    files += [File("z", None, None, 0, newest=True, holders=())]
    rows = picture.things(files, 100.0, {})
    assert list(rows) == [f"x@y@{ID}", "z@"]
    row = rows[f"x@y@{ID}"]
    assert (row["whole"], row["part"], row["away"], row["since"]) == (2, 1, 1, 40.0)
    assert picture.changes(rows, picture.things(files, 100.9, rows)) == {}


@pytest.mark.parametrize("content_id", [ID, None])
def test_a_key_can_be_read_again(content_id: str | None) -> None:
    assert picture.of_key(picture.key_of("a@b", content_id)) == ("a@b", content_id)


def test_a_push_says_whom_it_means() -> None:
    everyone = Pushed("a", ID, 10, age_s=5, wanted=3, have=1)
    some = Pushed("b", ID, 10, Target(("n1", "n2"), ("rack-1",)))
    rows = picture.pushes([everyone, some], 100.0, {})
    assert (rows["a"]["to"], rows["b"]["to"]) == ("all", "n1,n2,zone:rack-1")
    assert (rows["a"]["wanted"], rows["a"]["have"], rows["a"]["since"]) == (3, 1, 95.0)


def test_changes_are_rows_that_are_new_other_or_gone() -> None:
    before = {"same": {"a": 1}, "other": {"a": 1}, "gone": {"a": 1}}
    after = {"same": {"a": 1}, "other": {"a": 2}, "new": {"a": 3}}
    assert picture.changes(before, after) == {"other": {"a": 2}, "new": {"a": 3}, "gone": None}
