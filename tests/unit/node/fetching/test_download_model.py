"""A download among holders of every kind: it ends, stores only right chunks, bans only liars."""

import heapq
import itertools
from random import Random

import hypothesis.strategies as st
from hypothesis import example, given, settings
from shoal.node.fetching import steps
from shoal.node.fetching.download import Download
from shoal.node.fetching.drive import drive
from shoal.node.fetching.versions import Meant
from shoal.protocol import bitmap, manifest
from shoal.protocol.errors import DiskError, IntegrityError, WireCode
from shoal.protocol.messages import Holder, Holders

from tests.simulation.host import Disk
from tests.unit.node.fetching.test_roster import TRACKER
from tests.unit.node.things import id_of, rng, thing

THING = thing([10] * 11 + [3])
ID = id_of(THING)
COUNT = THING.chunk_count
LIMIT_S = 2 * 60 * 60
LOSS = 0.4  # Of an honest holder's replies.


class Kind:
    """How one kind of holder answers: events, each so many seconds after the request."""

    is_liar = False
    delays_s: tuple[float, ...] = (0.001, 0.05, 0.4, 3.0)

    def __init__(self, node: str, random: Random) -> None:
        self.node = node
        self.random = random

    def manifest(self, request_id: int) -> list[steps.Event]:
        return [steps.ManifestReceived(self.node, request_id, manifest.encode(THING))]

    def answer(self, request: steps.RequestChunk) -> list[steps.Event]:
        return [self.chunk(request, request.index)]

    def chunk(self, request: steps.RequestChunk, index: int) -> steps.ChunkReceived:
        size, digest = THING.chunk_size(index), THING.digest(index)
        return steps.ChunkReceived(self.node, request.request_id, index, size, digest, b"")


class Honest(Kind):
    pass


class Lossy(Kind):
    """Loses replies, never two in a row, and repeats others."""

    has_answered = False

    def answer(self, request: steps.RequestChunk) -> list[steps.Event]:
        self.has_answered = not self.has_answered or self.random.random() >= LOSS
        if not self.has_answered:
            return []
        return super().answer(request) * self.random.choice([1, 1, 2])


class Flaky(Kind):
    """Loses its connection now and then."""

    def answer(self, request: steps.RequestChunk) -> list[steps.Event]:
        if self.random.random() < 0.1:
            return [steps.HolderLost(self.node, "closed the connection")]
        return super().answer(request)


class Partial(Kind):
    """Has a few chunks, and says which."""

    def answer(self, request: steps.RequestChunk) -> list[steps.Event]:
        have = bitmap.to_bytes(bitmap.of(range(0, COUNT, 3)), COUNT)
        if request.index % 3:
            return [steps.NothingReceived(self.node, request.request_id, have)]
        return [self.chunk(request, request.index)]


class Spread(Kind):
    """Has every third chunk, others than its neighbours have, and says which."""

    def answer(self, request: steps.RequestChunk) -> list[steps.Event]:
        first = int(self.node[1:]) % 3
        if request.index % 3 == first:
            return [self.chunk(request, request.index)]
        have = bitmap.to_bytes(bitmap.of(range(first, COUNT, 3)), COUNT)
        return [steps.NothingReceived(self.node, request.request_id, have)]


class Contradictory(Kind):
    """Says that it has this or that, and sends nothing."""

    def answer(self, request: steps.RequestChunk) -> list[steps.Event]:
        have = self.random.randbytes(self.random.choice([0, 2]))
        return [steps.NothingReceived(self.node, request.request_id, have)]


class Busy(Kind):
    def answer(self, request: steps.RequestChunk) -> list[steps.Event]:
        return [steps.RequestRefused(self.node, request.request_id, WireCode.BUSY, "busy")]


class Refusing(Kind):
    def answer(self, request: steps.RequestChunk) -> list[steps.Event]:
        return [steps.RequestRefused(self.node, request.request_id, WireCode.NOT_FOUND, "no")]


class Silent(Kind):
    def answer(self, _: steps.RequestChunk) -> list[steps.Event]:
        return []


class Mute(Silent):
    def manifest(self, _: int) -> list[steps.Event]:
        return []


class Slow(Kind):
    delays_s = (20.0, 45.0)


class Guessing(Silent):
    """Answers requests that nobody made."""

    def answer(self, request: steps.RequestChunk) -> list[steps.Event]:
        guess = self.chunk(request, 0)
        made_up = guess.request_id + self.random.randrange(1, 1000)
        return [steps.ChunkReceived(self.node, made_up, 0, 10, THING.digest(0), b"")]


class Liar(Kind):
    is_liar = True

    def answer(self, request: steps.RequestChunk) -> list[steps.Event]:
        right = self.chunk(request, request.index)
        node, request_id, index = right.node, right.request_id, right.index
        other = (index + 1) % COUNT
        lies = [
            steps.ChunkReceived(node, request_id, index, right.size_bytes, bytes(32), b""),
            steps.ChunkReceived(node, request_id, index, right.size_bytes + 1, right.digest, b""),
            steps.ChunkReceived(node, request_id, index, 0, right.digest, b""),
            self.chunk(request, other),
            steps.ChunkReceived(node, request_id, 2**30, 10, right.digest, b""),
        ]
        return [self.random.choice(lies)]


class Rotten(Kind):
    """Has rotted in two places, which are others for its neighbours."""

    def chunk(self, request: steps.RequestChunk, index: int) -> steps.ChunkReceived:
        right = super().chunk(request, index)
        if index % 6 != int(self.node[1:]) % 6:
            return right
        return steps.ChunkReceived(
            self.node, right.request_id, index, right.size_bytes, bytes(32), b""
        )


class HalfRotten(Kind):
    """Has lost each second chunk, which are others for its neighbours."""

    def chunk(self, request: steps.RequestChunk, index: int) -> steps.ChunkReceived:
        right = super().chunk(request, index)
        if index % 2 == int(self.node[1:]) % 2:
            return right
        return steps.ChunkReceived(
            self.node, right.request_id, index, right.size_bytes, bytes(32), b""
        )


class Forger(Kind):
    is_liar = True

    def manifest(self, request_id: int) -> list[steps.Event]:
        return [steps.ManifestReceived(self.node, request_id, self.random.randbytes(40))]

    def answer(self, _: steps.RequestChunk) -> list[steps.Event]:
        return [steps.HolderLost(self.node, "sent what is no message", lied=True)]


GOOD = [Honest, Lossy, Flaky]
BAD = [Partial, Contradictory, Busy, Refusing, Silent, Mute, Slow, Guessing, Rotten, Liar, Forger]


class World:
    """Virtual time, the holders, a tracker that fails now and then, and a disk."""

    def __init__(self, kinds: list[type[Kind]], seed: int) -> None:
        self.now = 0.0
        self.random = Random(seed)
        self.holders = {
            f"n{number}": kind(f"n{number}", self.random) for number, kind in enumerate(kinds, 1)
        }
        self.download = Download(Meant("a.bin", "a.bin"), "me", (TRACKER,), rng())
        at_start = self.random.getrandbits(COUNT) & self.random.getrandbits(COUNT)
        self.have = set(bitmap.indices(at_start))
        self.disk = Disk()
        self.wrong: set[tuple[str, int]] = set()
        self.replies: dict[tuple[str, int], steps.ChunkReceived] = {}  # The last to each request.
        self.outcome: steps.Action | None = None
        self._coming: list[tuple[float, int, steps.Event]] = []
        self._counter = itertools.count()

    def run(self) -> steps.Action:
        self.feed(steps.TimePassed())
        while self.outcome is None:
            deadline = self.download.deadline(self.now)
            assert deadline is None or deadline > self.now
            due = self._coming[0][0] if self._coming else None
            self.now = min(time for time in (deadline, due) if time is not None)
            assert self.now < LIMIT_S
            event = heapq.heappop(self._coming)[2] if self.now == due else steps.TimePassed()
            self.feed(event)
        return self.outcome

    def feed(self, event: steps.Event) -> None:
        if isinstance(event, steps.ChunkReceived):
            self.replies[event.node, event.request_id] = event
        drive(lambda event: self.download.handle(event, self.now), self.carry_out, event)

    def carry_out(self, action: steps.Action) -> steps.Event | None:
        if self.disk.refuses(action):
            return steps.DiskFailed("the disk is full")
        match action:
            case steps.RequestManifest(node, request_id):
                self.reply(node, self.holders[node].manifest(request_id))
            case steps.RequestChunk(node, _, _, index):
                assert node not in self.banned()
                assert (node, index) not in self.wrong
                self.reply(node, self.holders[node].answer(action))
            case steps.StoreChunk():
                self.store(action)
            case steps.QueryTracker():
                self.soon(self.tracker_answer(), 0.01)
            case steps.OpenStaging():
                everything = bitmap.full(action.manifest.chunk_count)
                self.soon(steps.StagingOpened(bitmap.of(self.have), everything), 0.1)
            case _:
                self.end(action)
        return None

    def end(self, action: steps.Action) -> None:
        if isinstance(action, steps.ReportChunk):
            assert (action.node, action.index) not in self.wrong
            self.wrong.add((action.node, action.index))
        if isinstance(action, steps.Publish):
            assert self.have == set(range(COUNT))
        if isinstance(action, steps.Publish | steps.Fail):
            self.outcome = action

    def reply(self, node: str, events: list[steps.Event]) -> None:
        for event in events:
            self.soon(event, self.random.choice(self.holders[node].delays_s))

    def soon(self, event: steps.Event, seconds: float) -> None:
        heapq.heappush(self._coming, (self.now + seconds, next(self._counter), event))

    def tracker_answer(self) -> steps.Event:
        if self.download.manifest is not None and self.random.random() < 0.3:
            return steps.TrackerLost("it does not answer")
        named = tuple(
            Holder(node, f"tcp://10.0.1.1:{11000 + int(node[1:])}", complete=True, alive=True)
            for node in self.holders
        )
        return steps.HoldersFound(Holders("a.bin", ID, THING.size_bytes, named))

    def store(self, action: steps.StoreChunk) -> None:
        reply = self.replies[action.node, action.request_id]
        assert (reply.index, reply.digest) == (action.index, THING.digest(action.index))
        assert action.index not in self.have
        self.have.add(action.index)

    def banned(self) -> set[str]:
        return set(self.download.roster._banned)


@given(
    good=st.lists(st.sampled_from(GOOD), min_size=1, max_size=2),
    bad=st.lists(st.sampled_from(BAD), max_size=6),
    seed=st.integers(0, 2**32),
)
@example(good=[Honest], bad=[Liar] * 9, seed=1)
@settings(max_examples=60)
def test_one_good_holder_is_enough(
    good: list[type[Kind]], bad: list[type[Kind]], seed: int
) -> None:
    kinds = bad + good
    Random(seed).shuffle(kinds)
    world = World(kinds, seed)
    assert world.run() == steps.Publish()
    liars = {node for node, holder in world.holders.items() if holder.is_liar}
    assert world.banned() <= liars
    pardoned = {node for node in liars if world.download.roster.evidence.is_pardoned(node)}
    most = 3 * len(liars - pardoned) + 16 * len(pardoned) + 2 * kinds.count(Rotten)
    assert world.download.tally.wrong_chunks <= most


@given(others=st.lists(st.sampled_from(BAD), max_size=4), seed=st.integers(0, 2**32))
@settings(max_examples=40)
def test_two_that_rotted_in_different_places_are_enough(
    others: list[type[Kind]], seed: int
) -> None:
    world = World([Rotten, Rotten, *others], seed)
    assert world.run() == steps.Publish()
    assert not world.banned() & {"n1", "n2"}


@given(others=st.lists(st.sampled_from(BAD), max_size=3), seed=st.integers(0, 2**32))
@settings(max_examples=40)
def test_two_of_which_each_has_lost_half_are_enough(others: list[type[Kind]], seed: int) -> None:
    """At first sight each of them may look like a liar."""
    assert World([HalfRotten, HalfRotten, *others], seed).run() == steps.Publish()


@given(others=st.lists(st.sampled_from(BAD), max_size=3), seed=st.integers(0, 2**32))
@settings(max_examples=40)
def test_three_of_which_each_has_a_third_are_enough(others: list[type[Kind]], seed: int) -> None:
    """Fault 54: nobody has it all."""
    assert World([Spread] * 3 + others, seed).run() == steps.Publish()


@given(bad=st.lists(st.sampled_from(BAD), min_size=1, max_size=5), seed=st.integers(0, 2**32))
@settings(max_examples=60)
def test_ends_whatever_the_holders_are(bad: list[type[Kind]], seed: int) -> None:
    world = World(bad, seed)
    outcome = world.run()
    liars = {node for node, holder in world.holders.items() if holder.is_liar}
    assert world.banned() <= liars
    if isinstance(outcome, steps.Fail) and liars and all(kind.is_liar for kind in bad):
        assert outcome.kind is IntegrityError


@given(kind=st.sampled_from([Liar, Forger]), count=st.integers(1, 9), seed=st.integers(0, 2**32))
@settings(max_examples=30)
def test_liars_alone_are_found_out_at_once(kind: type[Kind], count: int, seed: int) -> None:
    world = World([kind] * count, seed)
    outcome = world.run()
    if not isinstance(outcome, steps.Publish):  # It may all have been there already.
        assert isinstance(outcome, steps.Fail)
        assert outcome.kind is IntegrityError
        assert world.now < 60


@given(
    kinds=st.lists(st.sampled_from(GOOD + BAD), min_size=1, max_size=4),
    fails_at=st.integers(1, COUNT + 2),
    seed=st.integers(0, 2**32),
)
@example(kinds=[Honest], fails_at=COUNT + 1, seed=4)  # The last chunk: nothing is published.
@settings(max_examples=60)
def test_after_a_disk_that_failed_it_wants_nothing_more_of_it(
    kinds: list[type[Kind]], fails_at: int, seed: int
) -> None:
    world = World([*kinds, Honest], seed)
    world.disk.fails_at = fails_at
    outcome = world.run()
    if world.disk.has_refused:
        assert outcome == steps.Fail(DiskError, "the disk is full")
    else:
        assert isinstance(outcome, steps.Publish)
