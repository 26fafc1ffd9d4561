"""What is remembered is not hashed again, and what changes all the time is hashed less often."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from shoal.node.files.signature import GoneError, Signature
from shoal.node.files.unreadable import Unreadable
from shoal.node.folder.cache import Cache
from shoal.node.folder.examining import Examiner
from shoal.node.folder.hashing import HashProgress
from shoal.node.folder.rules import Rules
from shoal.node.folder.source import FileSource
from shoal.node.folder.tree import Tree, look_through
from shoal.node.trees.selection import EVERYTHING

from tests.unit.node.sample_trees import file, make
from tests.unit.node.things import id_of, plain


class Scene:
    """A file `a`, and who examines it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "a"
        (folder / ".shoal").mkdir()
        self.cache = Cache(folder / ".shoal" / "cache.db")
        self.is_stopping = False
        rules = Rules(folder / ".shoal")
        self.examiner = Examiner(self.cache, rules, lambda: self.is_stopping)

    def source(self) -> FileSource:
        return FileSource(self.path, Signature.of(self.path.stat()))

    def examined(self, data: bytes) -> str | None:
        """Write the file, and return its id."""
        self.path.write_bytes(data)
        found = self.examiner.examined("a", self.source(), HashProgress())
        return None if found is None else found.id

    def is_due(self) -> bool:
        return self.examiner.due("a", self.source()) <= time.monotonic()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.cache.close()


def test_what_is_new_is_hashed(scene: Scene) -> None:
    assert scene.examined(b"1") == id_of(plain(b"1"))
    assert scene.examined(b"22") == id_of(plain(b"22"))


def test_what_is_remembered_is_not(scene: Scene) -> None:
    scene.examined(b"1")
    scene.is_stopping = True  # Nothing can be hashed.
    assert scene.examiner.examined("a", scene.source(), HashProgress()) is not None
    with pytest.raises(GoneError):
        scene.examined(b"22")


def test_what_was_hashed_just_now_and_has_changed_waits(scene: Scene) -> None:
    scene.path.write_bytes(b"")
    assert scene.is_due()
    scene.examined(b"1")
    assert scene.is_due()  # It is remembered.
    scene.path.write_bytes(b"22")
    assert not scene.is_due()
    assert scene.examined(b"22") == id_of(plain(b"22"))  # Who asks for it need not wait.
    scene.path.write_bytes(b"333")
    scene.examiner.gone("a")
    assert scene.is_due()


def test_what_cannot_be_read_is_said_to_be(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.path.write_bytes(b"1")
    source = scene.source()
    scene.path.unlink()
    assert scene.examiner.examined("a", source, HashProgress()) is None
    assert "a cannot be read: No such file or directory" in caplog.text


def test_what_an_earlier_version_remembered_otherwise_is_hashed_again(scene: Scene) -> None:
    scene.path.write_bytes(b"1")
    scene.cache.remember("a", scene.source().signature, b"no manifest")
    assert scene.examined(b"1") == id_of(plain(b"1"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else for a moment")
def test_what_cannot_be_read_when_it_is_hashed_is_left_out_and_remembered(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(make(scene.path.with_name("t"), {"a/x": file(b"x"), "b": file(b"b")}))
    unreadable = Unreadable()
    examiner = Examiner(scene.cache, Rules(scene.path.parent), lambda: False, unreadable)

    def tree() -> Tree:
        return look_through(Path(), EVERYTHING, lambda _, __: None, lambda: False, unreadable)

    before = tree()
    Path("a/x").chmod(0o600)
    Path().chmod(0o755)
    os.seteuid(65534)
    try:
        found = examiner.examined("t", before, HashProgress())
    finally:
        os.seteuid(0)
    assert found is not None
    after = tree()  # Although we may read it now.
    assert found.signature == after.signature
    assert [entry.path for entry in after.entries()] == ["a", "b"]
    assert after.left_out.named == [("a/x", "it cannot be read: Permission denied")]
    assert "t/a/x is not shared: it cannot be read: Permission denied" in caplog.messages
    Path("a/x").write_bytes(b"new")
    assert tree().file_paths() == ["a/x", "b"]
