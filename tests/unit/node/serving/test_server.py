"""What a server does with requests, drawn as `chunk of what is here`; and when it does it."""

import collections

import hypothesis.strategies as st
from hypothesis import given
from shoal.node.serving import demand, pacing, steps
from shoal.node.serving.server import Server
from shoal.node.serving.steps import (
    AnswerFailed,
    CheckChunk,
    ChunkGone,
    ChunkRead,
    FindState,
    LogUpload,
    NonsenseArrived,
    ReadChunk,
    ReplyLeft,
    RequestArrived,
    SendReply,
    Source,
    StateFound,
    TimePassed,
    Withdraw,
)
from shoal.protocol import bitmap, messages
from shoal.protocol.errors import WireCode
from shoal.protocol.manifest import ContentId
from shoal.protocol.messages import (
    ChunkReply,
    ChunkRequest,
    Error,
    ManifestReply,
    ManifestRequest,
    NodeRequest,
    Noted,
    Nothing,
    State,
    StateRequest,
    WrongChunk,
)

from tests.unit.node.things import bits, digits, rng

COUNT = 10
ANYWHERE = Source("10.0.0.1", "7")
NOWHERE = ContentId(f"b3:{9:064x}")
LONG = bytes(1 << 20)


class Thing:
    """A thing of ten chunks, of which some are here."""

    def __init__(self, name: str, number: int, have: str = "0123456789") -> None:
        self.name = name
        self.id = ContentId(f"b3:{number:064x}")
        self.have = bits(have)
        self.data = b"manifest"
        self.chunk_count = COUNT

    def read(self, index: int) -> bytes:
        raise AssertionError(index)


class Things(dict[str, Thing]):
    def __init__(self, *things: Thing) -> None:
        super().__init__({key: thing for thing in things for key in (thing.name, thing.id)})

    def find(self, what: str) -> Thing | None:
        return self.get(what)


class Scene:
    """A server of one thing, and a shell that reads every chunk at once."""

    def __init__(self, have: str = "0123456789", chunk: bytes = b"chunk") -> None:
        self.thing = Thing("a.bin", 1, have)
        self.server = Server(Things(self.thing), rng(), 1.0)
        self.chunk = chunk
        self.now = 0.0
        self.done: list[steps.Action] = []  # All that it had done, without the readings.
        self._count = 0

    def arrive(self, request: NodeRequest, source: Source = ANYWHERE) -> int:
        """Let a request arrive; return its number."""
        self._count += 1
        self.tell(RequestArrived(self._count, source, request))
        return self._count

    def tell(self, event: steps.Event) -> None:
        actions = self.server.handle(event, self.now)
        for action in actions:
            if isinstance(action, ReadChunk):
                self.tell(ChunkRead(action.number, self.chunk))
            else:
                self.done.append(action)

    def reply(self, request: NodeRequest, source: Source = ANYWHERE) -> SendReply:
        """Return what a request is answered with at once."""
        number = self.arrive(request, source)
        (reply,) = (one for one in self.replies() if one.number == number)
        return reply

    def replies(self) -> list[SendReply]:
        return [one for one in self.done if isinstance(one, SendReply)]

    def answer(self, request: NodeRequest, source: Source = ANYWHERE) -> str:
        return drawn(self.reply(request, source))

    def request(self, index: int, have: str = "", node: str = "n2") -> ChunkRequest:
        return ChunkRequest(self.thing.id, index, node, bitmap.to_bytes(bits(have), COUNT))

    def ask(self, index: int, have: str = "", node: str = "n2") -> str:
        """Return the chunk that is sent, or what is said instead."""
        return self.answer(self.request(index, have, node))


def drawn(reply: SendReply) -> str:
    match reply.message:
        case ChunkReply(index, have):
            return f"{index}" if not have else f"{index} of {_said(have)}"
        case Nothing(have):
            return f"nothing of {_said(have)}"
        case Error(code):
            return code.name
        case ManifestReply(_, name):
            return f"manifest of {name}"
        case other:
            return repr(other)


def _said(have: bytes) -> str:
    return digits(bitmap.from_bytes(have, COUNT))


# What is answered.


def test_the_shell_finds_out_how_much_is_here() -> None:
    for name, content_id in (("a.bin", None), ("b.bin", f"b3:{1:064x}")):
        scene = Scene()
        number = scene.arrive(StateRequest(name, content_id))
        assert scene.done == [FindState(number, name, content_id)]
        later = scene.arrive(scene.request(3))
        assert len(scene.done) == 1  # One request at a time.
        scene.tell(StateFound(number, State("part", 5, 9)))
        state, chunk = scene.replies()
        assert state == SendReply(number, State("part", 5, 9))
        assert (chunk.number, drawn(chunk)) == (later, "3")


def test_what_is_no_request_is_refused_with_its_reason() -> None:
    scene = Scene()
    scene.tell(NonsenseArrived(1, ANYWHERE, WireCode.MALFORMED, "not msgpack"))
    assert scene.done == [SendReply(1, Error(WireCode.MALFORMED, "not msgpack"))]


def test_sends_the_manifest_by_name_and_by_id() -> None:
    scene = Scene()
    for what in ("a.bin", scene.thing.id):
        reply = scene.reply(ManifestRequest(what))
        assert drawn(reply) == "manifest of a.bin"
        assert reply.payload == b"manifest"


def test_not_all_of_a_crowd_get_a_long_manifest_if_they_may_wait() -> None:
    scene = Scene()
    scene.thing.data = bytes(64 << 10)

    def asked(now: float, *, may_wait: bool = True) -> str:
        scene.now = now
        reply = scene.reply(ManifestRequest("a.bin", may_wait))
        if reply.is_counted:
            scene.tell(ReplyLeft(reply.number))
        return drawn(reply).split()[0]

    assert [asked(5) for _ in range(10)] == ["manifest"] * 8 + ["BUSY"] * 2
    assert [asked(5.01, may_wait=False), asked(5.06), asked(5.0725)] == [
        "manifest",
        "BUSY",
        "manifest",
    ]
    assert [asked(9) for _ in range(9)].count("manifest") == 8


def test_even_of_the_longest_manifests_several_leave_at_once() -> None:
    scene = Scene()
    scene.thing.data = bytes(1 << 20)
    answers = []
    for _ in range(9):
        reply = scene.reply(ManifestRequest("a.bin", may_wait=True))
        answers.append(drawn(reply))
        if reply.is_counted:
            scene.tell(ReplyLeft(reply.number))
    assert answers == ["manifest of a.bin"] * 8 + ["BUSY"]


def test_says_that_it_does_not_have_it() -> None:
    scene = Scene()
    for request in (ManifestRequest("b.bin"), ManifestRequest(NOWHERE)):
        assert scene.answer(request) == "NOT_FOUND"
    assert scene.answer(ChunkRequest(NOWHERE, 0, "n2")) == "NOT_FOUND"


def test_a_refusal_is_a_message_however_long_the_name() -> None:
    longest = "/".join(["x" * 255] * 16)
    reply = messages.encode(Scene().reply(ManifestRequest(longest)).message)
    assert messages.decode(reply, messages.NodeReply).code is WireCode.NOT_FOUND


def test_sends_what_is_asked_for() -> None:
    assert Scene().ask(7) == "7"


def test_says_what_it_has_when_that_is_not_all() -> None:
    scene = Scene("135")
    assert scene.ask(3) == "3 of 135"
    assert scene.ask(0) == "nothing of 135"


def test_a_whole_holder_gives_each_chunk_to_a_swarm_once_before_any_twice() -> None:
    scene = Scene()
    assert scene.ask(9, node="n2") == "9"
    assert scene.ask(0, node="n3") == "0"  # From here on there are two.
    assert scene.ask(0, node="n2") == "nothing of 123456789"
    for index in range(1, 10):
        assert scene.ask(index, node="n2")[0] == str(index)
    assert scene.ask(0, node="n2") == "0"  # The next round.
    assert scene.ask(0, node="n3") == "nothing of 123456789"


def test_one_who_has_all_that_was_not_served_yet_gets_what_it_asks_for() -> None:
    scene = Scene()
    scene.ask(0, node="n3")
    scene.ask(0, node="n2")
    assert scene.ask(0, have="123456", node="n2") == "nothing of 123456789"
    assert scene.ask(0, have="123456789", node="n2") == "0"


def test_one_who_does_not_say_what_it_has_gets_what_it_asks_for() -> None:
    scene = Scene()
    scene.ask(0, node="n3")
    scene.ask(0, node="n2")
    assert scene.answer(ChunkRequest(scene.thing.id, 0, "n2", b"")) == "0"


def test_alone_again_it_gets_everything() -> None:
    scene = Scene()
    scene.ask(0, node="n3")
    answers = [scene.ask(0, node="n2") for _ in range(demand.RECENT_REQUESTS)]
    assert answers[0] == "0"
    assert answers[1] == "nothing of 123456789"
    assert answers[-1] == "0"


def test_refuses_a_chunk_that_the_thing_does_not_have() -> None:
    scene = Scene()
    for index in (10, 32_767):
        assert scene.answer(ChunkRequest(scene.thing.id, index, "n2")) == "MALFORMED"


def test_remembers_requests_of_only_so_many_things() -> None:
    demands = demand.Demands()
    first, *others = (
        ContentId(f"b3:{number:064x}") for number in range(demand.MAX_WATCHED_IDS + 5)
    )
    kept = demands.of(first)
    for other in others:
        demands.of(other)
        assert demands.of(first) is kept  # It was asked for lately.
    assert len(demands._by_id) == demand.MAX_WATCHED_IDS


@given(
    have=st.sets(st.integers(0, 9)),
    requests=st.lists(st.integers(0, 9), max_size=30),
)
def test_sends_to_one_asker_all_that_is_here(have: set[int], requests: list[int]) -> None:
    scene = Scene("".join(map(str, sorted(have))))
    for index in requests:
        answer = scene.ask(index)
        assert answer.split()[0] == (str(index) if index in have else "nothing")


def test_who_asks_over_many_connections_is_told_to_come_again() -> None:
    scene = Scene()
    served: collections.Counter[str] = collections.Counter()
    for _ in range(100):
        for connection in range(10):
            node = "modest" if connection == 0 else "greedy"
            request = ChunkRequest(scene.thing.id, 0, node)
            answer = scene.answer(request, Source("10.0.0.1", str(connection)))
            served[node] += answer == "0"
            assert answer in {"0", "BUSY"}
    assert served["modest"] == 100
    assert 50 < served["greedy"] < 200


def test_a_complaint_about_a_chunk_that_is_here_is_looked_into() -> None:
    scene = Scene()
    number = scene.arrive(WrongChunk(scene.thing.id, 9, "n2"))
    assert scene.done == [CheckChunk(scene.thing.id, 9), SendReply(number, Noted())]
    assert scene.answer(WrongChunk(scene.thing.id, 10, "n2")) == "MALFORMED"
    assert scene.answer(WrongChunk(NOWHERE, 0, "n2")) == "NOT_FOUND"


def test_what_has_changed_on_disk_is_withdrawn() -> None:
    scene = Scene()
    (read,) = scene.server.handle(RequestArrived(1, ANYWHERE, scene.request(3)), 0)
    assert read == ReadChunk(1, scene.thing, 3)
    withdraw, reply = scene.server.handle(ChunkGone(1, "a.bin: changed"), 0)
    assert withdraw == Withdraw(scene.thing, "a.bin: changed")
    assert isinstance(reply, SendReply)
    assert (reply.number, drawn(reply)) == (1, "GONE")
    assert scene.ask(4) == "4"


def test_a_bug_in_the_shell_is_owned_up_to_and_the_next_request_answered() -> None:
    scene = Scene()
    scene.server.handle(RequestArrived(1, ANYWHERE, scene.request(3)), 0)
    scene.server.handle(RequestArrived(2, ANYWHERE, scene.request(4)), 0)
    failed, read = scene.server.handle(AnswerFailed(1), 0)
    assert isinstance(failed, SendReply)
    assert (failed.number, drawn(failed)) == (1, "INTERNAL")
    assert read == ReadChunk(2, scene.thing, 4)


# When it is answered.


def test_one_request_of_each_connection_in_turn() -> None:
    scene = Scene()
    scene.arrive(StateRequest("a.bin"), Source("10.0.0.9", "1"))  # All others wait for it.
    for connection in "112131":
        scene.arrive(scene.request(0), Source(f"10.0.0.{connection}", connection))
    scene.tell(StateFound(1, State("whole")))
    assert [reply.number for reply in scene.replies()] == [1, 2, 4, 6, 3, 5, 7]


def test_waits_while_replies_fill_a_slow_link() -> None:
    scene = Scene(chunk=LONG)
    for _ in range(20):
        scene.arrive(scene.request(0))
    for number in range(1, 17):  # 1 MiB takes 0.1 s.
        scene.now += 0.1
        scene.tell(ReplyLeft(number))
    assert {reply.number for reply in scene.replies()} == {*range(1, 21)}
    scene.arrive(scene.request(0))
    scene.arrive(scene.request(0))
    assert len(scene.replies()) == 22  # Six are on their way.
    scene.arrive(scene.request(0))
    assert len(scene.replies()) == 22
    scene.tell(ReplyLeft(17))
    assert scene.replies()[-1].number == 23
    assert scene.server.deadline is None


def test_a_reply_that_does_not_leave_holds_nobody_up_for_long() -> None:
    scene = Scene(chunk=LONG)
    for _ in range(pacing.QUICK_REPLIES + 1):
        scene.arrive(scene.request(0))
    assert len(scene.replies()) == pacing.QUICK_REPLIES
    deadline = scene.server.deadline
    assert deadline == pacing.STUCK_LEAST_S
    scene.now = deadline / 2
    scene.tell(TimePassed())
    assert len(scene.replies()) == pacing.QUICK_REPLIES
    scene.now = deadline
    scene.tell(TimePassed())
    assert len(scene.replies()) == pacing.QUICK_REPLIES + 1
    assert scene.server.deadline is None


def test_short_replies_do_not_count() -> None:
    scene = Scene(chunk=bytes(pacing.COUNTED_BYTES - 1))
    for _ in range(100):
        assert not scene.reply(scene.request(0)).is_counted


def test_reads_nothing_more_while_receivers_leave_too_much_unread() -> None:
    scene = Scene(chunk=LONG)
    answers = []
    for _ in range(100):
        scene.now += 1  # What has not left by then holds nobody up, …
        answers.append(scene.ask(0))
    most = pacing.MAX_UNSENT_BYTES // len(LONG)
    assert answers == ["0"] * (most + 1) + ["BUSY"] * (99 - most)  # … but takes memory.
    scene.tell(ReplyLeft(1))
    scene.now += 100
    assert scene.ask(0) == "0"


def test_the_first_uploads_are_logged_and_then_one_a_second() -> None:
    scene = Scene()
    for _ in range(100):
        scene.ask(3)
        scene.now += 0.05
    lines = [one for one in scene.done if isinstance(one, LogUpload)]
    assert lines[0] == LogUpload("a.bin", 3, COUNT, "n2")
    assert 8 <= len(lines) <= 8 + 5
