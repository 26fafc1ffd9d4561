"""Of whom the manifest is asked."""

import random

import pytest
from shoal.node.fetching.inquiry import Inquiry, manifest_in
from shoal.node.scheduling.settings import FetchSettings
from shoal.protocol import manifest

from tests.unit.node.things import id_of, rng, thing

SETTINGS = FetchSettings(manifest_first_s=0.5, manifest_patience_s=2)
THING = thing([10, 10])
DATA = manifest.encode(THING)
BOTH = {"n1": 60.0, "n2": 60.0}


def an_inquiry() -> Inquiry:
    return Inquiry(rng(), SETTINGS)


def ask(inquiry: Inquiry, give_up_s: dict[str, float], now: float) -> int:
    (request,) = inquiry.requests(give_up_s, "a.bin", now)
    assert request.what == "a.bin"
    return request.request_id


def asked(inquiry: Inquiry, now: float) -> str:
    return " ".join(request.node for request in inquiry.requests(BOTH, "a.bin", now))


def test_asks_one_holder_and_another_when_it_takes_long() -> None:
    inquiry = an_inquiry()
    first = asked(inquiry, 0)
    assert asked(inquiry, 0.4) == ""
    assert inquiry.deadline(0.4) == 0.5
    assert {first, asked(inquiry, 0.5)} == set(BOTH)
    assert asked(inquiry, 4) == ""


def test_waits_twice_as_long_for_each_up_to_a_limit() -> None:
    """Over a slow link that is full anyway, fifty manifests would take fifty times as long."""
    inquiry = an_inquiry()
    many = {f"n{number}": 60.0 for number in range(50)}
    waits = []
    now = 0.0
    for _ in range(5):
        ask(inquiry, many, now)
        due = inquiry.deadline(now)
        assert due is not None
        waits.append(due - now)
        now = due
    assert waits == [0.5, 1, 2, 2, 2]


def test_those_who_start_together_ask_different_holders() -> None:
    many = {f"n{number:02}": 60.0 for number in range(50)}
    firsts = {
        Inquiry(random.Random(seed), SETTINGS).requests(many, "a.bin", 0)[0].node
        for seed in range(100)
    }
    assert len(firsts) > 30


def test_a_slow_manifest_is_waited_for_long_after_another_was_asked() -> None:
    """Losing its sender would begin 1 MiB anew over a slow link, again and again."""
    inquiry = an_inquiry()
    request_id = ask(inquiry, {"n1": 60}, now=0)
    ask(inquiry, {"n2": 30}, now=2)
    assert inquiry.deadline(4) == 32
    assert inquiry.silent(59) == ["n2"]
    assert inquiry.is_out("n1", request_id)
    assert inquiry.silent(60) == ["n1", "n2"]


def test_the_deadline_always_lies_ahead() -> None:
    inquiry = an_inquiry()
    ask(inquiry, {"n1": 60}, now=0)
    assert [inquiry.deadline(now) for now in (0, 2, 59, 60)] == [0.5, 60, 60, None]


def test_knows_a_request_by_holder_and_id() -> None:
    inquiry = an_inquiry()
    first = ask(inquiry, {"n1": 60}, now=0)
    second = ask(inquiry, {"n2": 60}, now=2)
    assert first != second
    assert inquiry.is_out("n1", first)
    assert not inquiry.is_out("n1", second)
    assert not inquiry.is_out("n3", first)
    inquiry.forget("n1")
    inquiry.forget("n3")
    assert not inquiry.is_out("n1", first)
    inquiry.forget_all()
    assert not inquiry.is_out("n2", second)


def test_takes_the_manifest_that_has_the_id() -> None:
    assert manifest_in(DATA, id_of(THING)) == THING
    assert manifest_in(DATA, None) == THING


def test_refuses_another_manifest() -> None:  # fault 61
    another = id_of(thing([10, 11]))
    assert manifest_in(DATA, another) == "sent another manifest than it was asked for"


@pytest.mark.parametrize("data", [b"", b"\xc1", DATA[:-1], DATA + b"\0", b"\x90" * 5000])
def test_refuses_what_is_no_manifest(data: bytes) -> None:
    wrong = manifest_in(data, None)
    assert isinstance(wrong, str)
    assert wrong.startswith("sent ")


def test_who_would_have_us_ask_others_is_asked_again_after_a_pause_that_doubles() -> None:
    inquiry = an_inquiry()
    waits, may_wait = [], []
    now = 0.0
    for _ in range(5):
        (request,) = inquiry.requests({"n1": 60}, "a.bin", now)
        may_wait.append(request.may_wait)
        inquiry.is_busy("n1", now)
        assert not inquiry.is_out("n1", request.request_id)
        assert inquiry.requests({"n1": 60}, "a.bin", now) == []
        due = inquiry.deadline(now)
        assert due is not None
        waits.append(due - now)
        now = due
    assert waits == [0.5, 1, 2, 2, 2]
    assert may_wait == [True, True, True, False, False]


def test_meanwhile_another_is_asked() -> None:
    inquiry = an_inquiry()
    first = asked(inquiry, 0)
    inquiry.is_busy(first, 0)
    assert {first, asked(inquiry, 0)} == set(BOTH)


def test_a_manifest_that_is_coming_in_is_waited_for() -> None:
    inquiry = an_inquiry()
    ask(inquiry, {"n1": 60}, now=0)
    inquiry.is_sending("n1", 50)
    inquiry.is_sending("n2", 50)
    assert inquiry.silent(109) == []
    assert inquiry.silent(110) == ["n1"]
