"""A download with its clock: events in, actions out as short lines of text."""

from blake3 import blake3
from shoal.node.fetching import steps, versions
from shoal.node.fetching.download import Download
from shoal.node.fetching.settings import FetchSettings
from shoal.protocol import manifest
from shoal.protocol.errors import WireCode
from shoal.protocol.messages import Holders

from tests.unit.node.fetching.test_roster import TRACKER, holders
from tests.unit.node.things import chunk, id_of, rng, thing

THING = thing([10] * 4)
ID = id_of(THING)
DATA = manifest.encode(THING)
SETTINGS = FetchSettings(requery_first_s=3, requery_s=3)


class Scene:
    """A download of `a.bin`, its clock, and what it has asked."""

    def __init__(self, what: str = "a.bin", settings: FetchSettings | None = None) -> None:
        self.now = 0.0
        # From whom n1 is the nearest, then n2, n3 and n4 (protocol.distance).
        self.download = Download(
            versions.find(what, lambda *_: None), "me-4", (TRACKER,), rng(), settings or SETTINGS
        )
        self.asked: dict[str, list[steps.RequestChunk | steps.RequestManifest]] = {}
        self.wants: list[steps.Action] = []

    def feed(self, event: steps.Event) -> str:
        actions = self.download.handle(event, self.now)
        for action in actions:
            if isinstance(action, steps.RequestChunk | steps.RequestManifest):
                self.asked.setdefault(action.node, []).append(action)
        self.wants = actions
        deadline = self.download.deadline(self.now)
        assert deadline is None or deadline > self.now
        return "; ".join(map(drawn, actions))

    def wait(self, seconds: float = 0.0) -> str:
        self.now += seconds
        return self.feed(steps.TimePassed())

    def jump(self) -> str:
        """Go on to the deadline."""
        deadline = self.download.deadline(self.now)
        assert deadline is not None
        return self.wait(deadline - self.now)

    def found(self, named: str, content_id: str | None = ID, offline: str = "") -> str:
        answer = Holders("a.bin", content_id, 40, holders(named), holders(offline))
        return self.feed(steps.HoldersFound(answer))

    def request_id(self, node: str) -> int:
        """Take the oldest request to `node` off those that are out."""
        return self.asked[node].pop(0).request_id

    def send_manifest(self, node: str, data: bytes = DATA) -> str:
        return self.feed(steps.ManifestReceived(node, self.request_id(node), data))

    def request(self, node: str) -> steps.RequestChunk:
        """Return the oldest request for a chunk to `node`, and take it off those that are out."""
        request = self.asked[node].pop(0)
        assert isinstance(request, steps.RequestChunk)
        return request

    def send(self, node: str, index: int | None = None, *, wrong: bool = False) -> str:
        request = self.request(node)
        index = request.index if index is None else index
        return self.send_data(request, index, b"wrong" if wrong else chunk(index))

    def send_data(self, request: steps.RequestChunk, index: int, data: bytes) -> str:
        """Have something come as chunk `index`, in reply to a request."""
        node, request_id, digest = request.node, request.request_id, blake3(data).digest()
        return self.feed(steps.ChunkReceived(node, request_id, index, len(data), digest, b""))

    def refuse(self, node: str, code: WireCode = WireCode.NOT_FOUND, reason: str = "no") -> str:
        return self.feed(steps.RequestRefused(node, self.request_id(node), code, reason))

    def begin(self, named: str, have: int = 0) -> str:
        """Come to the point where chunks are asked for."""
        self.wait()
        self.found(named)
        self.send_manifest(named.split(maxsplit=1)[0].rstrip("~"))
        return self.feed(steps.StagingOpened(have, 0b1111))


def drawn(action: steps.Action) -> str:
    match action:
        case (
            steps.QueryTracker()
            | steps.RequestManifest()
            | steps.RequestChunk()
            | steps.ReportChunk()
        ):
            return _said(action)
        case steps.Connect(node):
            return f"connect {node}"
        case steps.Disconnect(node):
            return f"leave {node}"
        case steps.StoreChunk(index=index):
            return f"store {index}"
        case steps.Fail(kind):
            return f"fail {kind.kind}"
        case _:
            return type(action).__name__.lower()


def _said(
    action: steps.QueryTracker | steps.RequestManifest | steps.RequestChunk | steps.ReportChunk,
) -> str:
    match action:
        case steps.QueryTracker(what, partial):
            return f"query {'again ' if partial else ''}{'ID' if what == ID else what}"
        case steps.RequestManifest(node):
            return f"{node}:manifest"
        case steps.RequestChunk(node=node, index=index):
            return f"{node}:{index}"
        case steps.ReportChunk(node=node, index=index):
            return f"tell {node} {index}"
