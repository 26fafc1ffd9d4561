"""What is made of a tracker that tells nonsense, and of one that tells much."""

import itertools
from collections.abc import Callable

import pytest
from shoal.api import asking
from shoal.api.ls import ls
from shoal.api.status import status
from shoal.protocol import messages
from shoal.protocol.errors import DiskError, OperatorError, TrackerError, WireCode
from shoal.protocol.message import Message
from shoal.protocol.messages import Error, File, Files, List, NodeStatus, Ok, TrackerStatus
from shoal.protocol.pushing import Unpush
from shoal.protocol.trackers import Trackers

from tests.unit.api.trackers import Answer, tracker

ID = "b3:0123456789ab" + 52 * "0"


def file(name: str) -> File:
    return File(name, ID, 1, 0, newest=True, holders=())


def node(name: str) -> NodeStatus:
    return NodeStatus(name, "tcp://127.0.0.1:11001", alive=True, files=0, silent_ms=0)


def test_what_the_tracker_could_not_save_is_the_disk_s_trouble() -> None:
    refusal = Error(WireCode.NOT_SAVED, "the disk refused\n")
    with tracker(lambda _: refusal) as address, pytest.raises(DiskError) as told:
        asking.ask(Trackers([address]), Unpush("a"), Ok)
    assert str(told.value) == "the disk refused\\n"


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
    command: Callable[[Trackers], object], reply: Message | bytes
) -> None:
    with (
        tracker(lambda _: reply) as address,
        pytest.raises(
            OperatorError, match=r"does not make sense: .*; check what is running there"
        ) as told,
    ):
        command(Trackers([address]))
    assert isinstance(told.value, TrackerError)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("command", [ls, status])
def test_a_listing_without_end_ends(
    command: Callable[[Trackers], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "MAX_PAGES", 20)
    with (
        tracker(endless()) as address,
        pytest.raises(OperatorError, match="its listing has more than 20 pages"),
    ):
        command(Trackers([address]))


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
        pytest.raises(OperatorError, match=r"listing (is out of order|does not follow)") as told,
    ):
        ls(Trackers([address]))
    assert isinstance(told.value, TrackerError)


def test_pages_are_put_together() -> None:
    replies = {"": Files((file("a"), file("a")), next="a"), "a": Files((file("b"),))}

    def answer(request: Message) -> Message:
        assert isinstance(request, List)
        return replies[request.after]

    with tracker(answer) as address:
        assert [one.name for one in ls(Trackers([address]))] == ["a", "a", "b"]
