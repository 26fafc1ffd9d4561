"""Who may send what."""

import typing

import pytest
from shoal.protocol import messages, permits, pushing
from shoal.protocol.message import Message
from shoal.protocol.permits import Role, Who

ID = "b3:" + "0" * 64
ADDRESS = "tcp://192.168.1.10:11001"
ASKS: list[Message] = [
    messages.Query("a"),
    messages.List(),
    messages.Status(),
    messages.ManifestRequest("a"),
    messages.StateRequest("a"),
    pushing.Pushes(),
    pushing.Verdicts("a"),
]


def of(node: str) -> list[Message]:
    """Return the requests in which a node is named."""
    return [
        messages.Query("a", node),
        messages.ChunkRequest(ID, 0, node),
        messages.WrongChunk(ID, 0, node),
    ]


def by(node: str) -> list[Message]:
    """Return what a node says of itself."""
    return [
        messages.Update(node, ADDRESS, 1, 1),
        messages.Renew(node, 1, 0),
        messages.Leave(node, 1),
        pushing.Wishes(node),
    ]


ALLOW = pushing.Allow("a", "n1")
COMMANDS: list[Message] = [ALLOW, pushing.Push("a", ID, 1), pushing.Unpush("a")]
NODE, READER, ADMIN = (Who(role.value, role) for role in (Role.NODE, Role.READER, Role.ADMIN))


@pytest.mark.parametrize("who", [NODE, READER, ADMIN])
def test_everybody_fetches_and_lists_under_their_own_name(who: Who) -> None:
    for request in [*ASKS, *of(who.name)]:
        assert permits.refusal(who, request) is None


@pytest.mark.parametrize("who", [NODE, READER])
def test_nobody_fetches_in_another_s_name(who: Who) -> None:
    for request in of("n1"):
        expected = f"this is the key of {who.name}, which may not speak for n1"
        assert permits.refusal(who, request) == expected


def test_a_node_speaks_for_itself_alone() -> None:
    assert [permits.refusal(NODE, request) for request in by("node")] == [None] * 4
    for request in by("n1"):
        assert (
            permits.refusal(NODE, request) == "this is the key of node, which may not speak for n1"
        )


def test_a_reader_holds_nothing() -> None:
    for request in by("reader"):
        kind = type(request).__name__.lower()
        expected = f"reader is a reader of this cluster, which may not send `{kind}`"
        assert permits.refusal(READER, request) == expected


def test_an_admin_may_do_everything() -> None:
    for request in [*ASKS, *of("n1"), *by("n1"), *COMMANDS]:
        assert permits.refusal(ADMIN, request) is None


@pytest.mark.parametrize("who", [NODE, READER])
def test_others_neither_allow_nor_push(who: Who) -> None:
    for request in COMMANDS:
        kind = type(request).__name__.lower()
        expected = f"{who.name} is a {who.role} of this cluster, which may not send `{kind}`"
        assert permits.refusal(who, request) == expected


def test_the_table_has_every_request() -> None:
    known = {type(one) for one in [*ASKS, *of("n1"), *by("n1"), *COMMANDS]}
    both = messages.TrackerRequest | messages.NodeRequest
    assert known == set(typing.get_args(both))
