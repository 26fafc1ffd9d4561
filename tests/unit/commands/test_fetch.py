"""What a fetch is summed up as."""

import os
from pathlib import Path

import msgspec
import pytest
from shoal.commands import fetch
from shoal.protocol.control import Fetched
from shoal.protocol.errors import (
    HungUpError,
    Kind,
    NobodyAliveError,
    NotFoundError,
    OperatorError,
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
        "seeds.txt: 371 B in 0.50 s (600 B/s) verified, from n2 200 B, n3 100 B, 71 B were here:"
        " /lan/n1/seeds.txt"
    )


def test_the_verdict_says_how_near_it_came_and_why_no_nearer() -> None:
    bound = msgspec.structs.replace(CAME, ratio=0.938, bound_s=0.47, bound_reason="the disk of n1")
    assert fetch._verdict(bound) == "94 % of the best rate seen; bound by: the disk of n1"


def test_what_was_here_is_told_to_be_so() -> None:
    assert fetch._sentence(HERE) == (
        "seeds.txt is already here and whole: 371 B in /lan/n1/seeds.txt"
    )


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


@pytest.mark.parametrize("what", ["seeds.txt", "a/b.bin", CAME.id])
def test_names_and_ids_can_be_asked_for(what: str) -> None:
    fetch.checked_what(what)


@pytest.mark.parametrize(
    ("what", "meant"), [("photos/", "photos"), ("photos/2024//", "photos/2024"), ("a", "a")]
)
def test_a_slash_at_the_end_means_the_directory(what: str, meant: str) -> None:
    assert fetch.checked_what(what) == meant


@pytest.mark.parametrize("what", ["", "/", "..", "/x", "a//b", ".shoal/lock", "b\x1b[31m"])
def test_what_cannot_be_a_name_is_refused_with_a_remedy(what: str) -> None:
    with pytest.raises(OperatorError, match=r"cannot be a name: it .*; `shoal ls`") as refused:
        fetch.checked_what(what)
    assert "\x1b" not in str(refused.value)


def test_an_output_is_a_new_path_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")

    def checked(name: str, *, may_replace: bool) -> Path | None:
        return fetch._checked_output(tmp_path / name, ["a"], may_replace=may_replace)

    for may_replace in (False, True):
        assert checked("new", may_replace=may_replace) == tmp_path / "new"
        for name, words in (
            ("", "exists and is a directory"),
            ("no/where", "is in no directory"),
            ("pipe", "is not a regular file"),
        ):
            with pytest.raises(OperatorError, match=words):
                checked(name, may_replace=may_replace)
    assert checked("file", may_replace=True) == tmp_path / "file"
    with pytest.raises(OperatorError, match=r"already exists; .*--force") as refused:
        checked("file", may_replace=False)
    assert type(refused.value) is OperatorError
    with pytest.raises(OperatorError, match="takes one thing"):
        fetch._checked_output(tmp_path / "new", ["a", "b"], may_replace=True)
    assert fetch._checked_output(None, ["a", "b"], may_replace=False) is None
