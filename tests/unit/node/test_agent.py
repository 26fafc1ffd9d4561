"""A node, all of it together, with a tracker that only says who has the one thing there is."""

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
import zmq
from shoal.node.agent import Agent
from shoal.node.folder.lock import FolderLock
from shoal.node.orders.identity import Identity
from shoal.protocol.control import Fetched, FetchOrder, ShareOrder, Sharing
from shoal.protocol.errors import DiskError, Kind, OperatorError, StoppedError, TimedOutError
from shoal.protocol.messages import State, Told
from shoal.protocol.trackers import Trackers

from tests.unit.node.hostile import HONEST, NAME, NUISANCES, NamingTracker, swarm
from tests.unit.node.things import id_of, plain
from tests.unit.wire.places import LIMIT_S, eventually, free_address, replier

Context: TypeAlias = "zmq.Context[zmq.Socket[bytes]]"
DATA = os.urandom(5000)


@contextlib.contextmanager
def a_node(folder: Path, tracker: str, address: str | None = None) -> Iterator[Agent]:
    folder.mkdir(parents=True, exist_ok=True)
    identity = Identity("n1", address or free_address(), folder, Trackers([tracker]))
    agent = Agent(identity, FolderLock.take(folder))
    try:
        yield agent
    finally:
        agent.stop()


def fetch(agent: Agent, what: str = NAME, *, force: bool = False) -> Fetched:
    return agent.fetch(FetchOrder(what, force=force), lambda _: None)


def share(agent: Agent, name: str) -> Sharing:
    report = agent.carry_out(ShareOrder(name), lambda _: None)
    assert isinstance(report, Sharing)
    return report


@pytest.fixture
def tracker(context: Context) -> Iterator[NamingTracker]:
    """A tracker that names one honest holder."""
    with swarm(context, DATA, [HONEST]) as (tracker, _):
        yield tracker


def test_says_in_what_state_a_thing_is_here(tracker: NamingTracker, tmp_path: Path) -> None:
    with a_node(tmp_path, tracker.address) as agent:
        agent.start()
        assert agent.wait_for_first_look(LIMIT_S)
        content_id = fetch(agent).id
        size = len(DATA)
        assert agent.state_of(NAME, None) == State("whole", size, size)
        assert agent.state_of(NAME, content_id) == State("whole", size, size)
        assert agent.state_of(NAME, f"b3:{1:064x}") == State("other")
        assert agent.state_of("nothing", None) == State("none")
        agent._register.refuse(Told("other", content_id, 1, "n2", taken=False))
        assert agent.state_of("other", None) == State("changed")
        examiner = agent._watcher._examiner
        examiner._hashed_bytes, examiner._sizes_bytes = {"big": 3}, {"big": 7}
        assert agent.state_of("big", None) == State("hashing", 3, 7)


def test_fetches_and_serves_what_it_has(tracker: NamingTracker, tmp_path: Path) -> None:
    with a_node(tmp_path, tracker.address) as agent:
        agent.start()
        assert agent.wait_for_first_look(LIMIT_S)
        done = fetch(agent)
        assert (tmp_path / NAME).read_bytes() == DATA
        assert done.fetched_bytes == len(DATA)
        again = fetch(agent)
        assert (again.fetched_bytes, again.reused_bytes) == (0, len(DATA))
        assert agent.inventory.names() == [NAME]


def test_does_not_replace_what_nobody_else_has(tracker: NamingTracker, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"mine")
    with a_node(tmp_path, tracker.address) as agent:
        agent.start_for_one_fetch()
        with pytest.raises(OperatorError, match="that no other node holds; move it"):
            fetch(agent)
        assert (tmp_path / NAME).read_bytes() == b"mine"
        assert fetch(agent, force=True).fetched_bytes == len(DATA)
        assert (tmp_path / NAME).read_bytes() == DATA


def test_shares_what_was_put_there(tracker: NamingTracker, tmp_path: Path) -> None:
    with a_node(tmp_path, tracker.address) as agent:
        agent.start_for_one_fetch()
        (tmp_path / "b.bin").write_bytes(b"new")
        shared = share(agent, "b.bin")
        assert (shared.id, shared.announced) == (id_of(plain(b"new")), True)
        agent.look_once()


@pytest.mark.parametrize("name", ["nowhere", "../out", "/etc/hostname", ".shoal/lock", "a\nb"])
def test_shares_nothing_else(tracker: NamingTracker, tmp_path: Path, name: str) -> None:
    (tmp_path / "out").write_bytes(b"secret")
    with a_node(tmp_path / "n1", tracker.address) as agent:
        agent.start_for_one_fetch()
        with pytest.raises(OperatorError, match=r"is not in|control character") as refused:
            share(agent, name)
        assert isinstance(refused.value, DiskError)


def test_who_orders_the_same_waits_for_it_and_stops_nobody_else(
    context: Context, tmp_path: Path
) -> None:
    slow = swarm(context, DATA, [NUISANCES["slow"]])
    with slow as (tracker, holders), a_node(tmp_path, tracker.address) as agent:
        agent.start_for_one_fetch()
        orders = [FetchOrder(NAME) for _ in range(3)]
        ends: dict[int, object] = {}

        def wait_for_it(number: int) -> None:
            try:
                ends[number] = agent.fetch(orders[number], lambda _: None)
            except OperatorError as error:
                ends[number] = type(error)

        threads = [threading.Thread(target=wait_for_it, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        eventually(lambda: holders[0].requests)
        (job,) = agent._jobs._running.values()
        eventually(lambda: len(job._callers) == 3)
        agent.cancel(FetchOrder(NAME), StoppedError)  # It is nobody's.
        agent.cancel(orders[1], TimedOutError)
        threads[1].join(LIMIT_S)
        assert ends == {1: TimedOutError}
        holders[0].way = HONEST
        for thread in threads:
            thread.join(LIMIT_S)
        assert isinstance(ends[0], Fetched)
        assert ends[0] == ends[2]
        assert sum(ends[0].holders.values()) == len(DATA)


def test_the_last_who_waits_stops_it(context: Context, tmp_path: Path) -> None:
    silent = swarm(context, DATA, [NUISANCES["silent"]])
    with silent as (tracker, holders), a_node(tmp_path, tracker.address) as agent:
        agent.start_for_one_fetch()
        order, ends = FetchOrder(NAME), list[Kind]()

        def wait_for_it() -> None:
            with pytest.raises(OperatorError) as stopped:
                agent.fetch(order, lambda _: None)
            ends.append(type(stopped.value))

        thread = threading.Thread(target=wait_for_it)
        thread.start()
        eventually(lambda: holders[0].requests)
        agent.cancel(order, StoppedError)
        thread.join(LIMIT_S)
        assert ends == [StoppedError]
        agent.cancel_all(StoppedError)
        with pytest.raises(OperatorError) as refused:
            fetch(agent)
        assert isinstance(refused.value, StoppedError)


def test_a_port_that_is_taken_is_said_so_and_all_is_put_down(
    context: Context, tracker: NamingTracker, tmp_path: Path
) -> None:
    address = free_address()
    other = replier(context, address)
    with pytest.raises(OperatorError, match="the port is in use"):  # noqa: SIM117
        with a_node(tmp_path, tracker.address, address) as agent:
            agent.start()
    FolderLock.take(tmp_path).release()
    with a_node(tmp_path, tracker.address, address) as agent:
        agent.start_for_one_fetch()
        assert fetch(agent).fetched_bytes == len(DATA)
    other.close()
