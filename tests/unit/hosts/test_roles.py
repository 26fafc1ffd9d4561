"""Which processes of a cluster are meant, and where ssh finds them."""

from pathlib import Path

import pytest
from shoal.config.cluster import Cluster, NodeEntry, TrackerEntry
from shoal.hosts.roles import Role, chosen_roles, entry_of
from shoal.protocol.errors import OperatorError


def cluster(*nodes: str, trackers: int = 1) -> Cluster:
    entries = {
        name: NodeEntry(name, f"tcp://10.0.0.{number}:11001", Path("/srv"))
        for number, name in enumerate(nodes, start=1)
    }
    every = tuple(
        TrackerEntry(f"tcp://10.0.0.{number}:12000", Path("/srv"))
        for number in range(1, trackers + 1)
    )
    return Cluster(Path("/lab.yaml"), every, entries, {})


LAB = cluster("n1", "n2")
TRACKER = Role("tracker", "10.0.0.1", ("tracker",))
N1, N2 = (Role(f"n{n}", f"10.0.0.{n}", ("node", f"n{n}")) for n in (1, 2))


@pytest.mark.parametrize(
    ("on", "roles"),
    [
        (None, [TRACKER, N1, N2]),
        ("all", [TRACKER, N1, N2]),
        ("n2, tracker,", [TRACKER, N2]),
    ],
)
def test_roles_come_in_the_files_order(on: str | None, roles: list[Role]) -> None:
    assert chosen_roles(LAB, on, {}) == roles


def test_ssh_may_know_a_host_by_another_name() -> None:
    elsewhere = {"n1": "ann@lab-7", "tracker": "gate"}
    hosts = [role.host for role in chosen_roles(LAB, None, elsewhere)]
    assert hosts == ["gate", "ann@lab-7", "10.0.0.2"]


@pytest.mark.parametrize(
    ("on", "hosts", "words"),
    [
        ("n3", {}, "/lab.yaml: no node n3; expected one of n1, n2"),
        (None, {"n3": "x"}, "/lab.yaml: no node n3; expected one of n1, n2"),
        (" ,", {}, "--on names nobody; expected one of tracker, n1, n2"),
    ],
)
def test_what_is_not_in_the_cluster_file_is_refused(
    on: str | None, hosts: dict[str, str], words: str
) -> None:
    with pytest.raises(OperatorError, match=words):
        chosen_roles(LAB, on, hosts)


def test_a_node_called_tracker_cannot_be_told_from_it() -> None:
    with pytest.raises(OperatorError, match="give the node another name"):
        chosen_roles(cluster("tracker"), None, {})


def test_several_trackers_are_counted_and_each_is_told_which_it_is() -> None:
    lab = cluster("n1", trackers=2)
    first, second = (
        Role(f"tracker-{n}", f"10.0.0.{n}", ("tracker", "--at", f"tcp://10.0.0.{n}:12000"))
        for n in (1, 2)
    )
    assert chosen_roles(lab, None, {}) == [first, second, N1]
    assert chosen_roles(lab, "tracker", {}) == [first, second]
    assert chosen_roles(lab, "tracker-2", {"tracker-2": "gate"}) == [second._replace(host="gate")]
    assert entry_of(lab, second) == lab.trackers[1]
    assert (second.key_name, N1.key_name) == ("tracker", "n1")
    with pytest.raises(OperatorError, match="no node tracker; expected one of n1"):
        chosen_roles(lab, None, {"tracker": "gate"})
    with pytest.raises(OperatorError, match="a node is called tracker-2, as the tracker is"):
        chosen_roles(cluster("tracker-2", trackers=2), None, {})
