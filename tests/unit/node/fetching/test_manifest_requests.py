"""Which holders are asked for the manifest."""

import random

import pytest
from shoal.node.fetching.manifest_requests import ManifestRequests, manifest_in
from shoal.protocol import manifest

from tests.unit.node.things import id_of, rng, thing

THING = thing([10, 10])
DATA = manifest.encode(THING)
BOTH = {"n1": 60.0, "n2": 60.0}


def nobody_asked() -> ManifestRequests:
    return ManifestRequests(rng())


def ask(requests: ManifestRequests, give_up_s: dict[str, float], now: float) -> int:
    (request,) = requests.next(give_up_s, "a.bin", now)
    assert request.what == "a.bin"
    return request.request_id


def asked(requests: ManifestRequests, now: float) -> str:
    return " ".join(request.node for request in requests.next(BOTH, "a.bin", now))


def test_asks_one_holder_and_another_when_it_takes_long() -> None:
    requests = nobody_asked()
    first = asked(requests, 0)
    assert asked(requests, 0.09) == ""
    assert requests.deadline(0.09) == 0.1
    assert {first, asked(requests, 0.1)} == set(BOTH)
    assert asked(requests, 4) == ""


def test_waits_twice_as_long_for_each_up_to_a_limit() -> None:
    """Over a slow link that is full anyway, fifty manifests would take fifty times as long."""
    requests = nobody_asked()
    many = {f"n{number}": 60.0 for number in range(50)}
    waits = []
    now = 0.0
    for _ in range(7):
        ask(requests, many, now)
        due = requests.deadline(now)
        assert due is not None
        waits.append(due - now)
        now = due
    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 2, 2])


def test_those_who_start_together_ask_different_holders() -> None:
    many = {f"n{number:02}": 60.0 for number in range(50)}
    firsts = {
        ManifestRequests(random.Random(seed)).next(many, "a.bin", 0)[0].node for seed in range(100)
    }
    assert len(firsts) > 30


def test_a_slow_manifest_is_waited_for_long_after_another_was_asked() -> None:
    """Losing its sender would begin 1 MiB anew over a slow link, again and again."""
    requests = nobody_asked()
    request_id = ask(requests, {"n1": 60}, now=0)
    ask(requests, {"n2": 30}, now=2)
    assert requests.deadline(4) == 32
    assert requests.silent(59) == ["n2"]
    assert requests.is_out("n1", request_id)
    assert requests.silent(60) == ["n1", "n2"]


def test_the_deadline_always_lies_ahead() -> None:
    requests = nobody_asked()
    ask(requests, {"n1": 60}, now=0)
    assert [requests.deadline(now) for now in (0, 2, 59, 60)] == [0.1, 60, 60, None]


def test_knows_a_request_by_holder_and_id() -> None:
    requests = nobody_asked()
    first = ask(requests, {"n1": 60}, now=0)
    second = ask(requests, {"n2": 60}, now=2)
    assert first != second
    assert requests.is_out("n1", first)
    assert not requests.is_out("n1", second)
    assert not requests.is_out("n3", first)
    requests.forget("n1")
    requests.forget("n3")
    assert not requests.is_out("n1", first)
    requests.forget_all()
    assert not requests.is_out("n2", second)


def test_takes_the_manifest_that_has_the_id() -> None:
    assert manifest_in(DATA, id_of(THING)) == THING
    assert manifest_in(DATA, None) == THING


def test_refuses_another_manifest() -> None:
    another = id_of(thing([10, 11]))
    assert manifest_in(DATA, another) == "sent a different manifest"


@pytest.mark.parametrize("data", [b"", b"\xc1", DATA[:-1], DATA + b"\0", b"\x90" * 5000])
def test_refuses_what_is_no_manifest(data: bytes) -> None:
    wrong = manifest_in(data, None)
    assert isinstance(wrong, str)
    assert wrong.startswith("sent ")


def test_who_would_have_us_ask_others_is_asked_again_after_a_pause_that_doubles() -> None:
    requests = nobody_asked()
    waits, may_wait = [], []
    now = 0.0
    for _ in range(5):
        (request,) = requests.next({"n1": 60}, "a.bin", now)
        may_wait.append(request.may_wait)
        requests.is_busy("n1", now)
        assert not requests.is_out("n1", request.request_id)
        assert requests.next({"n1": 60}, "a.bin", now) == []
        due = requests.deadline(now)
        assert due is not None
        waits.append(due - now)
        now = due
    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6])
    assert may_wait == [True, True, True, False, False]


def test_meanwhile_another_is_asked() -> None:
    requests = nobody_asked()
    first = asked(requests, 0)
    requests.is_busy(first, 0)
    assert {first, asked(requests, 0)} == set(BOTH)


def test_a_manifest_that_is_coming_in_is_waited_for() -> None:
    requests = nobody_asked()
    ask(requests, {"n1": 60}, now=0)
    requests.is_sending("n1", 50)
    requests.is_sending("n2", 50)
    assert requests.silent(109) == []
    assert requests.silent(110) == ["n1"]


def test_the_ids_of_requests_cannot_be_guessed() -> None:
    """A reply with a guessed id would be taken for the one asked for."""
    firsts = [
        ManifestRequests(random.Random(seed)).next({"n1": 1.0}, "a", 0.0) for seed in range(100)
    ]
    ids = {request.request_id for (request,) in firsts}
    assert len(ids) == 100
    assert max(ids) > 1 << 47
