"""What is proven of holders, and what is said of it."""

import pytest
from shoal.node.fetching.evidence import Evidence
from shoal.node.scheduling.settings import FetchSettings

from tests.unit.node.things import bits


def proven(**wrong: str) -> Evidence:
    evidence = Evidence(FetchSettings(wrong_chunks=3))
    for node, chunks in wrong.items():
        for index in map(int, chunks):
            assert evidence.sent_wrong(node, index)
    return evidence


def test_each_wrong_chunk_is_news_once() -> None:
    evidence = proven(n1="3")
    assert evidence
    assert not proven()
    assert not evidence.sent_wrong("n1", 3)
    assert (evidence.wrong("n1"), evidence.wrong("n2")) == (bits("3"), 0)


@pytest.mark.parametrize(
    ("wrong", "right", "is_liar"),
    [("12", 0, False), ("123", 0, True), ("123", 2, True), ("123", 3, False), ("1234", 3, True)],
)
def test_a_liar_sends_several_wrong_and_fewer_right(wrong: str, right: int, is_liar: bool) -> None:  # noqa: FBT001
    evidence = proven(n1=wrong)
    for _ in range(right):
        evidence.sent_right("n1")
    assert evidence.is_liar("n1") is is_liar


def test_knows_what_all_of_some_sent_wrong() -> None:
    evidence = proven(n1="123", n2="234")
    assert evidence.wrong_at_all(["n1", "n2"]) == bits("23")
    assert evidence.wrong_at_all(["n1", "n2", "n3"]) == 0
    assert evidence.wrong_at_all([]) == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("", ""),
        ("0", "sent wrong bytes of chunk 1"),
        ("04", "sent wrong bytes of chunks 1 and 5"),
        ("048", "sent wrong bytes of chunks 1, 5 and 9"),
        ("0245", "sent wrong bytes of chunks 1, 3, 5 and 1 more"),
        ("024678", "sent wrong bytes of chunks 1, 3, 5 and 3 more"),
    ],
)
def test_says_which_chunks_counted_from_one(wrong: str, said: str) -> None:
    assert proven(n1=wrong).phrase("n1") == said
