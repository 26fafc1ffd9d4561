"""Readers: what is drawn for those who read things while they come, and what must become of them.

They use the library's own files (api.reading), whose orders go to the node of their host.
"""

import contextlib
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from shoal.api.exceptions import ShoalError
from shoal.api.reading import Reader, open_reading
from shoal.protocol import listing
from shoal.protocol.control import CloseOrder, Reading, Report
from shoal.protocol.errors import OperatorError, UnavailableError

from tests.simulation.faults.acts import unless_calm
from tests.simulation.faults.content import Version
from tests.simulation.faults.threads import Thread
from tests.simulation.faults.trace import Finding
from tests.simulation.faults.users import User, is_in_the_way

if TYPE_CHECKING:
    from tests.simulation.faults.cluster import Cluster
    from tests.simulation.faults.story import Story

SHARE = 1 / 6  # Of the seeds.
BOUND_S = 300.0  # After the faults, each reader gets what it asks for within this.
GIVEN_UP_S = 30.0  # Until nothing is fetched for readers that have closed: 3 s, and a retry.
PAUSES_S = (0.0, 0.3, 4.0)
AGAIN_S = (0.5, 3.0)
TRIES = 6  # To open something, while faults come.
GIVES = 4  # An order again to a node that has been started again, as api.resident does.
FILES = {listing.FILE, listing.EXECUTABLE}


def draw(story: "Story") -> None:
    """Put readers into the story, in a share of the seeds."""
    rng = story.cluster.readers_rng
    story.has_readers = rng.random() < SHARE
    for _ in range(rng.choice((2, 6)) if story.has_readers else 0):
        story.cluster.loop.at(rng.uniform(1.0, 40.0), unless_calm, story, read_while_it_comes)


def read_while_it_comes(story: "Story") -> None:
    """Have somebody open something and read some of it, here and there or from end to end."""
    rng = story.cluster.readers_rng
    user = story.users[rng.choice(sorted(story.users))]
    what = _file_of(story, rng.choice(sorted(story.names)))
    visit = Visit(user, random.Random(rng.getrandbits(64)), what)
    Thread(target=visit.read_a_while, name="reader").start()


def _file_of(story: "Story", name: str) -> str:
    """Return what to open of a thing: of a tree a file that some version has, or had."""
    rng, versions = story.cluster.readers_rng, story.cluster.archive.by_name.get(name, [])
    if not versions:
        return name
    version = rng.choice(versions[-2:])
    what = f"{name}@{version.id[3:]}" if rng.random() < 0.2 else name
    inside = sorted(path for path, item in version.items.items() if item[0] in FILES)
    path = rng.choice(inside)
    return f"{what}/{path}" if path else what


class Orders:
    """Gives a reader's orders to the node of its host."""

    def __init__(self, user: User) -> None:
        self._user = user

    def carry_out(self, order: Reading) -> Report:
        for _ in range(GIVES):
            outcome = self._user._order(order)
            if isinstance(outcome, OperatorError):
                raise outcome
            if outcome is not None or isinstance(order, CloseOrder):
                return outcome  # type: ignore[return-value]
        raise UnavailableError("the node is killed again and again; run it again")


class Visit:
    """One file that somebody reads."""

    def __init__(self, user: User, rng: random.Random, what: str) -> None:
        self._user = user
        self._rng = rng
        self._what = what
        self._cluster: Cluster = user._cluster

    def read_a_while(self) -> None:
        """Open it and read drawn ranges while faults come."""
        for _ in range(TRIES):
            with contextlib.suppress(ShoalError), self._opened() as reader:
                self._cluster.hits["reader opened"] += 1
                for _ in range(self._rng.randint(1, 5)):
                    self._read_some(reader)
                    self._cluster.loop.pass_time(self._rng.choice(PAUSES_S) * self._rng.random())
                self._cluster.hits["reader closed"] += 1
                return
            self._cluster.hits["reader refused"] += 1
            if self._cluster.is_calm:
                return
            self._cluster.loop.pass_time(self._rng.uniform(*AGAIN_S))

    def read_until_it_comes(self) -> None:
        """Read a range of it, however often that takes."""
        while True:
            try:
                with self._opened() as reader:
                    self._read_some(reader)
                    return
            except ShoalError as error:
                if is_in_the_way(str(error)):
                    self._user.move_away(self._what.partition("/")[0])
            self._cluster.loop.pass_time(self._rng.uniform(*AGAIN_S))

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Reader]:
        self._user.reads += 1
        try:
            with open_reading(Orders(self._user), self._what) as reader:
                yield reader
        finally:
            self._user.reads -= 1

    def _read_some(self, reader: Reader) -> None:
        offset = reader.seek(self._rng.choice((0, self._rng.randint(0, reader.size))))
        most = self._rng.choice((1, 5_000, 100_000, reader.size + 1))
        data = reader.read(most)
        self._cluster.hits["reader got bytes"] += 1
        self._user._note(f"reads {len(data)} bytes of {reader.name}")
        self._require_right(reader, offset, most, data)

    def _require_right(self, reader: Reader, offset: int, most: int, data: bytes) -> None:
        version = self._cluster.archive.by_id.get(reader.id)
        if version is None:  # A liar's.
            return
        expected = _bytes_in(version, reader._opened.inside)
        if data == expected[offset : offset + most] and reader.size == len(expected):
            return
        host = self._user.host.name
        if host in self._cluster.checks.bad_disks:  # In its own folder no ctime tells of rot.
            self._cluster.hits["reader got rot"] += 1
            return
        text = f"{host}: {len(data)} bytes at {offset} of {reader.name} are wrong"
        raise Finding("read", text)


def _bytes_in(version: Version, inside: str) -> bytes:
    path, seen = inside, 0
    while version.items[path][0] == listing.LINK and seen < 10:
        path, seen = version.items[path][1].decode(), seen + 1
    return version.items[path][1]


class Settlement:
    """Has everybody read something once all faults are over, and closes it."""

    def __init__(self, story: "Story") -> None:
        self._story = story
        self._cluster: Cluster = story.cluster
        self._running: set[str] = set()

    def settle(self) -> None:
        """Raise Finding if somebody does not get it in time, or is not forgotten."""
        cluster = self._cluster
        for number, (user, what) in enumerate(self._wanted()):
            visit = Visit(user, random.Random(self._cluster.readers_rng.getrandbits(64)), what)
            key = f"{number}: {what} at {user.host.name}"
            self._running.add(key)
            Thread(target=lambda v=visit, k=key: self._work(v, k), name="reader").start()
        cluster.run(BOUND_S, lambda: not self._running)
        if self._running:
            raise Finding("liveness", f"a reader did not get bytes: {min(self._running)}")
        cluster.run(GIVEN_UP_S, lambda: not self._still_read())
        if left := self._still_read():
            raise Finding("given up", left)

    def _work(self, visit: Visit, key: str) -> None:
        visit.read_until_it_comes()
        self._running.discard(key)

    def _wanted(self) -> list[tuple[User, str]]:
        story, checks, rng = self._story, self._cluster.checks, self._cluster.readers_rng
        wanted = []
        for name in sorted(story.names):
            if not checks.can_be_had(name):
                continue
            version = self._cluster.archive.by_id.get(min(checks.newest(name)))
            inside = [] if version is None else _files_in(version)
            for user in story.users.values():
                if inside and not user.host.read_only and rng.random() < 0.5:
                    path = rng.choice(inside)
                    wanted.append((user, f"{name}/{path}" if path else name))
        return wanted

    def _still_read(self) -> str:
        """Return what is still open or fetched for readers, empty if nothing is."""
        for name, node in self._cluster.nodes.items():
            if self._story.users[name].reads:
                continue  # It may be a version that only a liar says it has: that takes long.
            reading: Any = node.agent._reading if node.agent is not None else None
            if reading is not None and (reading._shared or reading._running):
                return f"{name} still fetches for readers, who have closed what they read"
        return ""


def _files_in(version: Version) -> list[str]:
    return sorted(path for path, item in version.items.items() if item[0] in FILES)
