"""What a node hears from the tracker on behalf of an order."""

import msgspec
import pytest
import zmq
from shoal.node.orders import questions
from shoal.protocol import messages
from shoal.protocol.errors import OperatorError, TrackerError, WireCode
from shoal.protocol.message import Message
from shoal.protocol.messages import Error, Files, Holders, OtherVersion, Query
from shoal.protocol.trackers import Trackers

from tests.unit.node.company import Member
from tests.unit.node.hostile import Frames, Stranger

IDS = [f"b3:{number:064x}" for number in range(4)]


class TalkingTracker(Stranger):
    """Answers all questions alike, and keeps them."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", reply: Message) -> None:
        self.reply = reply
        self.heard: list[Message] = []
        super().__init__(context)

    def answer(self, frames: Frames) -> list[Frames]:
        tag, empty, body = frames
        self.heard.append(messages.decode(body, messages.TrackerRequest))
        return [[tag, empty, messages.encode(self.reply)]]


def asked(asker: Member, reply: Message) -> tuple[Holders | None, list[Message]]:
    """Return the answer of a tracker that says just this, and what it heard."""
    context = asker.agent._context
    tracker = TalkingTracker(context, reply)
    try:
        home = asker.agent._fetches._home
        identity = msgspec.structs.replace(home.identity, trackers=Trackers([tracker.address]))
        home = msgspec.structs.replace(home, identity=identity)
        return questions.ask(home, lambda: None, "a", "12"), tracker.heard
    finally:
        tracker.stop()


def test_who_asks_is_not_taken_to_have_lost_it(asker: Member) -> None:
    answer = Holders("a", IDS[0], 1, ())
    assert asked(asker, answer) == (answer, [Query("a", "asks", partial=True, prefix="12")])


def test_what_nobody_else_has_is_none(asker: Member) -> None:
    assert asked(asker, Error(WireCode.NOT_FOUND, "no"))[0] is None


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (
            Error(WireCode.INTERNAL, "it \x1b failed"),
            r"refused: it \\x1b failed; look into its log",
        ),
        (Files(()), "sent an answer to another question"),
    ],
)
def test_nonsense_is_one_line(asker: Member, reply: Message, words: str) -> None:
    with pytest.raises(OperatorError, match=words) as error:
        asked(asker, reply)
    assert isinstance(error.value, TrackerError)


def test_the_newest_version_may_be_one_that_only_we_hold() -> None:
    versions = (OtherVersion(IDS[3], 1, 0, 0, 3, "asks"), OtherVersion(IDS[1], 1, 0, 1, 1, "n"))
    assert questions.newest(Holders("a", IDS[2], 1, (), (), versions, 2, "n")) == (3, IDS[3])
    assert questions.newest(Holders("a", None, None, ())) == (0, None)
