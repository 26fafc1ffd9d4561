"""Orders from commands on this machine, and the reports on them."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
import zmq

from node.agent import Agent
from node.control_server import ControlServer
from protocol import control, messages
from protocol.control import Cancel, Failed, Fetched, FetchOrder, ShareOrder, Sharing, Working
from protocol.errors import ExitCode
from protocol.messages import Message
from tests.unit.node.hostile import HONEST, NAME, NUISANCES, AnyHolder, swarm
from tests.unit.node.test_agent import a_node
from tests.unit.wire.places import LIMIT_S, eventually
from wire import control_socket

Context: TypeAlias = "zmq.Context[zmq.Socket[bytes]]"
DATA = os.urandom(5000)


class Scene:
    """A node that takes orders, and a command that gives them."""

    def __init__(self, context: Context, agent: Agent, holder: AnyHolder) -> None:
        self.agent = agent
        self.holder = holder
        self.server = ControlServer(agent)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        folder = agent.identity.folder
        eventually(lambda: control_socket.takes_orders(folder))
        self.command = control_socket.command_end(context, folder)

    def close(self) -> None:
        self.command.close()
        self.server.stop()
        self.thread.join(LIMIT_S)
        assert not self.thread.is_alive()

    def order(self, order: Message, tag: bytes = b"1") -> None:
        self.command.send_multipart([tag, b"", messages.encode(order)])

    def report(self) -> tuple[bytes, control.Report]:
        assert self.command.poll(int(1000 * LIMIT_S))
        tag, _, body = self.command.recv_multipart()
        report: control.Report = messages.decode(body, control.Report)
        return tag, report

    def end(self) -> control.Report:
        """Return the last report on an order."""
        while True:
            _, report = self.report()
            if not isinstance(report, Working):
                return report


@pytest.fixture
def scene(context: Context, tmp_path: Path) -> Iterator[Scene]:
    honest = swarm(context, DATA, [HONEST])
    with honest as (tracker, holders), a_node(tmp_path / "n1", tracker.address) as agent:
        agent.start_for_one_fetch()
        scene = Scene(context, agent, holders[0])
        yield scene
        scene.close()


def test_fetches_and_reports(scene: Scene) -> None:
    scene.order(FetchOrder(NAME))
    report = scene.end()
    assert isinstance(report, Fetched)
    assert report.fetched_bytes == len(DATA)


def test_fetches_to_another_place(scene: Scene, tmp_path: Path) -> None:
    scene.order(FetchOrder(NAME, output=str(tmp_path / "out.bin")))
    assert isinstance(scene.end(), Fetched)
    assert (tmp_path / "out.bin").read_bytes() == DATA


def test_shares(scene: Scene) -> None:
    (scene.agent.identity.folder / "b").write_bytes(b"new")
    scene.order(ShareOrder("b"))
    assert isinstance(scene.end(), Sharing)
    scene.order(ShareOrder("../out"))
    report = scene.end()
    assert isinstance(report, Failed)
    assert report.exit_code == ExitCode.DISK


def test_an_order_can_be_cancelled(scene: Scene) -> None:
    scene.holder.way = NUISANCES["silent"]
    scene.order(FetchOrder(NAME), b"1")
    eventually(lambda: scene.holder.requests)
    scene.order(Cancel(), b"2")  # Another's.
    scene.order(Cancel(), b"1")
    report = scene.end()
    assert isinstance(report, Failed)
    assert report.exit_code == ExitCode.INTERRUPTED


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x80", messages.encode(messages.List())])
def test_nonsense_is_refused(scene: Scene, body: bytes) -> None:
    scene.command.send_multipart([b"1", b"", body])
    report = scene.end()
    assert isinstance(report, Failed)
    assert report.exit_code == ExitCode.USAGE
    scene.command.send_multipart([b"nothing"])
    scene.order(FetchOrder(NAME))
    assert isinstance(scene.end(), Fetched)


def test_takes_no_orders_when_it_stops_but_finishes_those_it_has(scene: Scene) -> None:
    scene.holder.way = NUISANCES["silent"]
    scene.order(FetchOrder(NAME), b"1")
    eventually(lambda: scene.holder.requests)
    scene.server.stop()
    scene.order(FetchOrder("b"), b"2")
    tag, report = scene.report()
    while isinstance(report, Working):
        tag, report = scene.report()
    assert (tag, type(report)) == (b"2", Failed)
    scene.agent.cancel_all(ExitCode.TERMINATED)
    report = scene.end()
    assert isinstance(report, Failed)
    assert report.exit_code == ExitCode.TERMINATED
