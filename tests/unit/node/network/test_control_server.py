"""Orders from commands on this machine, and the reports on them."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
import zmq
from shoal.node.agent import Agent
from shoal.node.network.control_server import ControlServer
from shoal.protocol import control, fields, messages
from shoal.protocol.control import (
    Cancel,
    Failed,
    Fetched,
    FetchOrder,
    ForgetOrder,
    Forgotten,
    Report,
    ShareOrder,
    Sharing,
    Verified,
    VerifyOrder,
    Working,
)
from shoal.protocol.errors import (
    DiskError,
    NotFoundError,
    OperatorError,
    StoppedError,
    TimedOutError,
)
from shoal.protocol.message import Message
from shoal.wire import control_socket

from tests.unit.node.hostile import HONEST, NAME, NUISANCES, AnyHolder, swarm
from tests.unit.node.test_agent import a_node
from tests.unit.wire.places import LIMIT_S, eventually

Context: TypeAlias = "zmq.Context[zmq.Socket[bytes]]"
DATA = os.urandom(5000)
NO_TRACKER = "tcp://127.0.0.1:1"


class Scene:
    """A node that takes orders, and a command that gives them."""

    def __init__(self, context: Context, agent: Agent, holder: AnyHolder) -> None:
        self.agent = agent
        self.holder = holder
        self.server = ControlServer(agent, agent.identity.folder)
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
    assert report.kind == DiskError.kind


def test_an_order_can_be_cancelled(scene: Scene) -> None:
    scene.holder.way = NUISANCES["silent"]
    scene.order(FetchOrder(NAME), b"1")
    eventually(lambda: scene.holder.requests)
    scene.order(Cancel(), b"2")  # Another's.
    scene.order(Cancel(), b"1")
    report = scene.end()
    assert isinstance(report, Failed)
    assert report.kind == StoppedError.kind


def test_a_verification_can_be_cancelled(scene: Scene) -> None:
    with scene.agent._watcher._looking:  # It has to wait for this.
        scene.order(VerifyOrder(), b"1")
        eventually(lambda: scene.agent._jobs._running)
        scene.order(Cancel(timed_out=True), b"1")
        (job,) = scene.agent._jobs._running.values()
        eventually(lambda: job._stop._kind)
    report = scene.end()
    assert isinstance(report, Failed)
    assert report.kind == TimedOutError.kind


def test_who_waits_is_told_that_it_is_worked_on(scene: Scene) -> None:
    (scene.agent.identity.folder / "b").write_bytes(b"new")
    watcher = scene.agent._watcher
    with watcher._looking, watcher._names.holding("b"):
        for tag, order in (
            (b"1", ForgetOrder("b")),
            (b"2", VerifyOrder()),
            (b"3", ShareOrder("b")),
        ):
            scene.order(order, tag)
        told: list[tuple[bytes, Report]] = []
        while {tag for tag, _ in told} < {b"1", b"2", b"3"}:
            told.append(scene.report())
    expected = {Working("b", 0, None, None), Working("*", 0, None, None)}
    assert {report for _, report in told} == expected
    ends = {type(scene.end()) for _ in range(3)}
    assert ends <= {Forgotten, Verified, Sharing, Failed}


def test_a_failure_fits_into_a_report(scene: Scene) -> None:
    shown_as_six = "\u202e"
    for what in ("/".join([80 * shown_as_six] * 13), 1300 * shown_as_six):
        scene.order(ForgetOrder(what))
        report = scene.end()
        assert isinstance(report, Failed)
        assert report.kind == NotFoundError.kind
        assert len(report.message) == fields.MAX_TEXT_CHARACTERS


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x80", messages.encode(messages.List())])
def test_nonsense_is_refused(scene: Scene, body: bytes) -> None:
    scene.command.send_multipart([b"1", b"", body])
    report = scene.end()
    assert isinstance(report, Failed)
    assert report.kind == OperatorError.kind
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
    scene.agent.cancel_all(StoppedError)
    report = scene.end()
    assert isinstance(report, Failed)
    assert report.kind == StoppedError.kind


def test_a_directory_in_place_of_the_socket_gives_way(tmp_path: Path) -> None:
    (tmp_path / ".shoal/control/x").mkdir(parents=True)
    with a_node(tmp_path, NO_TRACKER) as agent:
        agent.start()
        server = ControlServer(agent, agent.identity.folder)
        thread = threading.Thread(target=server.run)
        thread.start()
        eventually(lambda: control_socket.takes_orders(tmp_path))
        server.stop()
        thread.join(LIMIT_S)


def test_that_there_can_be_no_socket_is_told_in_one_line(tmp_path: Path) -> None:
    folder = tmp_path / ("n" * 100)
    with a_node(folder, NO_TRACKER) as agent:
        agent.start()
        (folder / ".shoal").rename(folder / ".before")
        with pytest.raises(OperatorError, match=r"cannot take orders at .*; remove what is there"):
            ControlServer(agent, agent.identity.folder).run()
        (folder / ".before").rename(folder / ".shoal")
