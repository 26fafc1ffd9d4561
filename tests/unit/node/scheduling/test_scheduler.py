"""Which chunk is asked of whom: drawn as `holder:chunks`, a chunk a digit."""

import msgspec
from shoal.node.scheduling.outstanding import Request
from shoal.node.scheduling.scheduler import Scheduler
from shoal.node.scheduling.settings import FetchSettings
from shoal.protocol import bitmap

from tests.unit.node.things import bits, digits, made_of, rng, thing

SETTINGS = FetchSettings(
    window_bytes=40,
    total_window_bytes=80,
    window_requests=16,
    guesses=4,
    first_patience_s=5,
    least_patience_s=1,
    hedge_latencies=3,
    hedge_least_s=0.25,
    late_pause_s=0.5,
    busy_pause_s=0.1,
    most_busy_pause_s=0.3,
    refresh_s=0.2,
    give_up_s=60,
)


class Fetch:
    """A scheduler, its clock, and the requests that are out."""

    def __init__(
        self,
        holders: str,
        missing: str = "",
        *,
        sizes: list[int] | None = None,
        settings: FetchSettings = SETTINGS,
        letters: str = "",
    ) -> None:
        """`n1:02` has chunks 0 and 2, `n1` all of them, `n1:?` some that are not known yet.

        Chunks are equal if their `letters` are.
        """
        self.now = 0.0
        self.sizes = sizes or [10] * (len(letters) or 10)
        everything = bitmap.full(len(self.sizes))
        have = everything & ~bits(missing) if missing else 0
        self.scheduler = Scheduler(
            made_of(letters) if letters else thing(self.sizes), have, everything, rng(), settings
        )
        self.out: list[Request] = []
        for text in holders.split():
            self.add(text)

    def add(self, text: str) -> None:
        node, _, chunks = text.partition(":")
        self.scheduler.add(node, self.now, complete=not chunks)
        if chunks.strip("?"):
            self.scheduler.learn(node, bits(chunks).to_bytes(2, "little"), self.now)

    def asked(self) -> str:
        """Return what is asked now."""
        requests = self.scheduler.next_requests(self.now)
        self.out += requests
        return drawn(requests)

    def request_to(self, node: str) -> Request:
        """Take the oldest request to `node` off those that are out."""
        request = next(request for request in self.out if request.node == node)
        self.out.remove(request)
        return request

    def deliver(self, node: str, index: int | None = None) -> bool:
        request = self.request_to(node)
        chunk = request.index if index is None else index
        return bool(self.scheduler.received(node, request.request_id, chunk, self.now))

    def has_nothing(self, node: str, have: str) -> None:
        request = self.request_to(node)
        said = bits(have).to_bytes(2, "little")
        self.scheduler.had_nothing(node, request.request_id, said, self.now)

    def hear(self, node: str, have: str) -> bool:
        return self.scheduler.heard(node, bits(have).to_bytes(2, "little"), self.now)

    def wait(self, seconds: float) -> "Fetch":
        self.now += seconds
        return self


def drawn(requests: list[Request]) -> str:
    """Draw requests: the first that each holder gets, in the order of their names."""
    each = (f"{request.node}:{request.index}" for request in requests)
    return " ".join(sorted(each, key=lambda text: text.split(":")[0]))


def asked(holders: str, missing: str, settings: FetchSettings = SETTINGS) -> str:
    return Fetch(holders, missing, settings=settings).asked()


def test_asks_each_holder_for_a_different_chunk() -> None:
    assert asked("n1 n2", missing="01") == "n1:0 n2:1"
    assert asked("n1 n2 n3", missing="0123456789") == "n1:0 n2:1 n3:2"


def test_asks_holders_for_what_they_have() -> None:
    assert asked("n1:0 n2:1", missing="01") == "n1:0 n2:1"
    assert asked("n1:1 n2:0", missing="01") == "n1:1 n2:0"
    assert asked("n1:5 n2:7", missing="012") == ""


def test_asks_nobody_when_nothing_is_missing() -> None:
    fetch = Fetch("n1", missing="4")
    assert fetch.asked() == "n1:4"
    assert fetch.deliver("n1")
    assert (fetch.scheduler.wanted.is_complete, fetch.asked()) == (True, "")
    assert digits(fetch.scheduler.wanted.have) == "0123456789"


def test_asks_one_whose_part_is_not_known_for_anything() -> None:
    assert asked("n1:?", missing="34") == "n1:3"


def test_one_that_had_nothing_is_asked_again_a_moment_later() -> None:
    fetch = Fetch("n1:?", missing="34")
    assert fetch.asked() == "n1:3"
    fetch.has_nothing("n1", have="0")
    assert fetch.asked() == ""
    assert fetch.scheduler.deadline(fetch.now) == 0.2
    assert fetch.wait(0.2).asked() == "n1:3"
    fetch.has_nothing("n1", have="04")
    assert fetch.asked() == "n1:4"


def test_asks_one_first_for_what_it_was_heard_to_have() -> None:
    fetch = Fetch("n1:?", missing="345")
    fetch.hear("n1", "45")
    fetch.scheduler.heard("n9", b"\xff", fetch.now)
    assert fetch.asked() == "n1:4"
    fetch.has_nothing("n1", have="")
    assert fetch.asked() == ""  # Its own word counts, …
    fetch.hear("n1", "5")
    assert fetch.asked() == "n1:5"  # … until something new is heard.


def test_a_stranger_who_takes_its_name_cannot_keep_us_from_asking_it() -> None:
    fetch = Fetch("n1 n2:4", missing="4")
    for node in ("n1", "n2"):
        fetch.scheduler.heard(node, b"\0", fetch.now)
    assert fetch.asked() == "n1:4"
    fetch.scheduler.drop("n1", fetch.now)
    assert fetch.asked() == "n2:4"


def test_gives_a_fast_holder_more() -> None:
    fetch = Fetch("n1 n2")
    assert fetch.asked() == "n1:0 n2:1"
    fetch.wait(0.01).deliver("n1")
    assert fetch.asked() == "n1:2 n1:3"
    fetch.wait(0.01).deliver("n1")
    assert fetch.asked() == "n1:4 n1:5"


def test_asks_again_elsewhere_after_the_deadline() -> None:
    fetch = Fetch("n1 n2", missing="0")
    assert fetch.asked() == "n1:0"
    assert fetch.scheduler.deadline(fetch.now) == 5
    assert fetch.wait(5).asked() == "n2:0"


def test_once_somebody_answers_it_does_not_wait_for_the_others_as_long() -> None:
    fetch = Fetch("n1 n2", missing="01")
    assert fetch.asked() == "n1:0 n2:1"
    fetch.wait(0.1).deliver("n1")
    assert fetch.asked() == ""
    assert fetch.wait(0.9).asked() == "n1:1"


def test_takes_a_late_reply_and_counts_the_second_as_not_needed() -> None:
    fetch = Fetch("n1 n2", missing="0")
    fetch.asked()
    fetch.wait(5).asked()
    assert fetch.deliver("n1")
    assert not fetch.deliver("n2")
    assert fetch.scheduler.wanted.is_complete


def test_asks_the_only_holder_again_when_the_request_is_written_off() -> None:
    fetch = Fetch("n1", missing="01")
    assert fetch.asked() == "n1:0"
    fetch.wait(0.7).deliver("n1")
    assert fetch.asked() == "n1:1"
    assert fetch.scheduler.deadline(fetch.now) == 0.7 + 2.8
    assert fetch.wait(2.8).asked() == ""
    fetch.wait(0.5)
    assert fetch.wait(5).asked() == ""
    assert fetch.wait(0.1).asked() == "n1:1"
    assert fetch.deliver("n1")
    assert not fetch.deliver("n1")


def test_what_a_silent_holder_was_asked_for_does_not_keep_the_others_waiting() -> None:
    """Fault 37: three full windows of holders that stall, and a fourth that would deliver."""
    settings = FetchSettings(window_bytes=40, total_window_bytes=40)
    fetch = Fetch("n1", sizes=[10] * 9, settings=settings)
    for _ in range(3):
        fetch.asked()
        fetch.wait(0.01).deliver("n1")
    assert fetch.asked() != ""
    fetch.add("n2")
    assert fetch.asked() == ""
    assert fetch.wait(1.1).asked() == "n2:3"


def test_leaves_a_busy_holder_alone_for_a_while() -> None:
    fetch = Fetch("n1", missing="0")
    fetch.asked()
    request = fetch.request_to("n1")
    fetch.scheduler.is_busy("n1", 0)
    fetch.scheduler.close("n1", request.request_id, 0)
    assert fetch.asked() == ""
    assert fetch.scheduler.deadline(0) == 0.1
    assert fetch.wait(0.1).asked() == "n1:0"


def test_backs_off_from_a_holder_that_never_sends_what_it_says_it_has() -> None:
    """Otherwise it is asked as fast as it answers, and keeps the chunk from the others."""
    fetch = Fetch("n1 n2", missing="0")
    assert fetch.asked() == "n1:0"
    fetch.has_nothing("n1", have="0123456789")
    assert fetch.asked() == "n2:0"


def test_an_idle_holder_takes_over_from_one_that_is_far_slower() -> None:
    fetch = Fetch("n1 n2", missing="01")
    assert fetch.asked() == "n1:0 n2:1"
    fetch.wait(0.01).deliver("n1")
    assert fetch.asked() == ""
    assert fetch.scheduler.deadline(fetch.now) == 0.25
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
    fetch = Fetch(
        "n1 n2 n3", missing="012", settings=msgspec.structs.replace(SETTINGS, hedge_least_s=2)
    )
    fetch.asked()
    fetch.wait(0.01).deliver("n1")
    fetch.deliver("n2")
    assert fetch.wait(2).asked() == "n1:2"
    assert fetch.wait(1).asked() == "n2:2"


def test_guesses_only_so_often_at_a_time() -> None:
    """Few requests find out who has what nobody is known to have, not as many as there may be."""
    fetch = Fetch("n1:? n2:? n3:? n4:? n5:? n6:?", sizes=[10] * 40)
    requests = fetch.scheduler.next_requests(0)
    assert len(requests) == 4
    fetch.out += requests
    fetch.has_nothing("n1", have="")
    assert fetch.asked()[:3] == "n5:"


def test_only_so_many_are_taken_over() -> None:
    """The last two chunks may always be: hosts waited a second for one that the seed had queued."""
    fetch = Fetch("n1 n2 n3 n4 n5 n6 n7 n8", missing="01234567")
    assert fetch.asked() == "n1:0 n2:1 n3:2 n4:3 n5:4 n6:5 n7:6 n8:7"
    fetch.wait(0.01).deliver("n1")
    fetch.wait(0.9)
    assert fetch.asked() == "n1:1"
    fetch.deliver("n1")
    assert fetch.asked() == ""
    assert fetch.scheduler._asking.hedges.left == 0
    for node in ("n3", "n4", "n5", "n6"):
        fetch.deliver(node)
    assert fetch.asked() == "n1:6"


def test_as_many_are_asked_as_there_are_holders() -> None:
    many = " ".join(f"n{number:02}" for number in range(40))
    settings = FetchSettings(requests=3, most_requests=7)
    for holders, asked in (("n1", 1), ("n1 n2", 2), ("n1 n2 n3 n4 n5", 5), (many, 7)):
        fetch = Fetch(holders, sizes=[10] * 60, settings=settings)
        assert len(fetch.scheduler.next_requests(0)) == asked


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
    """Who is complete says so to nobody: a last chunk would wait for the seed for ever."""
    patient = msgspec.structs.replace(SETTINGS, least_patience_s=5)
    fetch = Fetch("n1:1 n2", missing="01", settings=patient)
    assert fetch.asked() == "n1:1 n2:0"
    fetch.wait(0.1).deliver("n1")
    assert fetch.wait(0.5).asked() == ""
    assert fetch.scheduler.deadline(fetch.now) == 0.8  # Half a second after its word was fresh.
    assert fetch.wait(0.2).asked() == "n1:0"
    fetch.has_nothing("n1", have="1")
    assert fetch.scheduler._asking.hedges.left == 1  # What brought nothing has cost nothing.
    assert fetch.wait(0.7).asked() == ""
    assert fetch.wait(0.2).asked() == "n1:0"


def test_never_asks_for_more_than_may_be_held_in_memory() -> None:
    fetch = Fetch("n1 n2 n3 n4", sizes=[30] * 10)
    assert fetch.asked() == "n1:0 n2:1"
    fetch.wait(0.7).deliver("n1")
    assert fetch.asked() == "n1:2"


def test_a_chunk_larger_than_all_windows_is_asked_for_alone() -> None:
    fetch = Fetch("n1 n2", sizes=[500, 500])
    assert fetch.asked() == "n1:0"
    fetch.deliver("n1")
    assert fetch.asked() == "n1:1"


def test_what_a_dropped_holder_was_asked_for_is_asked_of_the_others() -> None:
    fetch = Fetch("n1", missing="0")
    fetch.asked()
    fetch.add("n2")
    assert fetch.asked() == ""
    fetch.scheduler.drop("n1", fetch.now)
    assert fetch.asked() == "n2:0"
    assert [peer.node for peer in fetch.scheduler._near.in_order] == ["n2"]
    fetch.scheduler.drop("n1", fetch.now)


def test_knows_its_requests_by_holder_and_id() -> None:
    fetch = Fetch("n1 n2", missing="01")
    fetch.asked()
    request = fetch.request_to("n1")
    assert fetch.scheduler.asked_for("n1", request.request_id) == 0
    assert fetch.scheduler.asked_for("n2", request.request_id) is None
    assert fetch.scheduler.asked_for("n1", request.request_id + 1000) is None


def test_says_who_is_silent() -> None:
    fetch = Fetch("n1 n2", missing="01")
    fetch.asked()
    fetch.wait(30).deliver("n2")
    assert fetch.scheduler.silent(59.9) == []
    assert fetch.scheduler.silent(60) == ["n1"]


def test_has_no_deadline_when_nothing_is_out() -> None:
    assert Fetch("", missing="0").scheduler.deadline(0) is None
