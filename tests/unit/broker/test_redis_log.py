"""How the shared log is written down: what an earlier release wrote must be read for ever."""

import zlib

import msgpack  # type: ignore[import-untyped]  # It ships no stubs.
import pytest
from shoal.broker import redis_log
from shoal.broker.redis_log import Keys, Place
from shoal.broker.stores import NotSavedError
from shoal.broker.tracking.changes import (
    Change,
    Disowned,
    Dropped,
    Entrusted,
    Forgotten,
    Gone,
    Held,
    Published,
    Renewed,
    Seen,
    Unwished,
    Wished,
    Withdrawn,
)

ID = "b3:" + "1" * 64
FORMAT_1: dict[Change, dict[str, object]] = {
    Seen("n1", "tcp://a:1", 2, 3): {
        "change": "seen",
        "node": "n1",
        "address": "tcp://a:1",
        "epoch": 2,
        "sequence": 3,
        "replaces": False,
        "is_part": False,
    },
    Entrusted("n1", "7c0f"): {"change": "entrusted", "node": "n1", "tokens": "7c0f"},
    Gone("n1", left=True, silent_s=4): {
        "change": "gone",
        "node": "n1",
        "left": True,
        "silent_s": 4,
    },
    Forgotten("n1"): {"change": "forgotten", "node": "n1"},
    Published("a", ID, 5, 6, "n1", 7, is_first_hand=False, is_claim=True, is_refused=True): {
        "change": "published",
        "name": "a",
        "id": ID,
        "size_bytes": 5,
        "number": 6,
        "publisher": "n1",
        "age_s": 7,
        "is_first_hand": False,
        "is_claim": True,
        "is_refused": True,
    },
    Dropped("a", ID): {"change": "dropped", "name": "a", "id": ID},
    Held("a", ID, "n1", complete=False): {
        "change": "held",
        "name": "a",
        "id": ID,
        "node": "n1",
        "complete": False,
    },
    Withdrawn("a", ID, "n1"): {"change": "withdrawn", "name": "a", "id": ID, "node": "n1"},
    Disowned("a", "n1"): {"change": "disowned", "name": "a", "node": "n1"},
    Wished("a", ID, 5, ("n1",), ("z",), 6): {
        "change": "wished",
        "name": "a",
        "id": ID,
        "size_bytes": 5,
        "nodes": ["n1"],
        "zones": ["z"],
        "age_s": 6,
        "again": 0,
    },
    Unwished("a", 7): {"change": "unwished", "name": "a", "age_s": 7, "again": 0},
}


def test_entries_of_the_first_format_are_read() -> None:
    changes = msgpack.packb(list(FORMAT_1.values()))
    fields = [b"f", b"1", b"t", b"x", b"n", b"9", b"c", changes]
    (entry,) = redis_log.entries_in([[b"7-0", fields]], Place())
    assert (entry.id, entry.tracker, entry.number) == ("7-0", "x", 9)
    assert entry.changes == list(FORMAT_1)


def test_what_is_written_is_read_by_those_of_the_same_format() -> None:
    """A field that is added needs a default; anything else needs another format."""
    *_, changes = redis_log.addition(Keys("shoal"), redis_log.piece("x", 1, list(FORMAT_1)))
    assert msgpack.unpackb(changes) == list(FORMAT_1.values())
    *_, renewed = redis_log.announcement(Keys("shoal"), "x", [Renewed("n1", wants=8)])
    assert msgpack.unpackb(renewed) == [
        {"change": "renewed", "node": "n1", "doing": None, "wants": 8}
    ]


# Lists in lists, as often as no decoder follows them, in the place of a field that nobody knows.
DEEP = b"\x91\x81\xa1x" + 100_000 * b"\x91" + b"\xc0"
NO_TEXT = b"\x91\x82\xa6change\xa4seen\xa4node\xa1\xff"


@pytest.mark.parametrize("body", [DEEP, NO_TEXT], ids=["deep", "no text"])
def test_what_nobody_can_read_is_no_entry_and_no_chunk(body: bytes) -> None:
    fields = [b"f", b"1", b"t", b"x", b"n", b"9", b"c", body, b"r", body]
    (entry,) = redis_log.entries_in([[b"7-0", fields]], Place())
    assert entry.changes == ()
    assert redis_log.renewed_in([[b"7-0", fields]], "another") == []
    with pytest.raises(NotSavedError):
        redis_log.unpacked(zlib.compress(body))


def test_a_chunk_that_unpacks_to_far_too_much_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault 29: the decoder does not even see it."""
    chunk = redis_log.packed(list(FORMAT_1))
    assert redis_log.unpacked(chunk) == list(FORMAT_1)
    monkeypatch.setattr(redis_log, "MAX_CHUNK_BYTES", 100)
    for wrong in (chunk, zlib.compress(bytes(101)), redis_log.packed([])[:-1]):
        with pytest.raises(NotSavedError, match="not whole, or too long"):
            redis_log.unpacked(wrong)
