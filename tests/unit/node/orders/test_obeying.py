"""The thread that fetches what is pushed: when it begins, and when it ends a fetch for another."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from shoal.node.orders.obeying import STUCK, Obeying
from shoal.node.serving import wished
from shoal.protocol.control import Fetched, FetchOrder, Working
from shoal.protocol.errors import Kind, NobodyAliveError, StoppedError
from shoal.protocol.pushing import Wish

from tests.unit.node.company import Company, Member
from tests.unit.wire.places import eventually

A, B = (Wish(name, f"b3:{number:064x}", 1000) for number, name in enumerate("ab", 1))


class Fetching:
    """Carries out orders: that for `a` never comes to an end by itself, all others fail."""

    def __init__(self, member: Member) -> None:
        agent = member.agent
        self.begun: list[str] = []
        self.cancelled: list[Kind] = []
        self.wanted: Callable[[], bool] = lambda: False
        self._is_over = threading.Event()
        calls = self.fetch, self.cancel, lambda: None
        self.obeying = Obeying(agent._fetches._home, agent._activity, *calls)

    def fetch(
        self,
        order: FetchOrder,
        on_progress: Callable[[Working], None],
        content_id: str,
        is_wanted: Callable[[], bool],
    ) -> Fetched:
        assert order.what.endswith(content_id.removeprefix("b3:"))
        name = order.what[0]
        self.begun.append(name)
        self.wanted = is_wanted
        while name == "a" and not self._is_over.wait(0.01):
            on_progress(Working("a", 1, 2, 1))
        self._is_over.clear()
        raise NobodyAliveError("nobody has it") if name != "a" else StoppedError("interrupted")

    def cancel(self, _: FetchOrder, kind: Kind) -> None:
        self.cancelled.append(kind)
        self._is_over.set()

    def reasons(self) -> dict[str, str]:
        return {one.name: one.reason for one in self.obeying.doing().failed}

    def stop(self) -> None:
        self._is_over.set()
        self.obeying.stop()


@pytest.fixture
def fetching(tmp_path: Path) -> Fetching:
    with Company(tmp_path) as company:
        return Fetching(company.join("n1"))


def test_a_fetch_that_gets_nothing_ends_for_another(
    fetching: Fetching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody who was there had the rest; all else that was pushed waited for ten minutes."""
    monkeypatch.setattr(wished, "STUCK_S", 0.05)
    fetching.obeying.take([A, B])
    fetching.obeying.start()
    eventually(lambda: fetching.reasons() == {"a": STUCK, "b": "nobody has it"})
    assert fetching.begun[:2] == ["a", "b"]
    assert fetching.cancelled[0] is StoppedError
    fetching.stop()


def test_it_goes_on_if_there_is_no_other(
    fetching: Fetching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wished, "STUCK_S", 0.0)
    fetching.obeying.take([A])
    fetching.obeying.start()
    eventually(lambda: fetching.begun == ["a"])
    assert not threading.Event().wait(0.1)
    assert (fetching.cancelled, fetching.wanted()) == ([], True)
    fetching.obeying.take([])
    assert (fetching.cancelled, fetching.wanted()) == ([StoppedError], False)
    fetching.stop()
    assert fetching.reasons() == {}
    assert not fetching.obeying._thread.is_alive()
