"""What is shown of one thing, and of one node."""

from pathlib import Path

from shoal.config.cluster import Cluster, TrackerEntry
from shoal.dashboard import details, picture
from shoal.dashboard.picture import Rows, key_of, keyed
from shoal.protocol.messages import File, Holder, NodeStatus, State
from shoal.protocol.pushing import Doing, Failure, Transfer, Verdict

ID, OTHER = f"b3:{7:064x}", f"b3:{8:064x}"
KEY = key_of("a", ID)
ADDRESS = "tcp://10.0.0.1:11001"
CLUSTER = Cluster(Path("lab.yaml"), (TrackerEntry("tcp://10.0.0.1:12000", Path("/t")),), {}, {})


def thing(**holders: bool) -> File:
    held = tuple(Holder(node, ADDRESS, whole, alive=True) for node, whole in holders.items())
    return File("a", ID, 10, 5, newest=True, holders=held)


def nodes(**doing: Doing) -> Rows:
    told = [
        NodeStatus(name, ADDRESS, alive=True, files=1, silent_ms=1, doing=one)
        for name, one in doing.items()
    ]
    return picture.nodes(told, CLUSTER, 0.0, {})


def test_a_node_has_what_the_tracker_lists() -> None:
    files = [thing(n1=True, n2=False), File("b", OTHER, 1, 1, newest=True, holders=())]
    assert details.holdings("n2", keyed(files)) == {key_of("a", ID): {"whole": False}}


def test_a_thing_has_those_who_hold_it() -> None:
    found = details.holders(KEY, keyed([thing(n2=False, n1=True)]), {})
    assert list(found) == ["n1", "n2"]
    assert found["n1"] == {"state": "whole", "alive": True}
    assert found["n2"]["state"] == "part"


def test_a_node_says_how_far_it_is() -> None:
    rows = nodes(
        n1=Doing(fetching=(Transfer("a", ID, 3, 10, 5, 2), Transfer("a", OTHER, 1, 10))),
        n2=Doing(hashing=(Transfer("a", None, 4, 10),)),
        n3=Doing(failed=(Failure("a", ID, "full"), Failure("a", OTHER, "other"))),
        n4=Doing(fetching=(Transfer("b", ID),), failed=(Failure("b", OTHER, "no"),)),
        n5=Doing(hashing=(Transfer("c"),)),
        n6=Doing(hashing=(Transfer("a"),)),
    )
    found = details.holders(KEY, keyed([thing(n6=True)]), rows)
    assert found["n1"] == {
        "alive": True,
        "state": "part",
        "have": 3,
        "size": 10,
        "rate": 5,
        "holders": 2,
    }
    assert (found["n2"]["state"], found["n2"]["have"]) == ("hashing", 4)
    assert (found["n3"]["state"], found["n3"]["reason"]) == ("failed", "full")
    assert found["n6"]["state"] == "whole"
    assert set(found) == {"n1", "n2", "n3", "n6"}


def test_nobody_has_what_is_unknown() -> None:
    assert details.holders("gone@", {}, {}) == {}


def test_a_push_has_those_who_have_not_begun() -> None:
    verdicts = [
        Verdict("n1", "done"),
        Verdict("n2", "waiting"),
        Verdict("n3", "failed", reason="no room"),
        Verdict("n4", "fetching", 3),
    ]
    found = details.holders(KEY, keyed([thing(n4=False)]), nodes(n1=Doing(), n2=Doing()), verdicts)
    assert found == {
        "n1": {"alive": True, "state": "whole"},
        "n2": {"alive": True, "state": "waiting"},
        "n3": {"alive": False, "state": "failed", "reason": "no room"},
        "n4": {"alive": True, "state": "part"},
    }


def test_asks_those_who_have_part_and_are_there() -> None:
    rows = {
        "n1": {"alive": True, "state": "part"},
        "n2": {"alive": False, "state": "part"},
        "n3": {"alive": True, "state": "whole"},
    }
    assert details.partial(rows) == ["n1"]


def test_shows_the_chunks_of_those_who_told_them() -> None:
    rows = details.holders(KEY, keyed([thing(n1=True, n2=False, n3=False, n4=False)]), {})
    told = {
        "n1": State("part", 1, 10, 4, b"\x01"),  # The tracker knows better by now.
        "n2": State("part", 5, 10, 4, b"\x03"),
        "n3": State("part", 5, 10),  # An older node.
        "n4": State("none"),
        "n5": State("part", 5, 10, 4, b"\x03"),
    }
    found = details.with_chunks(rows, told)
    assert found[""] == {"chunks": 4, "columns": 4}
    both = {"alive": True, "state": "part", "have": 5, "size": 10}
    assert found["n2"] == {**both, "levels": "//8AAA=="}
    assert found["n3"] == both
    assert (found["n1"], found["n4"]) == (rows["n1"], rows["n4"])
    assert "n5" not in found
