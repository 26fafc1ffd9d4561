"""What is remembered is not hashed again, and what changes all the time is hashed less often."""

import errno
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
from shoal.node.folder.rules import DAMAGED, Damage, Rules
from shoal.node.folder.source import FileSource
from shoal.node.folder.tree import Tree, look_through
from shoal.node.trees.selection import EVERYTHING

from tests.unit.node.disks import rot
from tests.unit.node.sample_trees import file, make
from tests.unit.node.things import id_of, plain


class Scene:
    """A file `a`, and who examines it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "a"
        (folder / ".shoal").mkdir()
        self.cache = Cache(folder / ".shoal" / "cache.db")
        self.is_stopping = False
        self.rules = Rules(folder / ".shoal")
        self.examiner = Examiner(self.cache, self.rules, lambda: self.is_stopping)

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


def later(scene: Scene, told: list[str]) -> Examiner:
    """Return who examines the file once the machine was started again."""
    scene.cache.close()
    folder = scene.path.parent / ".shoal"
    scene.cache = Cache(folder / "cache.db", "another run of the machine")
    scene.rules = Rules(folder)
    scene.examiner = Examiner(scene.cache, scene.rules, lambda: scene.is_stopping)
    scene.examiner.on_damaged = told.append
    return scene.examiner


def test_what_is_doubtful_is_read_again_and_then_believed(scene: Scene) -> None:
    told: list[str] = []
    scene.examined(b"1")
    found = later(scene, told).examined("a", scene.source(), HashProgress())
    assert found is not None
    assert (found.id, told) == (id_of(plain(b"1")), [])
    scene.is_stopping = True  # Nothing can be read any more.
    assert later(scene, told).examined("a", scene.source(), HashProgress()) is not None


def test_reading_it_again_can_be_stopped(scene: Scene) -> None:
    scene.examined(b"1")
    scene.is_stopping = True
    with pytest.raises(GoneError):
        later(scene, []).examined("a", scene.source(), HashProgress())
    scene.is_stopping = False
    assert later(scene, []).examined("a", scene.source(), HashProgress()) is not None


def test_a_doubtful_manifest_of_an_earlier_version_is_made_again(scene: Scene) -> None:
    scene.path.write_bytes(b"1")
    scene.cache.remember("a", scene.source().signature, b"no manifest")
    found = later(scene, []).examined("a", scene.source(), HashProgress())
    assert found is not None
    assert found.id == id_of(plain(b"1"))


def test_what_lost_its_bytes_with_the_power_is_withheld(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """As it has the time that it had, nobody has changed it: it is no new version."""
    told: list[str] = []
    data = bytes(range(1, 255)) * 3
    scene.examined(data)
    known, signature = plain(data), scene.source().signature
    rot(scene.path, 300)
    later(scene, told).examined("a", scene.source(), HashProgress())
    damage = Damage(id_of(known), signature.text, known.chunk_count, 1)
    assert (scene.rules.of("a").withheld, scene.rules.of("a").damage) == (DAMAGED, damage)
    assert told == ["a"]
    assert f"a: 1 of {known.chunk_count} chunks were lost with the power" in caplog.text


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


def test_a_disk_that_fails_is_no_reason_to_leave_a_file_out(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It was a new version, without that file, and took the place of all whole copies."""
    root = make(scene.path.with_name("t"), {"a": file(b"a"), "b": file(b"b")})
    unreadable = Unreadable()
    examiner = Examiner(scene.cache, Rules(scene.path.parent), lambda: False, unreadable)

    def tree() -> Tree:
        return look_through(root, EVERYTHING, lambda _, __: None, lambda: False, unreadable)

    def refuse(*_: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as failing:
        failing.setattr(os, "pread", refuse)
        assert examiner.examined("t", tree(), HashProgress()) is None
    assert "t cannot be read: Input/output error" in caplog.messages
    found = tree()
    assert (found.file_paths(), found.left_out.named) == (["a", "b"], [])
    assert examiner.examined("t", found, HashProgress()) is not None
