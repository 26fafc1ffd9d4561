"""What `ls`, `where` and `status` print, and what they make of a tracker that tells nonsense."""

import itertools
import json
from collections.abc import Callable

import msgspec
import pytest
from shoal.commands import listing
from shoal.protocol import messages
from shoal.protocol.errors import OperatorError, TrackerError, WireCode
from shoal.protocol.messages import (
    Error,
    File,
    Files,
    Holder,
    List,
    Message,
    NodeStatus,
    Ok,
    Status,
    TrackerStatus,
)

from tests.unit.commands.trackers import Answer, tracker

N1 = Holder("n1", "tcp://127.0.0.1:11001", complete=True, alive=True)
N2 = Holder("n2", "tcp://127.0.0.1:11002", complete=False, alive=True)
N3 = Holder("n3", "tcp://127.0.0.1:11003", complete=False, alive=False)
ID = "b3:0123456789ab" + 52 * "0"


def test_a_row_says_who_has_only_a_part_or_is_silent() -> None:
    file = File(name="a.bin", id=ID, size_bytes=1500, age_s=61, newest=True, holders=(N1, N2, N3))
    row = [
        "a.bin",
        "-",
        "-",
        "1.5 kB",
        "b3:0123456789ab",
        "1 min",
        "n1 n2 (part) n3 (part, offline)",
    ]
    assert listing._file_row(file) == row


def test_a_row_says_what_is_not_known_or_not_new() -> None:
    file = File(name="a\u202e", id=None, size_bytes=None, age_s=0, newest=False, holders=())
    assert listing._file_row(file) == ["a\\u202e (older)", "-", "-", "?", "?", "0 s", ""]


def test_a_row_says_which_version_it_is_and_whose() -> None:
    file = File("a.bin", ID, 1500, 61, newest=True, holders=(), version=3, publisher="n7")
    assert listing._file_row(file)[:3] == ["a.bin", "v3", "n7"]


def test_a_row_counts_many_holders() -> None:
    holders = [Holder(f"n{index}", N1.address, complete=True, alive=True) for index in range(58)]
    file = File("a.bin", ID, 1500, 61, newest=True, holders=tuple(holders))
    assert listing._file_row(file, 60)[-1] == "58 of 60"
    assert listing._file_row(file)[-1].split() == [holder.node for holder in holders]
    more = msgspec.structs.replace(file, holders=(*holders, N2, N3))
    assert listing._file_row(more, 60)[-1] == "58 of 60, 2 in part, 1 offline"


def test_a_holder_of_the_cluster_file_alone_was_never_seen() -> None:
    file = File("a.bin", None, None, 0, newest=True, holders=(N3,))
    assert listing._file_row(file)[-1] == "n3 (part, never seen)"


def test_a_document_has_the_promised_keys() -> None:
    file = File("a.bin", ID, 1500, 61, newest=True, holders=(N2,), version=3, publisher="n7")
    document = listing._file_document(file)
    assert {"name", "id", "size_bytes", "holders"} <= set(document)
    assert (document["version"], document["publisher"]) == (3, "n7")
    assert document["holders"] == [
        {"node": "n2", "address": "tcp://127.0.0.1:11002", "complete": False, "alive": True}
    ]


def file(name: str) -> File:
    return File(name, ID, 1, 0, newest=True, holders=())


def node(name: str) -> NodeStatus:
    return NodeStatus(name, "tcp://127.0.0.1:11001", alive=True, files=0, silent_ms=0)


def ls(address: str) -> None:
    listing.run_ls(address, as_json=True)


def status(address: str) -> None:
    list(
        listing.pages(address, Status, TrackerStatus, lambda page: [one.node for one in page.nodes])
    )


def endless() -> Answer:
    numbers = itertools.count()

    def answer(request: Message) -> Message:
        name = f"{next(numbers):09}"
        if isinstance(request, List):
            return Files((file(name),), next=name)
        return TrackerStatus("tcp://127.0.0.1:1", 1, (node(name),), next=name)

    return answer


@pytest.mark.parametrize("command", [ls, status])
@pytest.mark.parametrize(
    "reply",
    [
        Ok(lease_ms=1, holdings=1),
        Error(WireCode.UNSUPPORTED, "unknown"),
        messages.encode(Ok(lease_ms=1, holdings=1))[:-1],
        b"",
    ],
)
def test_an_answer_of_another_kind_is_the_operators_affair(
    command: Callable[[str], None], reply: Message | bytes
) -> None:
    with (
        tracker(lambda _: reply) as address,
        pytest.raises(
            OperatorError, match=r"does not make sense: .*; check what runs there"
        ) as told,
    ):
        command(address)
    assert isinstance(told.value, TrackerError)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("command", [ls, status])
def test_a_listing_without_end_ends(
    command: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_PAGES", 20)
    with (
        tracker(endless()) as address,
        pytest.raises(OperatorError, match="its listing has more than 20 pages"),
    ):
        command(address)


@pytest.mark.parametrize(
    "page",
    [
        Files((), next="a"),
        Files((file("b"), file("a"))),
        Files((file("b"), file("c")), next="b"),
        Files((file("a"),), next="a"),  # The same again, without end.
    ],
)
def test_a_page_that_leads_nowhere_ends_the_listing(page: Files) -> None:
    with (
        tracker(lambda _: page) as address,
        pytest.raises(OperatorError, match=r"its listing (is out of order|does not go on)") as told,
    ):
        ls(address)
    assert isinstance(told.value, TrackerError)


def test_pages_are_put_together(capsys: pytest.CaptureFixture[str]) -> None:
    replies = {"": Files((file("a"), file("a")), next="a"), "a": Files((file("b"),))}

    def answer(request: Message) -> Message:
        assert isinstance(request, List)
        return replies[request.after]

    with tracker(answer) as address:
        ls(address)
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == ["a", "a", "b"]
