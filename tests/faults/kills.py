"""A fetch that is killed again and again, at random moments, until it is let finish.

The only holder counts what it sends, chunk by chunk: what it sends twice was paid for twice. That
may only be what was on its way at a kill, never what the asker had said it has.
"""

import collections
import contextlib
import dataclasses
import functools
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import zmq
from shoal.protocol import bitmap, messages
from shoal.protocol.errors import WireCode
from shoal.protocol.messages import (
    ChunkReply,
    ChunkRequest,
    Error,
    Holding,
    ManifestReply,
    NodeRequest,
    Update,
)

from tests.faults.announce import tell
from tests.faults.scene import same
from tests.integration import page_peers
from tests.integration.cluster import LIMIT_S, Cluster, cluster_in, noise
from tests.integration.page_peers import Thing, Tree
from tests.unit.node.hostile import Frames, Stranger

Context = zmq.Context[zmq.Socket[bytes]]

FILE, TREE = "disk.img", "tree"
FILE_BYTES = 6 << 20
WAYS = ((FILE,), (TREE,), (TREE, "--in-place"))
ASKER = "asker"
SENDING_S = 0.004  # For each chunk, so that a fetch has a middle.
IN_THE_MIDDLE = 0.8  # Of the kills; the others come at any time, from the start of the process on.
LIFE_S = 1.2  # About what an undisturbed fetch takes.
SAME_IDS_BYTES = 6  # Of request ids: drawn once for each fetch.
MOST_OUT = 20  # Requests that are out at a time, the most that a kill can waste.
TRIES = 4  # Kills before a fetch is let finish.


def _tree() -> Tree:
    files = {f"d/{number}": ("f", noise(30_000 * number, number)) for number in range(1, 12)}
    return {"empty": ("f", b""), "hollow": ("d", b""), "large": ("f", noise(2 << 20, 20)), **files}


class CountingHolder(Stranger):
    """An honest holder of some things, which takes its time."""

    def __init__(self, context: Context, things: dict[str, Thing]) -> None:
        self.sent: collections.Counter[tuple[str, int]] = collections.Counter()
        self.requests = 0
        self.again = 0  # Chunks that were requested although the asker had them.
        self.known = dict.fromkeys(things, 0)  # What askers have said they have (bitmap).
        self._known_before: dict[bytes, int] = {}  # By processes: when it asked first.
        self._names = {thing.id: name for name, thing in things.items()}
        self._things = things
        super().__init__(context)

    def answer(self, frames: Frames) -> list[Frames]:
        tag, _, body = frames
        request = messages.decode(body, NodeRequest)
        what = request.id if isinstance(request, ChunkRequest) else getattr(request, "what", "")
        name = self._names.get(what)
        if name is None:
            return [[tag, b"", messages.encode(Error(WireCode.NOT_FOUND, "no"))]]
        thing = self._things[name]
        if not isinstance(request, ChunkRequest):
            return [[tag, b"", messages.encode(ManifestReply(what, name)), thing.manifest]]
        time.sleep(SENDING_S)
        self.requests += 1
        # What a killed process asked for may still be waiting when the next one asks.
        process = tag[:SAME_IDS_BYTES]
        known = self._known_before.setdefault(process, self.known[name])
        self.again += known >> request.index & 1
        self.known[name] |= bitmap.from_bytes(request.have, len(thing.chunks))
        self.sent[name, request.index] += 1
        return [[tag, b"", messages.encode(ChunkReply(request.index)), thing.chunks[request.index]]]

    def forget(self, name: str) -> None:
        """Begin to count anew, as the asker has nothing."""
        self.sent.clear()
        self.known[name] = 0

    def sent_twice_bytes(self, name: str) -> int:
        """Return how much of a thing has been sent again."""
        counted = ((index, count) for (sent, index), count in self.sent.items() if sent == name)
        chunks = self._things[name].chunks
        return sum((count - 1) * len(chunks[index]) for index, count in counted)


@dataclasses.dataclass(frozen=True)
class Life:
    """One thing's fetch, through all its kills."""

    kills: int
    twice_bytes: int
    bound_bytes: int  # What so many kills may cost.


class Lab:
    """A tracker, the holder, and what it holds, laid out to compare with."""

    def __init__(
        self,
        cluster: Cluster,
        holder: CountingHolder,
        things: dict[str, Thing],
        tell: Callable[[str, Update], None],
    ) -> None:
        self.cluster = cluster
        self.holder = holder
        self.things = things
        self._tell = tell
        self._announced = 0

    def live(self, name: str, rng: random.Random, *options: str) -> Life:
        """Fetch a thing, killed some times; check what is there at the end, and what is not."""
        self.holder.forget(name)
        kills = 0
        for _ in range(TRIES):
            kills += self._fetch_and_kill(name, rng, options)
            assert self.cluster.things(ASKER) in ([], [name])
        self._announce()
        done = self.cluster.fetch(name, node=ASKER, options=(*options, "--json"))
        assert done.exit_code == 0, done
        self._check(name)
        chunk_bytes = max(map(len, self.things[name].chunks))
        life = Life(kills, self.holder.sent_twice_bytes(name), kills * MOST_OUT * chunk_bytes)
        assert life.twice_bytes <= life.bound_bytes, life
        assert self.holder.again == 0
        assert all(self.holder.sent[name, index] for index in range(len(self.things[name].chunks)))
        self.cluster.forget_all(ASKER)
        return life

    def _announce(self) -> None:
        """Tell the tracker what the holder has: it is a node that renews nothing."""
        self._announced += 1
        things = self.things.items()
        holdings = tuple(Holding(name, thing.id, thing.size_bytes) for name, thing in things)
        update = Update("holder", self.holder.address, 1, self._announced, holdings)
        self._tell(self.cluster.tracker_address, update)

    def _fetch_and_kill(self, name: str, rng: random.Random, options: tuple[str, ...]) -> bool:
        """Return whether it was killed before it had ended by itself."""
        self._announce()
        fetch = self.cluster.launch_fetch(name, ASKER, *options)
        if rng.random() < IN_THE_MIDDLE:
            left = len(self.things[name].chunks) - len(self.holder.sent)
            enough = self.holder.requests + rng.randint(1, max(1, left))
            self.cluster.wait(
                lambda: self.holder.requests >= enough or fetch.exit_code is not None,
                f"{enough} chunks were asked for",
            )
            time.sleep(rng.uniform(0, SENDING_S))
        else:
            with contextlib.suppress(TimeoutError):
                fetch.wait(rng.uniform(0, LIFE_S))
        fetch.send_signal(signal.SIGKILL)
        return self.cluster.finish(fetch, LIMIT_S).exit_code == -signal.SIGKILL

    def _check(self, name: str) -> None:
        assert self.cluster.things(ASKER) == [name]
        assert same(self.cluster.path / "right" / name, self.cluster.folder(ASKER) / name)
        aside = self.cluster.folder(ASKER) / ".shoal"
        leftovers = [*(aside / "partial").rglob("*"), *aside.glob("[di]*-*")]
        assert leftovers == [], leftovers


@contextlib.contextmanager
def lab(folder: Path) -> Iterator[Lab]:
    """Give the tracker, and a holder of a file and of a directory."""
    file, tree = noise(FILE_BYTES), _tree()
    things = {FILE: page_peers.file_of(file), TREE: page_peers.tree_of(tree)}
    context: Context = zmq.Context()
    with contextlib.ExitStack() as stack:
        stack.callback(context.destroy, linger=0)
        cluster = stack.enter_context(cluster_in(folder, nodes=(ASKER,)))
        _lay_out(cluster.path / "right", file, tree)
        cluster.start()
        holder = CountingHolder(context, things)
        stack.callback(holder.stop)
        yield Lab(cluster, holder, things, functools.partial(tell, context))


def _lay_out(folder: Path, file: bytes, tree: Tree) -> None:
    for path, (kind, content) in {FILE: ("f", file), TREE: ("d", b"")}.items():
        _make(folder / path, kind, content)
    for path, (kind, content) in tree.items():
        _make(folder / TREE / path, kind, content)


def _make(path: Path, kind: str, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "d":
        path.mkdir(exist_ok=True)
    else:
        path.write_bytes(content)
