"""Of whom the manifest is asked."""

import pytest

from node.inquiry import Inquiry, manifest_in
from node.settings import FetchSettings
from protocol import manifest
from tests.unit.node.things import id_of, rng, thing

SETTINGS = FetchSettings(manifest_patience_s=2)
THING = thing([10, 10])
DATA = manifest.encode(THING)
NODES = ["n1", "n2"]


def an_inquiry() -> Inquiry:
    return Inquiry(rng(), SETTINGS)


def test_asks_one_holder_and_the_next_when_it_takes_long() -> None:
    inquiry = an_inquiry()
    assert inquiry.next_of(NODES, 0) == "n1"
    inquiry.ask("n1", give_up_s=60, now=0)
    assert inquiry.next_of(NODES, 1.9) is None
    assert inquiry.deadline(1.9) == 2
    assert inquiry.next_of(NODES, 2) == "n2"
    inquiry.ask("n2", give_up_s=60, now=2)
    assert inquiry.next_of(NODES, 4) is None


def test_a_slow_manifest_is_waited_for_long_after_another_was_asked() -> None:
    """Losing its sender would begin 1 MiB anew over a slow link, again and again."""
    inquiry = an_inquiry()
    request_id = inquiry.ask("n1", give_up_s=60, now=0)
    inquiry.ask("n2", give_up_s=30, now=2)
    assert inquiry.deadline(4) == 32
    assert inquiry.silent(59) == ["n2"]
    assert inquiry.is_out("n1", request_id)
    assert inquiry.silent(60) == ["n1", "n2"]


def test_the_deadline_always_lies_ahead() -> None:
    inquiry = an_inquiry()
    inquiry.ask("n1", give_up_s=60, now=0)
    assert [inquiry.deadline(now) for now in (0, 2, 59, 60)] == [2, 60, 60, None]


def test_knows_a_request_by_holder_and_id() -> None:
    inquiry = an_inquiry()
    first = inquiry.ask("n1", give_up_s=60, now=0)
    second = inquiry.ask("n2", give_up_s=60, now=0)
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
