"""When a folder is looked through."""

import errno
import itertools
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from inotify_simple import INotify
from shoal.node.folder import occasions
from shoal.node.folder.changed import Changed
from shoal.node.folder.changes import Changes
from shoal.node.folder.occasions import Occasions


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(occasions, "POLL_S", 0.01)


class Scene:
    """Occasions to look through a folder, waited for one by one."""

    def __init__(self, folder: Path) -> None:
        self.stopping = threading.Event()
        self.occasions = Occasions(folder, self.stopping)
        self._each = iter(self.occasions)

    def wait(self) -> str:
        """Return what is to be looked at: names, or `*` for everything."""
        changed = next(self._each)
        return "*" if changed.is_everything else " ".join(sorted(changed.things))

    def is_over(self) -> bool:
        return next(self._each, "over") == "over"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    assert scene.wait() == "*"  # The first one is at once.
    yield scene
    scene.stopping.set()
    assert scene.is_over()


def test_a_change_is_one_to_look_where_it_was(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    assert scene.wait() == "a"


def test_on_a_network_everything_is_looked_at_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(occasions, "REMOTE_S", 0.01)
    stopping = threading.Event()
    found = Occasions(tmp_path, stopping, lambda _: "NFS")
    looks = itertools.islice(found, 3)
    assert [changed.is_everything for changed in looks] == [True] * 3
    assert f"{tmp_path} is on NFS; looking at it every 0.01 s" in caplog.text
    found.is_away = True
    assert next(iter(found)).is_everything  # It is looked for.
    stopping.set()
    assert list(found) == []


def test_whoever_wants_makes_one(scene: Scene) -> None:
    scene.occasions.wake()
    assert scene.wait() == ""
    scene.occasions.add("b")
    assert scene.wait() == "b"


def test_everything_is_looked_at_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(occasions, "RESCAN_S", 0.05)
    scene = Scene(tmp_path)
    assert [scene.wait() for _ in range(3)] == ["*"] * 3
    scene.stopping.set()
    assert scene.is_over()


def test_a_look_at_everything_waits_until_the_rest_from_the_last_is_over(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overflow(_: Changes, __: object, changed: Changed) -> None:
        changed.is_everything = True

    monkeypatch.setattr(Changes, "_take_in", overflow)
    until = scene.occasions.rest_until = time.monotonic() + 0.2
    (tmp_path / "a").touch()
    assert scene.wait() == "*"
    assert time.monotonic() >= until


def test_what_is_due_is_one(scene: Scene) -> None:
    scene.occasions.due = time.monotonic() + 0.05
    scene.wait()
    assert time.monotonic() >= scene.occasions.due


def test_it_is_looked_through_at_intervals(scene: Scene) -> None:
    scene.occasions.rescan_s = 0.05
    before = time.monotonic()
    scene.wait()
    assert before + 0.05 <= time.monotonic() < before + occasions.RESCAN_S / 2


def test_a_folder_that_is_away_is_looked_for_often(scene: Scene) -> None:
    scene.occasions.is_away = True
    for _ in range(3):
        assert scene.wait() == "*"
    scene.occasions.is_away = False
    assert scene.wait() == "*"  # What changed while nothing was reported.


def test_where_nothing_is_reported_it_is_looked_at_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(INotify, "add_watch", refuse)
    scene = Scene(tmp_path)
    for _ in itertools.repeat(None, 3):
        assert scene.wait() == "*"
    assert len(caplog.messages) == 1
    assert "changes are not reported here" in caplog.text
    scene.occasions.wake()  # Does no harm.
    scene.stopping.set()
    assert scene.is_over()
