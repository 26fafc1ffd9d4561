"""What the requests that are out keep from being asked of others: `node:chunk and its twins`."""

import math

from shoal.node.scheduling.requests import Outstanding, Request

from tests.unit.node.things import bits, digits


class Out:
    """Requests that are sent at 0, due at 1 and written off at 3 unless it is said otherwise."""

    def __init__(self, *drawn: str) -> None:
        self.all = Outstanding()
        for text in drawn:
            self.send(text)

    def send(self, text: str, due: float = 1.0, hedges: int | None = None) -> int:
        node, _, chunks = text.partition(":")
        number = sum(1 for _ in self.all) + 1
        request = Request(number, node, int(chunks[0]), 10, 0.0, due, due + 2)
        request.hedges, request.claims = hedges, bits(chunks)
        self.all.add(request)
        return number

    def popped(self, number: int) -> str:
        return digits(self.all.pop(number)[1])

    def turned(self, now: float) -> tuple[list[int], list[int], str]:
        overdue, written_off, freed = self.all.turn(now)
        for request in written_off:
            request.is_written_off = True
        ids = [[one.request_id for one in each] for each in (overdue, written_off)]
        return ids[0], ids[1], digits(freed)


def test_counts_what_is_out_and_not_late() -> None:
    out = Out("n1:01", "n2:23")
    assert (out.all.prompt, out.all.prompt_bytes, out.all.due) == (2, 20, 1.0)
    assert out.turned(1.0) == ([1, 2], [], "0123")
    assert (out.all.prompt, out.all.prompt_bytes, out.all.due) == (0, 0, 3.0)
    assert out.turned(3.0) == ([], [1, 2], "")
    assert out.all.due == math.inf


def test_a_guess_that_is_late_keeps_no_place() -> None:
    """Eight hosts without power kept everybody from finding out who had the last chunks: 60 s."""
    out = Out("n1:01", "n2:23", "n3:4")
    for number in (1, 2):
        request, _ = out.all.pop(number)
        request.is_guess, request.due = True, number
        out.all.add(request)
    assert out.all.guesses == 2
    out.turned(1.0)
    assert out.all.guesses == 1
    out.all.pop(1)
    out.all.pop(2)
    assert out.all.guesses == 0


def test_what_was_sent_before_can_be_due_sooner_or_later() -> None:
    out = Out("n1:01", "n2:23")
    out.all.reconsider(lambda request: 0.5 if request.node == "n1" else 7.0)
    assert [request.due for request in out.all] == [0.5, 7.0]
    assert out.all.due == 0.5
    assert out.turned(0.5) == ([1], [], "01")


def test_its_chunks_are_free_again_when_it_is_answered() -> None:
    out = Out("n1:01", "n2:23")
    assert out.popped(1) == "01"
    assert out.all.get(1) is None
    assert [request.node for request in out.all] == ["n2"]


def test_what_another_was_asked_for_meanwhile_is_not_free() -> None:
    out = Out("n1:01")
    out.turned(1.0)
    out.send("n2:1", due=9.0)
    assert out.popped(1) == "0"


def test_what_one_of_two_at_work_on_it_loses_is_not_free() -> None:
    out = Out("n1:01")
    slow = out.all.get(1)
    assert slow is not None
    slow.is_hedged = True
    out.send("n2:1", hedges=1)
    assert out.popped(2) == ""
    out.send("n3:0", hedges=1)
    assert slow.may_be_hedged
    slow.is_hedged = True
    assert out.popped(1) == "1"
    assert out.popped(2) == "0"


def test_one_that_is_late_leaves_alone_what_others_have() -> None:
    out = Out("n1:01")
    out.send("n2:1", due=9.0, hedges=1)
    assert out.turned(1.0) == ([1], [], "0")
