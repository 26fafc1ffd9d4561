"""What a tracker says of itself, while its loop turns, hangs, or cannot read its file."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from shoal.broker import condition
from shoal.broker.condition import Condition
from shoal.broker.server import Server
from shoal.broker.sqlite_store import SqliteStore
from shoal.system.figures import NoFiguresError
from shoal.wire.wake import Wake

from tests.unit.broker.scene import Scene
from tests.unit.wire.places import free_address


class Running:
    """A tracker's loop in a thread."""

    def __init__(self, folder: Path) -> None:
        scene = Scene()
        self.now = scene.now
        self.store = SqliteStore(folder / "tracker.db")
        self.server = Server(scene.tracker, self.store, lambda: self.now)
        self.condition = Condition(scene.tracker, self.server, self.store, folder)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    running, context, stop = Running(tmp_path), zmq.Context(), Wake()
    running.server.bind(context, free_address())

    def serve() -> None:
        running.store.load()
        running.server.serve(stop)
        running.store.close()

    thread = threading.Thread(target=serve)
    thread.start()
    yield running
    stop.set()
    thread.join()
    running.server.close()
    context.term()
    stop.close()


def test_all_is_well(running: Running) -> None:
    assert (running.condition.ailments(), running.condition.unready()) == ([], [])
    names = {family.name for family in running.condition.figures()}
    assert {"shoal_build_info", "shoal_nodes", "shoal_disk_free_bytes"} <= names


def test_says_that_the_loop_hangs(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(condition, "PATIENCE_S", 0.01)
    goes_on = threading.Event()
    running.server.do(goes_on.wait)  # type: ignore[arg-type]  # What it returns is dropped.
    try:
        assert running.condition.ailments() == running.condition.unready() == [condition.STUCK]
        with pytest.raises(NoFiguresError, match="has not turned"):
            running.condition.figures()
    finally:
        goes_on.set()


def test_says_that_the_file_cannot_be_read(running: Running) -> None:
    assert running.server.ask(running.store.trouble, 5.0) == ""
    running.server.ask(running.store.close, 5.0)
    assert running.condition.unready() == ["tracker.db cannot be read: it cannot be opened"]

    def lose_the_file() -> None:
        running.store._connection = sqlite3.connect(":memory:")
        running.store._connection.close()

    running.server.ask(lose_the_file, 5.0)
    assert "closed database" in running.condition.unready()[0]


def test_a_bug_in_a_question_is_the_askers(running: Running) -> None:
    with pytest.raises(ZeroDivisionError):
        running.server.ask(lambda: 1 // 0, 5.0)
    assert running.condition.ailments() == []
