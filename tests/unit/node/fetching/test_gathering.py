"""How the replies to chunk requests are judged."""

import pytest
from blake3 import blake3
from shoal.node.fetching import steps
from shoal.node.fetching.gathering import Gathering
from shoal.node.fetching.report import Tally
from shoal.node.fetching.roster import Evidence, Trouble
from shoal.node.fetching.settings import FetchSettings
from shoal.protocol import bitmap
from shoal.protocol.errors import WireCode

from tests.unit.node.things import bits, chunk, digits, id_of, lettered, made_of, rng, thing

SIZES = [10, 10, 10, 4]
THING = thing(SIZES)


class Gatherer:
    """Asks n1 for everything, one chunk after the other."""

    def __init__(self) -> None:
        opening = steps.OpenStaging("a.bin", id_of(THING), THING)
        room = steps.StagingOpened(bits("0"), bits("0123"))
        self.tally = Tally()
        self.evidence = Evidence()
        self.gathering = Gathering(opening, room, rng(), FetchSettings(), self.tally, self.evidence)
        self.gathering.scheduler.add("n1", 0, complete=True)
        (self.request,) = self.requests()

    def requests(self) -> list[steps.RequestChunk]:
        requests = self.gathering.requests(1.0)
        return [request for request in requests if isinstance(request, steps.RequestChunk)]

    def take_in(
        self, index: int, data: bytes, request_id: int | None = None
    ) -> list[steps.Action] | Trouble:
        if request_id is None:
            request_id = self.request.request_id
        digest = blake3(data).digest()
        reply = steps.ChunkReceived("n1", request_id, index, len(data), digest, b"")
        return self.gathering.take_in(reply, 1.0)

    def refuse(self, code: WireCode) -> list[steps.Action] | Trouble:
        reply = steps.RequestRefused("n1", self.request.request_id, code, "no\x07!")
        return self.gathering.take_in(reply, 1.0)


def test_a_request_says_what_is_here_and_for_how_long_it_waits() -> None:
    request = Gatherer().request
    assert (request.node, request.id, request.index) == ("n1", id_of(THING), 1)
    assert request.have == bitmap.to_bytes(bits("0"), 4)
    assert request.patience_ms == 60_000


def test_the_right_chunk_is_stored() -> None:
    gatherer = Gatherer()
    store = steps.StoreChunk("n1", gatherer.request.request_id, 1)
    assert gatherer.take_in(1, chunk(1)) == [store]
    assert gatherer.tally.by_holder == {"n1": 10}
    assert [request.index for request in gatherer.requests()] == [2, 3]


@pytest.mark.parametrize(
    "data",
    [
        b"0123456789",  # fault 30
        chunk(1)[:-1],  # fault 31
        chunk(1) + b"!",  # fault 32
        b"",  # fault 33
        chunk(1, version=2),  # fault 34
        chunk(2),
    ],
)
def test_a_wrong_chunk_is_reported_and_not_asked_for_again(data: bytes) -> None:
    gatherer = Gatherer()
    request_id = gatherer.request.request_id
    report = steps.ReportChunk("n1", request_id, id_of(THING), 1)
    assert gatherer.take_in(1, data) == [report]
    assert gatherer.tally.wrong_chunks == 1
    assert gatherer.tally.fetched_bytes == 0
    assert gatherer.evidence.wrong("n1") == bits("1")
    (following,) = gatherer.requests()  # One at a time, as nothing right has come.
    assert following.index in {2, 3}


def test_a_chunk_that_two_requests_brought_wrong_is_reported_once() -> None:
    gatherer = Gatherer()
    gatherer.evidence.sent_wrong("n1", 1)
    assert gatherer.take_in(1, b"wrong") == []
    assert gatherer.tally.wrong_chunks == 1


@pytest.mark.parametrize("index", [2, 999])
def test_a_chunk_that_was_not_asked_for_is_a_lie(index: int) -> None:  # fault 24
    gatherer = Gatherer()
    trouble = Trouble("sent a chunk that was not requested", lied=True)
    assert gatherer.take_in(index, chunk(2)) == trouble
    assert gatherer.tally.wrong_chunks == 1


def test_a_reply_to_no_request_is_counted_and_dropped() -> None:  # fault 23
    gatherer = Gatherer()
    request_id = gatherer.request.request_id
    assert gatherer.take_in(1, chunk(1), request_id + 1) == []
    assert gatherer.take_in(1, chunk(1)) == [steps.StoreChunk("n1", request_id, 1)]
    assert gatherer.take_in(1, chunk(1), request_id) == []  # fault 40
    assert (gatherer.tally.late_replies, gatherer.tally.duplicate_bytes) == (2, 20)
    assert gatherer.tally.fetched_bytes == 10


def test_one_that_is_busy_is_asked_again_later() -> None:
    gatherer = Gatherer()
    assert gatherer.refuse(WireCode.BUSY) == []
    assert gatherer.requests() == []
    assert gatherer.gathering.scheduler.deadline(1.0) == 1.02


def test_one_that_refuses_is_left() -> None:
    assert Gatherer().refuse(WireCode.GONE) == Trouble(r"refused: no\x07!", refused=True)


def test_one_that_has_nothing_is_no_trouble() -> None:
    gatherer = Gatherer()
    reply = steps.NothingReceived("n1", gatherer.request.request_id, b"\0")
    assert gatherer.gathering.take_in(reply, 1.0) == []
    assert gatherer.gathering.take_in(reply, 1.0) == []
    assert gatherer.tally.late_replies == 1


def test_equal_chunks_are_counted_as_fetched_once() -> None:
    known, tally, settings = made_of("aab"), Tally(), FetchSettings()
    opening, room = steps.OpenStaging("a.bin", id_of(known), known), steps.StagingOpened(0, 7)
    gathering = Gathering(opening, room, rng(), settings, tally, Evidence())
    tally.begin(known.chunk_size, room)
    gathering.scheduler.add("n1", 0, complete=True)
    (request,) = gathering.requests(1.0)
    assert isinstance(request, steps.RequestChunk)
    data = lettered("a")
    reply = steps.ChunkReceived("n1", request.request_id, 0, 10, blake3(data).digest(), b"")
    assert gathering.take_in(reply, 1.0) == [steps.StoreChunk("n1", request.request_id, 0)]
    assert (tally.fetched_bytes, tally.reused_bytes, tally.have_bytes) == (10, 10, 20)
    gathering.scheduler.next_requests(1.0)
    assert digits(gathering.scheduler.wanted.missing) == "2"
