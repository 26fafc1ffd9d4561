"""A server of one thing, asked by anybody."""

from shoal.node.serving import steps
from shoal.node.serving.server import Server
from shoal.node.serving.steps import (
    ChunkRead,
    ReadChunk,
    RequestArrived,
    SendReply,
    Source,
)
from shoal.protocol import bitmap
from shoal.protocol.manifest import ContentId
from shoal.protocol.messages import (
    ChunkReply,
    ChunkRequest,
    Error,
    ManifestReply,
    NodeRequest,
    Nothing,
)

from tests.unit.node.things import bits, digits

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
        self.chunk_bytes = 5

    def chunk_size(self, _: int) -> int:
        return self.chunk_bytes

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
        self.server = Server(Things(self.thing), 1.0)
        self.chunk = chunk
        self.thing.chunk_bytes = len(chunk)
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

    def ask_from(self, asker: Source) -> str:
        return self.answer(self.request(0), asker)


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
