"""A few whole nodes in this process, and a real tracker that they tell what they hold."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import pytest
from shoal.node.agent import Agent
from shoal.node.folder.lock import FolderLock
from shoal.node.orders.identity import Identity
from shoal.protocol import messages
from shoal.protocol.control import (
    Fetched,
    FetchOrder,
    ForgetOrder,
    Forgotten,
    Report,
    ShareOrder,
    Sharing,
    Task,
    Verified,
    VerifyOrder,
)
from shoal.protocol.errors import OperatorError
from shoal.protocol.messages import Holders
from shoal.protocol.trackers import Trackers

from tests.integration.running_tracker import RunningTracker
from tests.unit.node.sample_trees import Items, make
from tests.unit.wire.places import LIMIT_S, free_address

R = TypeVar("R", bound=Report)


class Company:
    """The tracker, and those who are there; a context manager."""

    def __init__(self, folder: Path, *, has_nodes: bool = False) -> None:
        """`has_nodes` says whether the tracker's cluster file names others, who do not run."""
        self.folder = folder
        (folder / "tracker").mkdir()
        self._tracker = RunningTracker(folder / "tracker", has_nodes=has_nodes)
        self._ends = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._ends.enter_context(self._tracker)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ends.close()

    def place(self, name: str) -> Path:
        """Return the folder of a node, which need not be there."""
        return self.folder / name

    def put(self, name: str, thing: str, content: bytes | Items) -> Path:
        """Lay a file or a directory into a node's folder; return where it is."""
        path = self.place(name) / thing
        path.parent.mkdir(exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
            return path
        return make(path, content)

    def publish(self, name: str, thing: str, content: bytes | Items) -> "Member":
        """Start a node that publishes this, whoever has published something under that name."""
        self.put(name, thing, content)
        member = self.join(name)
        member.share(thing, force=True)
        return member

    def join(self, name: str, quota_bytes: int | None = None) -> "Member":
        """Start a node, and wait until the tracker knows all that is in its folder."""
        return self._ends.enter_context(self._member(name, quota_bytes))

    @contextlib.contextmanager
    def visiting(self, name: str, *, command: bool = False) -> "Iterator[Member]":
        """Start a node for a while, perhaps as a command does that fetches one thing."""
        with self._member(name, None, command=command) as member:
            yield member

    def holders(self, what: str) -> dict[str, bool]:
        """Return who holds it, and whether all of it; empty if it is not known."""
        answer = self.answer(what)
        return {holder.node: holder.complete for holder in answer.holders} if answer else {}

    def answer(self, what: str) -> Holders | None:
        reply = self._tracker.ask(messages.Query(what))
        return reply if isinstance(reply, Holders) else None

    @contextlib.contextmanager
    def _member(
        self, name: str, quota_bytes: int | None, *, command: bool = False
    ) -> "Iterator[Member]":
        folder = self.place(name)
        folder.mkdir(exist_ok=True)
        identity = Identity(
            name, free_address(), folder, Trackers([self._tracker.address]), quota_bytes
        )
        agent = Agent(identity, FolderLock.take(folder))
        try:
            if command:
                agent.start_for_one_fetch()
            else:
                agent.start()
                assert agent.wait_for_first_look(LIMIT_S)
                agent._announce()
            yield Member(agent)
        finally:
            agent.stop()


class Member:
    """A node that carries out orders in the caller's thread."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent

    def fetch(self, what: str, **options: Any) -> Fetched:
        return self._carry_out(FetchOrder(what, **options), Fetched)

    def share(self, name: str, **options: Any) -> Sharing:
        return self._carry_out(ShareOrder(name, **options), Sharing)

    def forget(self, what: str, *, delete: bool = False) -> Forgotten:
        return self._carry_out(ForgetOrder(what, delete), Forgotten)

    def verify(self, what: str | None = None, after: str = "") -> Verified:
        return self._carry_out(VerifyOrder(what, after), Verified)

    def _carry_out(self, order: Task, expected: type[R]) -> R:
        report = self.agent.carry_out(order, lambda _: None)
        assert isinstance(report, expected)
        return report


def refused(order: Callable[..., object], *arguments: object, **options: object) -> OperatorError:
    """Carry out an order that must fail; return how it does."""
    with pytest.raises(OperatorError) as caught:
        order(*arguments, **options)
    return caught.value


@contextlib.contextmanager
def growing(path: Path) -> Iterator[None]:
    """Have something written to a file again and again, more often than it can be hashed."""
    is_over = threading.Event()

    def write() -> None:
        with path.open("r+b") as file:
            file.seek(0, 2)
            while not is_over.wait(0.0001):
                file.write(b"more")
                file.flush()

    path.touch()
    os.truncate(path, 256 << 20)  # All of it a hole.
    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
