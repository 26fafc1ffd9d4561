"""Orders to a node, of which only its socket is real here."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
import zmq
from shoal.api.orders import OrderDesk
from shoal.protocol import messages
from shoal.protocol.control import (
    Failed,
    FetchOrder,
    ForgetOrder,
    Forgotten,
    Order,
    Report,
    ShareOrder,
    Task,
    VerifyOrder,
)
from shoal.protocol.errors import (
    DiskError,
    Kind,
    OperatorError,
    StoppedError,
    TerminatedError,
    TimedOutError,
)
from shoal.wire import control_socket

from tests.unit.wire.places import LIMIT_S

LIMIT_MS = int(1000 * LIMIT_S)
FORGET = ForgetOrder("a.bin")
DONE = Forgotten("a.bin", None, deleted=False)
Node: TypeAlias = "zmq.Socket[bytes]"


class Scene:
    """A node's end of the socket, and a command's desk."""

    def __init__(self, folder: Path) -> None:
        (folder / ".shoal").mkdir()
        self.folder = folder
        self.context: zmq.Context[Node] = zmq.Context()
        self.start()
        self.desk = OrderDesk("n1", folder)

    def start(self) -> None:
        self.node = control_socket.node_end(self.context, self.folder)

    def kill(self) -> None:
        self.node.close(linger=0)

    def close(self) -> None:
        self.desk.close()
        self.context.destroy(0)

    def given(self, order: Task, node: Callable[[list[bytes]], None]) -> Report:
        """Give an order, and have the node do something about its message."""

        def take() -> None:
            assert self.node.poll(LIMIT_MS)
            node(self.node.recv_multipart())

        thread = threading.Thread(target=take)
        thread.start()
        try:
            return self.desk.give(order, lambda _: None)
        finally:
            thread.join()

    def answer(self, parts: list[bytes]) -> None:
        assert messages.decode(parts[3], Order) == FORGET
        self.node.send_multipart([*parts[:3], messages.encode(DONE)])


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("order", "doing"),
    [
        (FetchOrder("a.bin"), "fetching a.bin"),
        (ShareOrder("a.bin"), "sharing a.bin"),
        (ForgetOrder("a.bin"), "forgetting a.bin"),
        (VerifyOrder("a.bin"), "verifying a.bin"),
        (VerifyOrder(), "verifying everything"),
    ],
)
def test_a_node_that_is_killed_is_noticed(scene: Scene, order: Task, doing: str) -> None:
    """It took ten seconds of silence, and looked as if it had timed out."""
    with pytest.raises(OperatorError) as failed:
        scene.given(order, lambda _: scene.kill())
    assert str(failed.value) == (
        f"node n1 stopped while {doing}; start it again, then run this again"
    )
    assert isinstance(failed.value, TimedOutError)
    with pytest.raises(OperatorError, match="stopped while"):  # Nor does the next order wait.
        scene.desk.give(order, lambda _: None)


def test_what_a_node_said_before_its_end_counts(scene: Scene) -> None:
    def end(parts: list[bytes]) -> None:
        scene.answer(parts)
        scene.node.close(linger=LIMIT_MS)

    assert scene.given(FORGET, end) == DONE


def test_a_node_that_was_started_again_takes_the_next_order(scene: Scene) -> None:
    with pytest.raises(OperatorError):
        scene.given(FORGET, lambda _: scene.kill())
    scene.start()
    poller = zmq.Poller()
    poller.register(scene.desk._monitor, zmq.POLLIN)
    assert poller.poll(LIMIT_MS)
    assert scene.given(FORGET, scene.answer) == DONE


def test_one_that_was_cancelled_before_stays_cancelled(scene: Scene) -> None:
    scene.desk.cancel(StoppedError)
    with pytest.raises(OperatorError) as failed:
        scene.given(FORGET, lambda _: scene.kill())
    assert isinstance(failed.value, StoppedError)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("disk", DiskError),
        ("terminated", TerminatedError),  # The node was: its command ends with that exit code.
        ("of a newer node", OperatorError),
    ],
)
def test_a_failure_is_raised_as_what_the_node_says_it_is(
    scene: Scene, kind: str, error: Kind
) -> None:
    def fail(parts: list[bytes]) -> None:
        scene.node.send_multipart([*parts[:3], messages.encode(Failed(kind, "no; do this"))])

    with pytest.raises(OperatorError, match="no; do this") as failed:
        scene.given(FORGET, fail)
    assert type(failed.value) is error
