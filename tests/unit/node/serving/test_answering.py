"""What a request is answered with, drawn as `chunk of what is here`."""

import collections

import hypothesis.strategies as st
from hypothesis import given
from shoal.node.serving import answering
from shoal.node.serving.answering import (
    SendChunk,
    SendError,
    SendManifest,
    SendNothing,
    Serving,
    TakeNote,
    TellState,
)
from shoal.node.serving.turns import Source
from shoal.protocol import bitmap, messages
from shoal.protocol.errors import WireCode
from shoal.protocol.manifest import ContentId
from shoal.protocol.messages import ChunkRequest, Error, ManifestRequest, StateRequest, WrongChunk

from tests.unit.node.things import bits, digits, rng

COUNT = 10
ANYWHERE = Source("10.0.0.1", "7")


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
    def __init__(self, have: str = "0123456789") -> None:
        self.thing = Thing("a.bin", 1, have)
        self.serving = Serving(Things(self.thing), rng())

    def ask(self, index: int, have: str = "", node: str = "n2") -> str:
        """Return the chunk that is sent, or what is said instead."""
        said = bitmap.to_bytes(bits(have), COUNT)
        request = ChunkRequest(self.thing.id, index, node, said)
        return drawn(self.serving.handle(request, Source("10.0.0.1", request.node), 0))


def drawn(answer: answering.Answer) -> str:
    match answer:
        case SendChunk(_, index, have, _):
            return f"{index}" if not have else f"{index} of {_said(have)}"
        case SendNothing(have):
            return f"nothing of {_said(have)}"
        case TellState(name, content_id):
            return f"state of {name} {content_id}"
        case TakeNote(shared, index):
            return f"check {shared.name}:{index}"
        case SendError(code):
            return code.name
        case SendManifest(shared):
            return f"manifest of {shared.name}"


def _said(have: bytes) -> str:
    return digits(bitmap.from_bytes(have, COUNT))


def test_how_much_is_here_is_for_the_shell_to_say() -> None:
    for name, content_id in (("a.bin", None), ("b.bin", f"b3:{1:064x}")):
        answer = Scene().serving.handle(StateRequest(name, content_id), ANYWHERE, 0)
        assert drawn(answer) == f"state of {name} {content_id}"


def test_sends_the_manifest_by_name_and_by_id() -> None:
    scene = Scene()
    for what in ("a.bin", scene.thing.id):
        assert (
            drawn(scene.serving.handle(ManifestRequest(what), ANYWHERE, 0)) == "manifest of a.bin"
        )


def test_not_all_of_a_crowd_get_a_long_manifest_if_they_may_wait() -> None:
    scene = Scene()
    scene.thing.data = bytes(64 << 10)

    def asked(now: float, *, may_wait: bool = True) -> str:
        return drawn(
            scene.serving.handle(ManifestRequest("a.bin", may_wait), ANYWHERE, now)
        ).split()[0]

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
    crowd = [
        scene.serving.handle(ManifestRequest("a.bin", may_wait=True), ANYWHERE, 0) for _ in range(9)
    ]
    assert [isinstance(answer, SendManifest) for answer in crowd] == [True] * 8 + [False]


def test_says_that_it_does_not_have_it() -> None:
    scene = Scene()
    nowhere = ContentId(f"b3:{9:064x}")
    assert drawn(scene.serving.handle(ManifestRequest("b.bin"), ANYWHERE, 0)) == "NOT_FOUND"
    assert drawn(scene.serving.handle(ManifestRequest(nowhere), ANYWHERE, 0)) == "NOT_FOUND"
    assert drawn(scene.serving.handle(ChunkRequest(nowhere, 0, "n2"), ANYWHERE, 0)) == "NOT_FOUND"


def test_a_refusal_is_a_message_however_long_the_name() -> None:
    longest = "/".join(["x" * 255] * 16)
    answer = Scene().serving.handle(ManifestRequest(longest), ANYWHERE, 0)
    assert isinstance(answer, SendError)
    reply = messages.encode(Error(answer.code, answer.message))
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
    request = ChunkRequest(scene.thing.id, 0, "n2", b"")
    assert drawn(scene.serving.handle(request, ANYWHERE, 0)) == "0"


def test_alone_again_it_gets_everything() -> None:
    scene = Scene()
    scene.ask(0, node="n3")
    answers = [scene.ask(0, node="n2") for _ in range(answering.RECENT_REQUESTS)]
    assert answers[0] == "0"
    assert answers[1] == "nothing of 123456789"
    assert answers[-1] == "0"


def test_refuses_a_chunk_that_the_thing_does_not_have() -> None:
    scene = Scene()
    for index in (10, 32_767):
        request = ChunkRequest(scene.thing.id, index, "n2")
        assert drawn(scene.serving.handle(request, ANYWHERE, 0)) == "MALFORMED"


def test_remembers_requests_of_only_so_many_things() -> None:
    things = [Thing(f"{number}", number) for number in range(answering.MAX_WATCHED_IDS + 5)]
    many = Serving(Things(*things), rng())
    for thing in things:
        many.handle(ChunkRequest(thing.id, 0, "n2"), ANYWHERE, 0)
    assert len(many._demand) == answering.MAX_WATCHED_IDS


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
            answer = scene.serving.handle(request, Source("10.0.0.1", str(connection)), 0)
            served[node] += isinstance(answer, SendChunk)
            assert isinstance(answer, SendChunk) or drawn(answer) == "BUSY"
    assert served["modest"] == 100
    assert 50 < served["greedy"] < 200


def test_a_complaint_about_a_chunk_that_is_here_is_looked_into() -> None:
    scene = Scene()

    def complaint(content_id: str, index: int) -> str:
        return drawn(scene.serving.handle(WrongChunk(content_id, index, "n2"), ANYWHERE, 0))

    assert complaint(scene.thing.id, 9) == "check a.bin:9"
    assert complaint(scene.thing.id, 10) == "MALFORMED"
    assert complaint(f"b3:{9:064x}", 0) == "NOT_FOUND"
