"""What changes is looked at, and nothing else."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from shoal.node.folder.changed import Changed
from shoal.node.folder.contents import Folder
from shoal.node.folder.rules import FETCHING, NO_RULE, REPLACING, Rule

from tests.unit.node.folder.test_watcher import Scene, watched
from tests.unit.node.things import whole
from tests.unit.wire.places import eventually


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[Scene]:
    """A watcher that was not started."""
    scene = Scene(tmp_path)
    yield scene
    scene.close()


def test_a_change_is_looked_at_where_it_was(idle: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("a", "b", "t/x/1", "t/y/2"):
        idle.write(path, b"1")
    idle.watcher.look_through()
    looked = note_looks(monkeypatch)
    idle.write("b", b"22")
    idle.write("t/x/3", b"3")
    (idle.folder / "a").unlink()
    changed = Changed()
    for name, inside in (("a", ""), ("b", ""), ("t", "x/3")):
        changed.add(name, inside)
    idle.watcher._look(changed)
    assert set(idle.watcher._later) == {"b", "t"}  # They have just been hashed.
    assert set(looked) == {"a", "b", "t"}
    assert idle.inventory.names() == ["b", "t"]
    assert idle.watcher._occasions.due < math.inf
    eventually(lambda: not idle.watcher._look(Changed()) and not idle.watcher._later)
    assert idle.has("b", b"22")
    assert idle.has("t", b"131")
    assert idle.watcher._occasions.due == math.inf
    looked.clear()
    assert idle.watcher._look(Changed()) == set()
    assert looked == []


def note_looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list of the names that are looked at from now on."""
    looked: list[str] = []
    real = Folder._look_at

    def note(folder: Folder, name: str, find: Any) -> object:
        looked.append(name)
        return real(folder, name, find)

    monkeypatch.setattr(Folder, "_look_at", note)
    return looked


def test_what_was_found_to_have_changed_is_looked_at_soon(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    with watched(tmp_path) as scene:
        scene.watcher.forget("a")
        eventually(lambda: scene.has("a", b"1"))


def test_looks_at_everything_only_at_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        (tmp_path / f"{number}").write_bytes(b"1")
    looked = note_looks(monkeypatch)
    with watched(tmp_path) as scene:
        assert len(looked) == 20
        scene.write("7", b"another")
        eventually(lambda: scene.has("7", b"another"))
        assert set(looked[20:]) == {"7"}


def test_what_is_put_there_during_a_look_stays(
    idle: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle.watcher.look_through()
    idle.rules.set("f", Rule(FETCHING))
    real = Folder._look_at

    def publish(folder: Folder, name: str, find: Any) -> object:
        found = real(folder, name, find)
        idle.write("f", b"1")
        idle.inventory.put(whole(idle.folder / "f", "f"))
        return found

    monkeypatch.setattr(Folder, "_look_at", publish)
    changed = Changed()
    changed.add("f")
    idle.watcher._look(changed)
    assert idle.inventory.names() == ["f"]


@pytest.mark.parametrize("reason", [FETCHING, REPLACING])
def test_what_was_withheld_during_a_fetch_that_failed_is_shared_again(
    tmp_path: Path, reason: str
) -> None:
    (tmp_path / "f").write_bytes(b"1")
    with watched(tmp_path) as scene:
        scene.rules.set("f", Rule(reason))
        scene.watcher._occasions.add("f")
        eventually(lambda: scene.inventory.names() == [])
        scene.rules.set("f", NO_RULE)  # Of which nothing is reported.
        eventually(lambda: scene.has("f", b"1"))


def test_a_link_goes_with_what_it_leads_to(idle: Scene) -> None:
    idle.write("t/x", b"1")
    (idle.folder / "l").symlink_to("t/x")
    idle.watcher.look_through()
    assert idle.inventory.names() == ["l", "t"]
    (idle.folder / "t/x").unlink()
    changed = Changed()
    changed.add("t", "x")
    idle.watcher._look(changed)
    assert idle.inventory.names() == ["t"]
