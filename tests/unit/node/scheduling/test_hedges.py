"""What an idle holder may take over from a slow one, and how often."""

from shoal.node.scheduling.hedges import SILENT_S, Hedges
from shoal.node.scheduling.holders import LONG_BYTES, Peer
from shoal.node.scheduling.neighbours import Neighbours
from shoal.node.scheduling.requests import Outstanding, Request

from tests.unit.node.scheduling.scene import Fetch, drawn
from tests.unit.node.things import bits

ALL = bits("0123456789")


class Scene:
    """Some holders, and what they are asked for since when."""

    def __init__(self) -> None:
        self.near = Neighbours()
        self.out = Outstanding()

    def add(self, node: str, have: str | None = None, latency_s: float | None = None) -> None:
        peer = Peer(node, ALL if have is None else None, 0, distance=len(self.near))
        self.near.add(peer)
        if latency_s is not None:
            self.ask(node, "9", sent_at=-latency_s)
            request, _ = self.out.pop(len(self.near))
            peer.delivered(request, 10, 0)
            peer.closed(request, 0)
        if have is not None:
            self.near.learn(node, bits(have), 0, is_whole=False)

    def ask(self, node: str, chunk: str, sent_at: float = 0) -> Request:
        request_id = int(node[1:]) if sent_at < 0 else 100 + len(list(self.out))
        request = Request(request_id, node, int(chunk), 10, sent_at, 100, 300)
        self.out.add(request)
        self.near[node].sent(request)
        return request

    def chances(self, missing: str, count: int = 10, left: int = 1) -> str:
        """Draw who may take over which chunk from whom, and when."""
        hedges = Hedges(count)
        hedges.left = min(left, hedges.left)
        found = hedges.chances(self.near, self.out, bits(missing))
        return " ".join(
            f"{one.peer.node}:{one.slow.index}<{one.slow.node}@{one.at:g}" for one in found
        )


def test_an_idle_holder_takes_over_the_oldest_it_has_something_of() -> None:
    scene = Scene()
    scene.add("n1", latency_s=0.5)
    scene.add("n2")
    scene.add("n3")
    scene.ask("n2", "1", sent_at=1)
    scene.ask("n3", "3", sent_at=2)
    assert scene.chances("1234") == "n1:1<n2@2"
    assert scene.chances("34") == "n1:3<n3@3"
    assert scene.chances("5") == ""


def test_takes_over_nothing_that_a_third_has_taken_over_or_that_is_overdue() -> None:
    scene = Scene()
    scene.add("n1", latency_s=0.01)
    scene.add("n2")
    slow = scene.ask("n2", "1")
    assert scene.chances("1") == "n1:1<n2@0.15"
    slow.is_hedged = True
    assert scene.chances("1") == ""
    slow.is_hedged, slow.is_overdue = False, True
    assert scene.chances("1") == ""


def test_one_that_is_not_known_to_have_it_comes_last_and_later() -> None:
    scene = Scene()
    scene.add("n1", have="3")
    scene.add("n2", have="1", latency_s=0.01)
    scene.add("n3")
    scene.ask("n3", "1", sent_at=5)
    assert scene.chances("1") == "n2:1<n3@5.15 n1:1<n3@5.5"


def test_takes_over_only_what_is_far_slower_than_itself() -> None:
    scene = Scene()
    scene.add("n1")
    scene.add("n2", have="0")
    scene.ask("n2", "0", sent_at=100)
    assert scene.chances("0") == "n1:0<n2@inf"
    for latency_s, at in ((0.01, 100.15), (2, 104)):
        scene.near["n1"].latency_s = latency_s
        assert scene.chances("0") == f"n1:0<n2@{at:g}"


def test_takes_over_what_it_may_have_later_than_what_it_has() -> None:
    scene = Scene()
    scene.add("n1", have="1")
    scene.add("n2", have="0")
    scene.ask("n2", "0", sent_at=100)
    assert scene.chances("0") == "n1:0<n2@100.5"
    scene.near["n1"].latency_s = 0.4
    assert scene.chances("0") == "n1:0<n2@101.6"
    scene.near.learn("n1", bits("12"), 101, is_whole=False)
    assert scene.chances("0") == "n1:0<n2@102.62"


def test_of_the_last_of_many_chunks_what_it_may_have_is_as_good_as_what_it_has() -> None:
    """Complete nodes tell nobody: one of 1,000 hosts waited 0.5 s for one chunk."""
    scene = Scene()
    scene.add("n1", have="1")
    scene.add("n2", have="0")
    scene.ask("n2", "0", sent_at=100)
    for missing in ("0", "06"):
        assert scene.chances(missing, count=400) == "n1:0<n2@100.15"
    assert scene.chances("067", count=400) == scene.chances("0", count=399) == "n1:0<n2@100.5"
    scene.near["n1"].latency_s = 0.4
    scene.near.learn("n1", bits("12"), 101, is_whole=False)
    assert scene.chances("0", count=400) == "n1:0<n2@101.82"


def test_one_that_owes_an_answer_takes_nothing_over() -> None:
    """Hosts without power took the last chunk from each other, for half a second each."""
    scene = Scene()
    scene.add("n1", latency_s=0.01)
    scene.add("n2", have="3")
    scene.add("n3", have="3")
    for node in ("n1", "n2"):
        scene.near[node].write_off(scene.ask(node, "8"))
    scene.ask("n3", "1", sent_at=5)
    assert scene.chances("1") == ""


def test_what_was_not_sent_has_cost_nothing() -> None:
    hedges = Hedges(1000)
    assert (hedges.left, Hedges(3).left) == (20, 1)
    request = Request(1, "n1", 0, 10, 0, 5, 15)
    hedges.came_back(request)
    assert hedges.left == 20
    request.hedges = 7
    hedges.came_back(request)
    assert hedges.left == 21


def test_the_last_chunks_may_always_be_taken_over() -> None:
    hedges = Hedges(10)
    assert hedges.may_be(bits("0123"))
    hedges.left = 0
    assert [hedges.may_be(bits(missing)) for missing in ("1", "12", "123")] == [True, True, False]


def test_one_that_may_have_it_by_now_does_not_take_over_what_it_sent_wrong() -> None:
    scene = Scene()
    scene.add("n1", have="1")
    scene.add("n2", have="0")
    scene.ask("n2", "2")
    assert scene.chances("2") == "n1:2<n2@0.52"
    scene.near["n1"].sent_wrong(bits("2"))
    assert scene.chances("2") == ""


def test_takes_over_nothing_before_our_own_link_could_have_brought_it() -> None:
    """A host of 64 kbit/s had a quarter of a file twice: it took its own link for slow holders."""
    scene = Scene()
    scene.add("n1", latency_s=0.01)
    scene.add("n2")
    scene.near.pace.delivered(LONG_BYTES, 16.0)
    slow = scene.ask("n2", "1")
    slow.ahead_bytes = 4 * LONG_BYTES
    assert scene.chances("1") == "n1:1<n2@64"


# As the scheduler uses them.


def test_an_idle_holder_takes_over_from_one_that_is_far_slower() -> None:
    fetch = Fetch("n1 n2", missing="01")
    assert fetch.asked() == "n1:0 n2:1"
    fetch.wait(0.01).deliver("n1")
    assert fetch.asked() == ""
    assert fetch.scheduler.deadline(fetch.now) == 0.15
    assert fetch.wait(0.25).asked() == "n1:1"
    assert fetch.deliver("n1")
    assert not fetch.deliver("n2")


def test_another_takes_over_when_the_second_is_slow_too() -> None:
    fetch = Fetch("n1 n2 n3", missing="012")
    assert fetch.asked() == "n1:0 n2:1 n3:2"
    fetch.wait(0.01).deliver("n1")
    fetch.deliver("n2")
    assert fetch.wait(0.3).asked() == "n1:2"
    assert fetch.wait(0.1).asked() == ""
    assert fetch.wait(0.2).asked() == "n2:2"


def test_another_takes_over_when_the_second_is_overdue() -> None:
    fetch = Fetch("n1 n2 n3", missing="012")
    fetch.asked()
    fetch.wait(0.01).deliver("n1")
    fetch.deliver("n2")
    assert fetch.wait(2).asked() == "n1:2"
    assert fetch.wait(1).asked() == "n2:2"


def test_only_so_many_are_taken_over() -> None:
    """The last two chunks may always be: hosts waited a second for one that the seed had queued."""
    fetch = Fetch("n1 n2 n3 n4 n5 n6 n7 n8", missing="01234567")
    assert fetch.asked() == "n1:0 n2:1 n3:2 n4:3 n5:4 n6:5 n7:6 n8:7"
    fetch.wait(0.01).deliver("n1")
    fetch.wait(0.9)
    for number in range(2, 9):
        fetch.scheduler.is_sending(f"n{number}", fetch.now)
    assert fetch.asked() == "n1:1"
    fetch.deliver("n1")
    assert fetch.asked() == ""
    assert fetch.scheduler._hedges.left == 0
    for node in ("n3", "n4", "n5", "n6"):
        fetch.deliver(node)
    assert fetch.asked() == "n1:6"


def test_all_that_a_silent_holder_was_asked_for_is_taken_over() -> None:
    """Of two holders one was stopped: for 1.4 s nothing came, although the other was idle."""
    fetch = Fetch("n1 n2", missing="0123456789", window_bytes=1000)
    fetch.asked()
    for _ in range(4):
        fetch.wait(0.01).deliver("n2")
        fetch.asked()
    fetch.deliver("n1")
    assert drawn(fetch.out) == "n2:5 n2:6 n2:7 n2:8 n2:9"
    assert fetch.wait(0.15).asked() == "n1:5"  # As it is slow.
    fetch.deliver("n1")
    assert fetch.asked() == ""
    assert fetch.scheduler.deadline(fetch.now) == 0.04 + SILENT_S
    fetch.wait(SILENT_S - 0.15)
    assert [(fetch.asked(), fetch.deliver("n1")) for _ in range(4)] == [
        (f"n1:{index}", True) for index in range(6, 10)
    ]


def test_a_holder_is_silent_when_it_keeps_still_for_longer_than_usual() -> None:
    scene = Scene()
    scene.add("n1", latency_s=0.01)
    scene.add("n2", latency_s=3)
    scene.add("n3", latency_s=0.01)
    for node, chunk in (("n2", "1"), ("n3", "3"), ("n2", "4"), ("n2", "5")):
        scene.ask(node, chunk)
    assert scene.chances("1345", left=0) == "n1:3<n3@0.5"
    assert scene.chances("145", left=0) == "n1:1<n2@4"  # 3 s for three replies, four times that.
    scene.near["n2"].is_sending(3)
    assert scene.chances("145", left=0) == "n1:1<n2@7"
    assert scene.chances("145") == "n1:1<n2@0.15"


def test_does_not_take_over_what_there_is_no_memory_for() -> None:
    fetch = Fetch("n1 n2", sizes=[30, 50])
    assert fetch.asked() == "n1:0 n2:1"
    fetch.wait(0.01).deliver("n1")
    assert fetch.wait(0.9).asked() == ""


def test_another_takes_over_when_the_first_to_do_so_is_lost() -> None:
    fetch = Fetch("n1 n2 n3", missing="012")
    fetch.asked()
    fetch.wait(0.01).deliver("n1")
    fetch.deliver("n2")
    assert fetch.wait(0.3).asked() == "n1:2"
    fetch.scheduler.drop("n1", fetch.now)
    assert fetch.asked() == "n2:2"


def test_takes_over_what_it_has_not_said_to_have_only_after_long() -> None:
    """A node that becomes complete tells nobody: the last chunk would wait for the seed."""
    fetch = Fetch("n1:1 n2", missing="01")
    assert fetch.asked() == "n1:1 n2:0"
    fetch.wait(0.1).deliver("n1")
    assert fetch.wait(0.4).asked() == ""
    assert fetch.scheduler.deadline(fetch.now) == 0.52  # Half a second after its word was fresh.
    assert fetch.wait(0.02).asked() == "n1:0"
    fetch.has_nothing("n1", have="1")
    assert fetch.scheduler._hedges.left == 1  # What brought nothing has cost nothing.
