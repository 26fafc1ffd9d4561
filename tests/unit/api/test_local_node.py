"""A node on this machine: the one that runs, or this process."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from shoal.api import folders
from shoal.api.fetch import fetch
from shoal.api.forget import forget
from shoal.api.local_node import LocalNode
from shoal.api.share import share
from shoal.api.verify import verify
from shoal.config.cluster import Cluster, NodeEntry, TrackerEntry
from shoal.node.agent import Agent
from shoal.node.folder.lock import FolderLock
from shoal.node.network.control_server import ControlServer
from shoal.protocol.errors import NotFoundError, StoppedError, TimedOutError

from tests.integration.running_tracker import RunningTracker
from tests.unit.wire.places import LIMIT_S, free_address


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    (tmp_path / "tracker").mkdir()
    with RunningTracker(tmp_path / "tracker", has_nodes=False) as tracker:
        entry = NodeEntry("n1", free_address(), tmp_path / "n1")
        place = TrackerEntry(tracker.address, tmp_path / "tracker")
        yield Cluster(tmp_path / "lan.yaml", (place,), {"n1": entry}, {})


def a_node(cluster: Cluster) -> LocalNode:
    return LocalNode(cluster, cluster.nodes["n1"])


def does_it_all(node: LocalNode, source: Path) -> None:
    source.write_bytes(b"some bytes")
    shared = share(node, source).sharing
    assert (shared.name, shared.announced, shared.version) == ("a", True, 1)
    assert fetch(node, "a").reused_bytes == len(b"some bytes")
    assert [(one.name, one.damaged) for one in verify(node)] == [("a", 0)]
    assert forget(node, "a", delete=True).deleted
    with pytest.raises(NotFoundError):
        forget(node, "a")


def test_this_process_is_the_node_if_it_does_not_run(cluster: Cluster, tmp_path: Path) -> None:
    with a_node(cluster) as node:
        assert not node.is_running
        does_it_all(node, tmp_path / "a")
    FolderLock.take(cluster.nodes["n1"].folder).release()


def test_a_node_that_runs_does_it(cluster: Cluster, tmp_path: Path) -> None:
    entry = cluster.nodes["n1"]
    agent = Agent(folders.identity_of(cluster, entry), folders.take_folder(entry))
    orders = ControlServer(agent, entry.folder)
    running = threading.Thread(target=orders.run)
    try:
        agent.start()
        running.start()
        with a_node(cluster) as node:
            assert node.is_running
            does_it_all(node, tmp_path / "a")
    finally:
        orders.stop()
        running.join(LIMIT_S)
        agent.stop()


def test_what_is_cancelled_does_nothing_more(cluster: Cluster) -> None:
    with a_node(cluster) as node:
        node.cancel(TimedOutError)
        with pytest.raises(TimedOutError, match="the time is up; run it again"):
            verify(node)


def test_a_folder_that_another_command_has_is_waited_for(cluster: Cluster) -> None:
    told: list[str] = []
    entry = cluster.nodes["n1"]
    lock = folders.take_folder(entry)
    end = threading.Timer(folders.TELL_S + 0.5, lock.release)
    end.start()
    with LocalNode(cluster, entry, told.append) as node:
        assert not node.is_running
    assert [line.partition(" is using ")[2] for line in told] == [
        f"the folder {entry.folder}; waiting for it to end"
    ]
    end.join()


def test_to_wait_for_a_folder_can_be_cancelled(cluster: Cluster) -> None:
    lock = folders.take_folder(cluster.nodes["n1"])
    node = a_node(cluster)
    node.cancel(StoppedError)
    with pytest.raises(StoppedError, match=r"is using the folder .*; run this again when it has"):
        node.__enter__()
    lock.release()
