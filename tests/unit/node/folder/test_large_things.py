"""What takes long is done aside, the smallest first."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from shoal.node.files.signature import Signature
from shoal.node.folder.large_things import LargeThings
from shoal.node.folder.source import FileSource, Source
from shoal.protocol import manifest

from tests.unit.wire.places import LIMIT_S, eventually


def source(size_bytes: int, inode: int = 1) -> FileSource:
    return FileSource(Path("a"), Signature(size_bytes, 0, inode, manifest.PLAIN_MODE))


class Scene:
    """Large things that are taken in when `may_go` is set."""

    def __init__(self) -> None:
        self.may_go = threading.Event()
        self.begun: list[str] = []
        self.idle = threading.Event()
        self.large = LargeThings(self.take_in, self.idle.set)

    def take_in(self, name: str, _: Source) -> None:
        self.begun.append(name)
        assert self.may_go.wait(LIMIT_S)


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.may_go.set()
    scene.large.stop()


def test_the_smallest_comes_first_and_the_end_is_told(scene: Scene) -> None:
    for name, size_bytes in (("a", 1), ("b", 30), ("c", 20)):
        scene.large.add(name, source(size_bytes))
        eventually(lambda: scene.begun)
    assert scene.large.find("b") == scene.large._waiting["b"]
    assert not scene.idle.is_set()
    scene.may_go.set()
    scene.large.wait_until_idle()
    assert scene.idle.wait(LIMIT_S)
    assert scene.begun == ["a", "c", "b"]
    assert scene.large.is_idle
    assert scene.large.find("b") is None
    scene.large.add("d", source(4))  # And again.
    eventually(lambda: scene.begun == ["a", "c", "b", "d"])


def test_what_is_done_just_now_is_not_done_twice(scene: Scene) -> None:
    scene.large.add("a", source(1))
    eventually(lambda: scene.begun)
    scene.large.add("a", source(1))
    assert scene.large.find("a") is not None
    scene.large.add("b", source(2))
    scene.large.add("a", source(1, inode=2))  # It has changed meanwhile.
    scene.may_go.set()
    scene.large.wait_until_idle()
    assert scene.begun == ["a", "a", "b"]


def test_nothing_begins_after_the_end(scene: Scene) -> None:
    scene.large.add("a", source(1))
    scene.large.add("b", source(2))
    eventually(lambda: scene.begun)
    scene.large.interrupt()
    scene.large.wait_until_idle()  # Nobody waits for what is given up.
    scene.may_go.set()
    scene.large.stop()
    scene.large.add("c", source(3))
    assert scene.begun == ["a"]
    assert scene.large.is_idle
