"""What a fetch is summed up as."""

import msgspec
import pytest
from shoal.commands import fetch
from shoal.protocol.control import Fetched
from shoal.protocol.errors import (
    HungUpError,
    Kind,
    NobodyAliveError,
    NotFoundError,
    StoppedError,
    TerminatedError,
    TimedOutError,
)

CAME = Fetched(
    name="seeds.txt",
    id="b3:" + 64 * "0",
    size_bytes=371,
    elapsed_s=0.5,
    fetched_bytes=300,
    reused_bytes=71,
    holders={"n2": 200, "n3": 100},
    path="/lan/n1/seeds.txt",
)
HERE = Fetched("seeds.txt", CAME.id, 371, 0.0, 0, 371, {}, CAME.path)


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([None, None], 0),
        ([NotFoundError], 3),
        ([NotFoundError, NobodyAliveError], 3),  # Nothing came: the first reason.
        ([None, NobodyAliveError], 6),
        ([NobodyAliveError, None], 6),
        ([None, StoppedError], 130),  # Whoever ended it knows already that not all came.
        ([NotFoundError, TerminatedError], 143),
        ([HungUpError, None], 129),
        ([None, TimedOutError], 7),
        ([NotFoundError, TimedOutError], 7),
    ],
)
def test_the_exit_code_sums_up_what_came_of_each(outcomes: list[Kind | None], code: int) -> None:
    came = [CAME if kind is None else kind("no") for kind in outcomes]
    assert fetch._exit_code(came) == code


def test_a_fetch_is_told_in_one_sentence() -> None:
    assert fetch._sentence(CAME) == (
        "seeds.txt: 371 B in 0.50 s (600 B/s) verified, from n2 200 B, n3 100 B, 71 B already here:"
        " /lan/n1/seeds.txt"
    )


def test_the_verdict_says_how_near_it_came_and_why_no_nearer() -> None:
    bound = msgspec.structs.replace(CAME, ratio=0.938, bound_s=0.47, bound_reason="the disk of n1")
    assert fetch._verdict(bound) == "94 % of the best rate seen; bound by: the disk of n1"


def test_what_was_here_is_told_to_be_so() -> None:
    assert fetch._sentence(HERE) == ("seeds.txt is already here: 371 B in /lan/n1/seeds.txt")


def test_a_document_has_the_promised_keys_and_no_tag() -> None:
    document = fetch._document(CAME)
    assert isinstance(document, dict)
    assert list(document)[:8] == [
        "name",
        "id",
        "size_bytes",
        "elapsed_s",
        "fetched_bytes",
        "reused_bytes",
        "holders",
        "path",
    ]
    assert "type" not in document
