"""The inventory follows the folder."""

import contextlib
import errno
import functools
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from inotify_simple import INotify
from shoal.node.files.signature import Signature
from shoal.node.folder.cache import Cache
from shoal.node.folder.inventory import Inventory
from shoal.node.folder.register import Register
from shoal.node.folder.rules import FORGOTTEN, Rule, Rules
from shoal.node.folder.watcher import Watcher
from shoal.protocol import manifest
from shoal.protocol.errors import OperatorError
from shoal.protocol.manifest import MAX_SIZE_BYTES

from tests.unit.node.things import id_of, plain, whole
from tests.unit.wire.places import eventually


class Scene:
    """A folder with its watcher, and what the inventory has of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / ".shoal").mkdir(exist_ok=True)
        self.looked = threading.Event()
        self.inventory = Inventory(lambda _: None)
        self.rules = Rules(folder / ".shoal")
        self.cache = Cache(folder / ".shoal" / "cache.db")
        self.register = Register(self.cache, "me")
        known = self.cache, self.rules, self.register
        self.watcher = Watcher(folder, self.inventory, *known, self.looked.set)

    def write(self, name: str, data: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def has(self, name: str, data: bytes) -> bool:
        thing = self.inventory.whole(name)
        if thing is not None and thing.manifest.is_tree:
            return thing.source.read(thing.manifest.listing_bytes, thing.size_bytes) == data
        return thing is not None and thing.id == id_of(plain(data))

    def close(self) -> None:
        self.watcher.stop()
        self.cache.close()


@contextlib.contextmanager
def watched(folder: Path) -> Iterator[Scene]:
    scene = Scene(folder)
    scene.watcher.start()
    try:
        assert scene.watcher.wait_for_first_look(10)
        yield scene
    finally:
        scene.close()


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[Scene]:
    """A watcher that was not started."""
    scene = Scene(tmp_path)
    yield scene
    scene.close()


def test_takes_in_what_lies_there_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c").write_bytes(b"2")
    with watched(tmp_path) as scene:
        assert scene.inventory.names() == ["a", "b"]
        assert scene.looked.wait(10)
        assert scene.watcher.has_looked


def test_follows_what_happens_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    with watched(tmp_path) as scene:
        scene.write("b/c", b"2")
        eventually(lambda: scene.has("b", b"2"))
        scene.write("b/d", b"3")
        eventually(lambda: scene.has("b", b"23"))
        scene.write("a", b"one")
        eventually(lambda: scene.has("a", b"one"))
        (tmp_path / "a").rename(tmp_path / "d")
        eventually(lambda: scene.inventory.names() == ["b", "d"])
        (tmp_path / "d").unlink()
        eventually(lambda: scene.inventory.names() == ["b"])


def test_looks_itself_where_changes_are_not_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr(INotify, "add_watch", refuse)
    with watched(tmp_path) as scene:
        for number in range(3):
            scene.write("a", b"%d" % number)
            eventually(functools.partial(scene.has, "a", b"%d" % number))
        (tmp_path / "a").unlink()
        eventually(lambda: scene.inventory.names() == [])
    assert "will look every second" in caplog.text


def test_leaves_a_file_alone_while_it_is_written(idle: Scene) -> None:
    idle.watcher._look()
    idle.write("a", b"1")
    assert idle.watcher._look() == {"a"}
    idle.write("a", b"12")
    assert idle.watcher._look() == {"a"}
    assert idle.inventory.names() == []
    assert idle.watcher._look() == set()
    assert idle.has("a", b"12")


def test_believes_what_it_hashed_before(idle: Scene) -> None:
    idle.write("a", b"1")
    signature = Signature.of((idle.folder / "a").stat())
    idle.cache.remember("a", signature, manifest.encode(plain(b"2")))
    idle.watcher._look()
    assert idle.has("a", b"2")
    idle.write("a", b"other")
    idle.watcher._look()
    idle.watcher._look()
    assert idle.has("a", b"other")


def test_forgets_what_was_found_to_be_gone_and_finds_it_again(idle: Scene) -> None:
    idle.write("a", b"1")
    idle.watcher._look()
    idle.watcher.forget("a")
    assert idle.inventory.names() == []
    idle.watcher._look()
    assert idle.inventory.names() == ["a"]


def test_what_is_fetched_during_a_look_is_not_taken_to_be_gone(idle: Scene) -> None:
    idle.write("tree/x", b"1")

    def fetch() -> bool:
        idle.write("fetched", b"2")
        idle.inventory.put(whole(idle.folder / "fetched", "fetched"))
        return False

    idle.watcher._folder._should_stop = fetch  # It is asked when the names are known.
    idle.watcher._look()
    assert idle.inventory.names() == ["fetched", "tree"]


def test_looks_at_one_file_at_once(idle: Scene) -> None:
    idle.write("a", b"1")
    idle.write("b", b"1")
    file = idle.watcher.look_at("a")
    assert file is not None
    assert (file.id, idle.inventory.names()) == (id_of(plain(b"1")), ["a"])
    (idle.folder / "a").unlink()
    assert idle.watcher.look_at("a") is None
    assert idle.inventory.names() == []


def test_examines_a_file_without_sharing_it(idle: Scene) -> None:
    idle.write("a", b"1")
    file = idle.watcher.examine("a")
    assert file is not None
    assert (file.id, idle.inventory.names()) == (id_of(plain(b"1")), [])
    assert idle.watcher.examine("b") is None


@pytest.mark.parametrize("name", ["../out", "/etc/hostname", ".shoal/cache.db", "a\nb"])
def test_looks_at_nothing_that_cannot_be_shared(idle: Scene, name: str) -> None:
    (idle.folder.parent / "out").write_bytes(b"secret")
    idle.write("a\nb", b"1")
    assert idle.watcher.look_at(name) is None
    assert idle.watcher.examine(name) is None
    assert idle.inventory.names() == []


def test_a_file_that_cannot_be_shared_keeps_nothing_else_from_it(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(MAX_SIZE_BYTES + 1)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "zzz").write_bytes(b"1")
    with watched(tmp_path) as scene:
        assert scene.inventory.names() == ["zzz"]


def test_a_short_look_ends_in_time_and_counts_if_it_was_whole(idle: Scene) -> None:
    idle.write("a", b"1")
    idle.watcher.look_once(10)
    assert idle.watcher.has_looked
    assert idle.inventory.names() == ["a"]


def test_a_look_that_was_cut_short_does_not_count(idle: Scene) -> None:
    idle.write("a", b"1")
    idle.watcher.interrupt()
    idle.watcher.look_once(10)
    assert not idle.watcher.has_looked
    assert idle.inventory.names() == []


def test_stops_while_it_hashes(tmp_path: Path) -> None:
    for number in range(3):
        with (tmp_path / f"{number}").open("wb") as file:
            file.truncate(20 << 30)
    scene = Scene(tmp_path)
    scene.watcher.start()
    scene.close()
    assert not scene.watcher._thread.is_alive()


def test_says_how_far_the_hashing_is(idle: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "shoal.node")
    idle.write("a", bytes(3000))
    idle.watcher.look_at("a")
    assert caplog.messages == []
    idle.watcher._progress.begin([])
    progress = idle.watcher._progress
    progress._said_at -= 10
    progress.hashed(10)
    (line,) = caplog.messages
    assert line.startswith("hashing: 0.0 of 0.0 GB, ")


def test_a_folder_that_is_away_is_not_empty(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "n1"
    folder.mkdir()
    (folder / "a").write_bytes(b"1")
    (folder / ".shoal").mkdir()
    (folder / ".shoal" / "lock").write_bytes(b"17\n")
    caplog.set_level("INFO", "shoal.node")
    with watched(folder) as scene:
        title = scene.register.title("a")
        folder.rename(tmp_path / "mounted")
        folder.mkdir()  # The bare mount point.
        (folder / "b").write_bytes(b"hidden when it is mounted again")
        scene.watcher._occasions.wake()
        eventually(lambda: "so it is not mounted" in caplog.text)
        for look in (scene.watcher.look_at, scene.watcher.examine):
            with pytest.raises(OperatorError, match="is not mounted"):
                look("a")
        scene.watcher.look_through()
        scene.watcher.forget("a")  # Somebody asked for a chunk, and it could not be read.
        assert scene.inventory.names() == ["a"]
        assert scene.register.title("a") == title
        assert scene.cache.manifest_of("a", scene.inventory.wholes()[0].signature) is not None
        assert [path.name for path in folder.iterdir()] == ["b"]
        (folder / "b").unlink()
        folder.rmdir()
        (tmp_path / "mounted").rename(folder)
        eventually(lambda: "is back" in caplog.text)
        scene.write("c", b"3")
        eventually(lambda: scene.inventory.names() == ["a", "c"])
    assert caplog.text.count("not mounted") == 1


def test_what_cannot_be_looked_at_for_a_moment_is_not_gone(
    idle: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle.write("a/x", b"1")
    idle.write("b/x", b"2")
    idle.watcher.look_through()
    real = os.scandir

    def fail(path: str) -> object:
        if str(path).endswith("/a/"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", fail)
        idle.watcher.look_through()
        assert idle.watcher.look_at("a") is None
        assert idle.watcher.examine("a") is None
        assert idle.inventory.names() == ["a", "b"]
    (idle.folder / "a" / "x").unlink()
    (idle.folder / "a").rmdir()
    idle.watcher.look_through()
    assert idle.inventory.names() == ["b"]


def test_whatever_one_thing_raises_the_others_are_shared(
    idle: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    idle.write("bad", b"1")
    idle.write("good", b"22")
    real = Register.entitle

    def fail(register: Register, name: str, *rest: Any, **more: Any) -> object:
        return real(register, name, *rest, **more) if name != "bad" else 1 // 0

    monkeypatch.setattr(Register, "entitle", fail)
    for _ in range(3):
        idle.watcher.look_through()
    assert idle.inventory.names() == ["good"]
    assert caplog.text.count("bad is not shared: ZeroDivisionError") == 1
    monkeypatch.undo()
    idle.write("bad", b"another")
    assert idle.watcher.look_at("bad") is not None
    assert idle.inventory.names() == ["bad", "good"]


def test_what_is_large_holds_up_nothing_else(tmp_path: Path) -> None:
    with (tmp_path / "a-huge").open("wb") as file:
        file.truncate(400 << 30)
    (tmp_path / "small").write_bytes(b"1")
    scene = Scene(tmp_path)
    scene.watcher.start()
    try:
        eventually(lambda: scene.watcher.hashing("a-huge"))
        eventually(lambda: scene.inventory.names() == ["small"])
        scene.write("later", b"22")
        assert scene.watcher.look_at("later") is not None
        scene.write("last", b"333")
        eventually(lambda: scene.inventory.names() == ["last", "later", "small"])
        assert not scene.watcher.has_looked
        told: list[tuple[int, int]] = []

        def stop(done_bytes: int, size_bytes: int) -> None:
            told.append((done_bytes, size_bytes))
            raise OperatorError("no longer")

        with pytest.raises(OperatorError):
            scene.watcher.examine("a-huge", stop)
        assert told[0][1] == 400 << 30
        scene.rules.set("a-huge", Rule(FORGOTTEN))  # It need not be hashed to be forgotten.
        assert scene.watcher.look_at("a-huge") is None
        assert scene.looked.wait(10)
        assert scene.watcher.hashing("a-huge") is None
    finally:
        scene.close()


def test_a_command_does_not_take_a_folder_that_is_away_for_looked_at(idle: Scene) -> None:
    (idle.folder / ".shoal" / "lock").write_bytes(b"17\n")
    idle.watcher.require_there()
    (idle.folder / ".shoal" / "lock").unlink()
    idle.watcher.look_once(10)
    assert not idle.watcher.has_looked


def test_what_is_shared_again_during_a_look_stays(
    idle: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is healed is withheld until it is in its place, and a look may begin before."""
    idle.write("a", b"1")
    idle.watcher.look_through()
    assert idle.has("a", b"1")
    idle.rules.set("a", Rule(FORGOTTEN))
    real = idle.watcher._folder.look

    def share_again(*arguments: Any) -> Any:
        seen = real(*arguments)
        idle.rules.set("a", Rule())
        return seen

    monkeypatch.setattr(idle.watcher._folder, "look", share_again)
    idle.watcher._look()
    assert idle.has("a", b"1")
