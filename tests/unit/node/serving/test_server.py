"""What a server answers, drawn as `chunk of what is here`."""

import hypothesis.strategies as st
from hypothesis import given
from shoal.node.serving import demand
from shoal.node.serving.steps import (
    AnswerFailed,
    CheckChunk,
    ChunkGone,
    FindState,
    NonsenseArrived,
    ReadChunk,
    ReplyLeft,
    RequestArrived,
    SendReply,
    StateFound,
    Withdraw,
)
from shoal.protocol import messages
from shoal.protocol.errors import WireCode
from shoal.protocol.manifest import ContentId
from shoal.protocol.messages import (
    ChunkRequest,
    Error,
    ManifestRequest,
    Noted,
    State,
    StateRequest,
    WrongChunk,
)

from tests.unit.node.serving.scene import ANYWHERE, NOWHERE, Scene, drawn


def test_the_shell_finds_out_how_much_is_here() -> None:
    for name, content_id in (("a.bin", None), ("b.bin", f"b3:{1:064x}")):
        scene = Scene()
        number = scene.arrive(StateRequest(name, content_id))
        assert scene.done == [FindState(number, name, content_id)]
        assert scene.ask(3) == "3"  # Nobody waits for that.
        scene.tell(StateFound(number, State("part", 5, 9)))
        assert scene.replies()[-1] == SendReply(number, State("part", 5, 9))


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
    (failed,) = scene.server.handle(AnswerFailed(1), 0)
    assert isinstance(failed, SendReply)
    assert (failed.number, drawn(failed)) == (1, "INTERNAL")
    (read,) = scene.server.handle(RequestArrived(2, ANYWHERE, scene.request(4)), 0)
    assert read == ReadChunk(2, scene.thing, 4)
