"""node/folder/settling.py: what is on the disk counts later too, and nothing else does."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from shoal.node.files.durable import FileSystem
from shoal.node.files.signature import Signature
from shoal.node.folder import settling
from shoal.node.folder.cache import Cache
from shoal.node.folder.rules import Rule, Rules
from shoal.node.folder.settling import Settler

from tests.unit.node.disks import refuse_to_sync
from tests.unit.node.sample_trees import TREE, make
from tests.unit.wire.places import eventually


class Scene:
    """A folder of which something was hashed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / ".shoal").mkdir()
        self.cache = Cache(folder / ".shoal/cache.db")
        self.rules = Rules(folder / ".shoal")
        self.settler = Settler(folder, self.cache, self.rules)

    def hashed(self, *names: str) -> None:
        for name in names:
            signature = Signature.of((self.folder / name).stat())
            self.cache.remember(name, signature, b"manifest")

    def settle(self) -> list[str]:
        """Return what does not count later."""
        with contextlib.closing(FileSystem.of(self.folder)) as disk:
            self.settler.settle(disk)
        return self.left()

    def left(self) -> list[str]:
        return [name for name, _ in self.cache.unsettled()]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.settler.stop()
    scene.cache.close()


def test_what_was_hashed_counts_once_it_is_on_the_disk(scene: Scene) -> None:
    (scene.folder / "f").write_bytes(b"1")
    make(scene.folder / "t", TREE)
    scene.hashed("f", "t")
    assert scene.left() == ["f", "t"]
    assert scene.settle() == []
    assert scene.settle() == []


def test_what_could_not_be_written_never_counts(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel tells of that once."""
    (scene.folder / "f").write_bytes(b"1")
    scene.hashed("f")
    with monkeypatch.context() as patch:
        refuse_to_sync(patch)
        with pytest.raises(OSError, match="Input/output"):
            scene.settle()
    (scene.folder / "g").write_bytes(b"2")
    scene.hashed("g")
    assert scene.settle() == ["f"]
    (scene.folder / "f").write_bytes(b"changed")
    scene.hashed("f")
    assert scene.settle() == []


def test_what_may_be_on_another_disk_does_not_count(
    scene: Scene, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "f"
    elsewhere.write_bytes(b"1")
    (scene.folder / "link").symlink_to(elsewhere)
    make(elsewhere.parent / "mounted", TREE)
    (scene.folder / "mounted").symlink_to(elsewhere.parent / "mounted")
    make(scene.folder / "follows", TREE)
    make(scene.folder / "with a mount", TREE)
    make(scene.folder / "with", TREE)
    scene.rules.set("follows", Rule(follow_links=True))
    mounts = tmp_path_factory.mktemp("mounts") / "mountinfo"
    spelled = str(scene.folder / "with a mount/a").replace(" ", "\\040")
    outside = elsewhere.parent / "mounted/c"
    lines = [f"36 35 98:0 / {place} rw,noatime - ext4 /dev/root rw" for place in (spelled, outside)]
    mounts.write_text("\n".join(lines))
    monkeypatch.setattr(settling, "_MOUNTS", mounts)
    scene.hashed("link", "follows", "with a mount", "with", "mounted")
    assert scene.settle() == ["follows", "mounted", "with a mount"]


def test_where_mounts_are_unknown_none_is_seen(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "_MOUNTS", scene.folder / "none")
    (scene.folder / "f").write_bytes(b"1")
    scene.hashed("f")
    assert scene.settle() == []


def test_looks_after_it_by_itself_even_if_the_folder_was_away(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(settling, "PAUSE_S", 0.01)
    (scene.folder / "f").write_bytes(b"1")
    scene.hashed("f")
    scene.settler.start()
    eventually(lambda: scene.left() == [])
    away = scene.folder.rename(scene.folder.with_name("away"))
    eventually(lambda: "cannot write" in caplog.text)
    away.rename(scene.folder)
    (scene.folder / "g").write_bytes(b"1")
    scene.hashed("g")
    eventually(lambda: scene.left() == [])
