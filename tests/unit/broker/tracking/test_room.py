"""Whom the tracker forgets when it has no room, and whom it refuses."""

import pytest
from shoal.broker.tracking.catalogue import room_of
from shoal.broker.tracking.initial import Initial, InitialNode
from shoal.broker.tracking.room import MOST_FORGOTTEN
from shoal.broker.tracking.settings import TrackerSettings
from shoal.protocol.messages import Holding, Update

from tests.unit.broker.scene import TRACKER_ADDRESS, Scene, content_id, shown
from tests.unit.broker.states import check

TOO_MUCH = "TOO_MUCH the tracker takes no more than"


def at(host: str, port: int = 11000) -> str:
    return f"tcp://{host}:{port}"


class Lan(Scene):
    """A tracker that knows n1, n2 and n3; strangers come from hosts of their own."""

    def __init__(self, **limits: int) -> None:
        super().__init__(settings=TrackerSettings(**limits))

    def says(self, node: str, holds: str = "", host: str = "10.0.0.1") -> str:
        self.host = host
        said = self.update(node, holds, address=at(host), replace=True)
        self.host = "127.0.0.1"
        return said

    def leaves(self, node: str, host: str = "10.0.0.1") -> None:
        self.host = host
        self.leave(node)
        self.host = "127.0.0.1"

    def strangers(self) -> str:
        known = self.tracker._state.members.by_node
        return " ".join(sorted(node for node in known if node not in self.initial.nodes))


# One node, one host.


@pytest.mark.parametrize(
    ("name", "size_bytes"),
    [("a" * 10, 77), ("ä" * 10, 97), ("你" * 10, 117), ("a" * 9 + "😀", 120)],
)
def test_what_a_name_takes_is_counted_in_bytes(name: str, size_bytes: int) -> None:
    assert room_of(name, content_id(1)) == size_bytes


def test_one_node_has_no_more_than_its_share_of_bytes() -> None:
    lan = Lan(max_holdings_per_node=10, bytes_per_name=80)
    assert lan.update("n1", " ".join(f"{'x' * 190}{number}=1" for number in range(3))) == "ok 3"
    assert lan.update("n1", "y=2").endswith("800 bytes of names per node")
    assert lan.update("n1", "y=2", without=f"{'x' * 190}0=1") == "ok 3"
    assert lan.update("n1", f"{'x' * 190}1=1") == "ok 3"  # It has that.


def test_strangers_of_one_host_have_few_places_and_silent_ones_make_room() -> None:
    lan = Lan(max_strangers_per_host=2)
    for node in ("n4", "n5"):
        assert lan.says(node, "a=1") == "ok 1"
    refusal = f"{TOO_MUCH} 2 nodes of one host that are not in its cluster file"
    assert lan.says("n6", "a=1") == refusal
    assert lan.says("n5", "a=1 b=1") == "ok 2"
    assert lan.says("n6", "a=1", host="10.0.0.2") == "ok 1"
    lan.leaves("n4")
    assert lan.says("n7", "a=1") == "ok 1"
    assert lan.strangers() == "n5 n6 n7"
    assert lan.says("n6", "a=1", host="10.0.0.1").startswith("CONFLICT")
    check(lan.tracker._state)


def test_a_stranger_that_moves_needs_a_place_where_it_goes() -> None:
    lan = Lan(max_strangers_per_host=1)
    lan.says("n4", "a=1")
    lan.says("n5", "a=1", host="10.0.0.2")
    lan.leaves("n5", host="10.0.0.2")
    assert lan.says("n5", "a=1").endswith("that are not in its cluster file")
    lan.leaves("n4")
    assert lan.says("n5", "a=1") == "ok 1"
    assert lan.strangers() == "n5"


@pytest.mark.parametrize("hosts", [("127.0.0.1", "127.9.9.9"), ("fd00::1", "fd00::2:3")])
def test_a_network_that_one_machine_can_have_is_one_host(hosts: tuple[str, str]) -> None:
    lan = Lan(max_strangers_per_host=1)
    first, second = (f"[{host}]" if ":" in host else host for host in hosts)
    lan.host = hosts[0]
    assert lan.update("n4", address=at(first)) == "ok 0"
    lan.host = hosts[1]
    assert lan.update("n5", address=at(second)).startswith(TOO_MUCH)


# All of it.


def test_for_a_member_the_longest_silent_strangers_go_first() -> None:
    lan = Lan(max_nodes=12)
    for number in range(4, 16):
        lan.says(f"n{number}", "a=1", host=f"10.0.0.{number}")
    assert lan.says("n16", "b=1", host="10.0.0.16") == f"{TOO_MUCH} 12 nodes"
    for number in (9, 7):
        lan.leaves(f"n{number}", host=f"10.0.0.{number}")
    lan.told()
    assert lan.update("n1", "a=1") == "ok 1"
    assert "n9" not in lan.strangers()
    assert lan.update("n2", "a=1") == "ok 1"
    assert lan.update("n3", "a=1") == "ok 1"
    assert len(lan.tracker._state.members.by_node) <= 12
    pushed_out = [line for line in lan.told() if "its room is needed" in line]
    assert pushed_out[0] == "forgot n15, which is not in the cluster file: its room is needed"
    check(lan.tracker._state)


def test_a_stranger_makes_others_go_only_if_they_are_silent() -> None:
    lan = Lan(max_versions=2)
    lan.says("n4", "a=1 b=1")
    assert lan.says("n5", "c=1", host="10.0.0.2") == f"{TOO_MUCH} 2 versions"
    lan.leaves("n4")
    assert lan.says("n5", "c=1", host="10.0.0.2") == "ok 1"
    assert lan.strangers() == "n5"
    lan.leaves("n5", host="10.0.0.2")
    assert lan.says("n5", "d=1 e=1 f=1", host="10.0.0.2") == f"{TOO_MUCH} 2 versions"


def test_members_are_refused_once_no_stranger_is_left() -> None:
    lan = Lan(max_holdings=2)
    lan.says("n4", "a=1 b=1")
    assert lan.update("n1", "a=1") == "ok 1"
    assert lan.strangers() == ""
    assert lan.update("n2", "a=1 b=1") == f"{TOO_MUCH} 2 holdings"


def test_long_names_of_strangers_make_room_for_members() -> None:
    lan = Lan(max_versions=10, bytes_per_name=100, max_holdings_per_node=100)
    long = [f"{'x' * 200}/{'y' * 200}/{number}" for number in range(3)]
    assert lan.says("n4", f"{long[0]}=1 {long[1]}=1") == "ok 2"
    assert lan.says("n5", f"{long[2]}=1", host="10.0.0.2") == f"{TOO_MUCH} 1000 bytes of names"
    assert lan.update("n1", "a=1 b=1") == "ok 2"
    assert lan.files() == "a=1: n1\nb=1: n1"


def test_what_nobody_holds_goes_first() -> None:
    lan = Lan(max_versions=2)
    lan.says("n4", "a=1 b=1")
    assert lan.update("n1", "c=1", replace=True) == "ok 1"
    lan = Lan(max_versions=3)
    lan.says("n4", "a=1")
    lan.update("n1", "b=1 c=1")
    lan.update("n1", without="b=1 c=1")
    assert lan.update("n2", "d=1 e=1") == "ok 2"
    assert lan.strangers() == "n4"


def test_one_request_forgets_no_more_than_takes_a_moment() -> None:
    """A member is let in all the same; the next requests forget the rest."""
    lan = Lan(max_holdings=4000)
    lan.host = "10.0.0.1"
    for sequence in range(1, 9):
        holdings = tuple(
            Holding(f"{sequence}/{number}", content_id(number), 1) for number in range(500)
        )
        lan.send(Update("n4", at("10.0.0.1"), 1, sequence, holdings))
    lan.host = "127.0.0.1"
    many = tuple(Holding(f"m/{number}", content_id(number), 1) for number in range(500))
    decided = len(lan.changes())
    address = lan.initial.nodes["n1"].address
    assert shown(lan.send(Update("n1", address, 1, 1, many))) == "ok 500"
    assert len(lan.changes()) - decided < 2 * MOST_FORGOTTEN + 1200
    assert lan.tracker._state.catalogue.holding_count <= 4000
    assert lan.update("n2", "a=1") == "ok 1"
    check(lan.tracker._state)


def test_a_host_that_had_too_many_at_the_start_gets_its_share() -> None:
    lan = Lan(max_strangers_per_host=64)
    for number in range(4, 14):
        lan.says(f"n{number}", "a=1")
    lan.leaves("n6")
    lan.settings = TrackerSettings(max_strangers_per_host=3)
    lan.restart()
    assert lan.tracker.deadline == lan.now
    lan.expire()
    assert lan.strangers() == "n4 n5 n7"
    assert lan.tracker.deadline == lan.now + 30
    check(lan.tracker._state)


def test_another_cluster_file_says_who_is_a_stranger() -> None:
    lan = Lan(max_nodes=4)
    for node in ("n4", "n5"):
        lan.says(node, "a=1")
        lan.leaves(node)
    lan.update("n1", "a=1")
    listed = {node: InitialNode(at("10.0.0.1")) for node in ("n4", "n9")}
    lan.initial = Initial(TRACKER_ADDRESS, listed)
    lan.tracker.learn(lan.initial)
    check(lan.tracker._state)
    assert lan.strangers() == "n1 n5"
    lan.wait(86_400)
    lan.expire()
    assert lan.strangers() == "n1"
    lan.wait(86_400)
    lan.expire()
    assert lan.strangers() == ""
    assert "n4" in lan.tracker._state.members.by_node


def test_a_day_of_silence_goes_on_over_restarts() -> None:
    lan = Lan()
    lan.says("n4", "a=1")
    lan.leaves("n4")
    for _ in range(3):
        lan.wait(28_800 - 1)
        lan.restart()
    assert lan.strangers() == "n4"
    lan.wait(3)
    lan.expire()
    assert lan.strangers() == ""
