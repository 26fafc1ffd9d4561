"""What is missing on a host, by its answers; tests/multihost/test_ssh.py asks real ones."""

from pathlib import Path

import msgspec
import pytest
from shoal.config.cluster import Cluster, NodeEntry, TrackerEntry
from shoal.hosts.machine import this_machine
from shoal.hosts.preflight import Found, Room, _found, size_told
from shoal.hosts.roles import TRACKER, Role
from shoal.hosts.ssh import Outcome

N1 = NodeEntry("n1", "tcp://10.0.0.1:11001", Path("/srv"), quota_bytes=500)
LAB = Cluster(
    Path("/lab.yaml"), (TrackerEntry("tcp://10.0.0.1:12000", Path("/t")),), {"n1": N1}, {}
)
ANSWER = msgspec.json.encode(this_machine()).decode()
PLACE = {"port": "free", "free_bytes": 1000, "is_installed": True, "place": "/srv"}


def found(name: str, needed: int, **place: object) -> Found:
    told = msgspec.json.encode({**PLACE, "may_write": True, **place}).decode()
    outcome = Outcome(
        Role(name, "lab-1", ("tracker" if name == "tracker" else "node",)),
        0,
        f"{ANSWER}\n{told}",
        "",
    )
    return _found(outcome, LAB, Room(needed, frozenset({"n2"})))


@pytest.mark.parametrize(
    ("needed", "place", "problem"),
    [
        (500, {}, None),
        (500, {"port": "ours"}, None),
        (501, {}, "its quota_gb is less than 501 bytes"),
        (500, {"free_bytes": 499}, "no room for 500 bytes in /srv"),
        (0, {"port": "taken"}, "another program has tcp://10.0.0.1:11001: stop it, or change the "),
        (0, {"port": "no address of this host"}, "tcp://10.0.0.1:11001 is no address of that "),
        (0, {"may_write": False}, "/srv there may not be written to"),
    ],
)
def test_a_problem_is_named(needed: int, place: dict[str, object], problem: str | None) -> None:
    one = found("n1", needed, **place)
    assert (one.problem or "").startswith(problem or "")
    assert bool(one.problem) == bool(problem)


def test_a_tracker_needs_no_room() -> None:
    assert found(TRACKER, 5000).problem is None


def test_nonsense_is_a_problem_of_that_host() -> None:
    told = _found(
        Outcome(Role("n1", "lab-1", ("node", "n1")), 0, f"{ANSWER}\nhello", ""), LAB, Room()
    )
    assert told.problem == "it answered 'hello'; see what its shell prints at login"
    gone = _found(
        Outcome(Role("n1", "lab-1", ("node", "n1")), 255, "", "no route to host"), LAB, Room()
    )
    assert (gone.ssh, gone.problem) == (False, "no route to host")


def test_who_has_it_needs_no_room() -> None:
    states = '[{"node": "n1", "state": "copy"}, {"node": "n2", "state": "part"}]'
    assert size_told(f'{{"size_bytes": 9, "nodes": {states}}}') == Room(9, frozenset({"n1"}))
    with pytest.raises(ValueError, match="truncated"):
        size_told("")
