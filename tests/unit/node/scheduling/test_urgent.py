"""What comes first while somebody reads: drawn as `holder:chunk`."""

from shoal.node.scheduling.scheduler import MOST_REQUESTS

from tests.unit.node.scheduling.scene import Fetch
from tests.unit.node.things import digits


def proven(fetch: Fetch, **latencies_s: float) -> Fetch:
    """Have each of the holders deliver a chunk, after so long."""
    fetch.asked()
    began = fetch.now
    for node, latency_s in sorted(latencies_s.items(), key=lambda one: one[1]):
        fetch.wait(began + latency_s - fetch.now).deliver(node)
    return fetch


def test_what_is_read_is_requested_before_everything_else() -> None:
    fetch = Fetch("n1 n2")
    fetch.scheduler.urge([(7, 9)])
    assert fetch.asked() == "n1:7 n2:8"
    fetch.wait(0.01).deliver("n1")
    assert fetch.asked() == "n1:0 n1:1"


def test_in_a_swarm_too_where_the_order_is_random_otherwise() -> None:
    fetch = Fetch("n1:0123456789 n2:? n3:0123456789")
    fetch.scheduler.urge([(4, 6)])
    assert {"n1:4", "n3:5"} < set(fetch.asked().split())
    assert digits(fetch.scheduler.wanted.urgent) == "45"


def test_guesses_what_is_read_first() -> None:
    fetch = Fetch("n1:?")
    fetch.scheduler.urge([(8, 10)])
    assert fetch.asked() == "n1:8"


def test_of_several_readers_each_gets_what_it_reads_now_before_what_comes_later() -> None:
    fetch = Fetch("n1 n2 n3 n4")
    fetch.scheduler.urge([(0, 3), (6, 9)])
    assert fetch.asked() == "n1:0 n2:6 n3:1 n4:7"
    assert digits(fetch.scheduler.wanted.awaited) == "06"


def test_a_later_word_takes_the_place_of_an_earlier_one() -> None:
    fetch = Fetch("n1")
    fetch.scheduler.urge([(7, 9)])
    fetch.scheduler.urge([(5, 6)])
    assert fetch.asked() == "n1:5"
    fetch.deliver("n1")
    fetch.scheduler.urge([])
    assert fetch.asked() == "n1:0 n1:1"
    assert fetch.scheduler.wanted.urgent == fetch.scheduler.wanted.awaited == 0


def test_nothing_is_requested_that_is_here_or_comes_already() -> None:
    fetch = Fetch("n1 n2", missing="01234")
    assert fetch.asked() == "n1:0 n2:1"
    fetch.scheduler.urge([(0, 2), (7, 10)])
    assert fetch.asked() == ""


def test_the_quickest_holder_is_asked_for_it() -> None:
    fetch = proven(Fetch("n1 n2"), n1=0.5, n2=0.01)
    fetch.scheduler.urge([(9, 10)])
    assert "n2:9" in fetch.asked()


def test_a_quick_one_gets_so_much_that_a_slow_one_would_be_sooner() -> None:
    fetch = proven(Fetch("n1 n2", sizes=[10] * 40, window_bytes=1000), n1=0.02, n2=0.03)
    fetch.scheduler.urge([(20, 24)])
    urgent = [one for one in fetch.asked().split() if int(one[3:]) >= 20]
    assert urgent == ["n1:20", "n1:22", "n2:21", "n2:23"]


def test_a_few_requests_for_it_go_beyond_the_usual_number() -> None:
    quick = [f"n{number}" for number in range(1, 7)]
    fetch = Fetch(" ".join(quick), sizes=[10] * 90, window_bytes=10_000)
    proven(fetch, **dict.fromkeys(quick, 0.01))
    for number in range(7, 25):
        fetch.add(f"n{number}")
    fetch.asked()
    assert fetch.scheduler.out.prompt == MOST_REQUESTS
    fetch.scheduler.urge([(60, 80)])
    assert fetch.asked() == "n1:60 n2:61 n3:62 n4:63"
    assert fetch.asked() == ""


def test_the_memory_for_replies_is_bounded_for_it_too() -> None:
    fetch = proven(Fetch("n1", window_bytes=20), n1=0.01)
    assert fetch.asked() == "n1:1 n1:2"
    fetch.scheduler.urge([(8, 10)])
    assert fetch.asked() == ""


def slow_and_idle() -> Fetch:
    """Return a fetch that waits for a chunk of n1, while n2 has been quick."""
    fetch = proven(Fetch("n1", sizes=[10] * 60, window_bytes=60), n1=0.01)
    fetch.scheduler.urge([(8, 9)])
    assert "n1:8" in fetch.asked()
    fetch.add("n2")
    fetch.wait(0.01)
    assert fetch.asked() != ""
    fetch.deliver("n2")
    return fetch


def test_what_somebody_waits_for_is_requested_once_more_when_it_takes_long() -> None:
    """Though there are other chunks to request: at the end of a fetch all would be treated so."""
    fetch = slow_and_idle()
    for _ in range(3):
        assert "n2:8" not in fetch.asked()
        fetch.wait(0.05).deliver("n2")
    assert "n2:8" in fetch.asked()
    assert fetch.scheduler.out.retries == 1
    assert "8" not in fetch.wait(0.3).asked()


def test_what_is_only_read_ahead_is_not_requested_twice() -> None:
    fetch = slow_and_idle()
    fetch.scheduler.urge([(7, 9)])
    assert "n2:7" in fetch.asked()
    assert "n2:8" not in fetch.wait(0.4).asked()
