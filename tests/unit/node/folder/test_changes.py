"""What a folder reports: where names or bytes change in it, and not that it is read."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from inotify_simple import INotify
from shoal.node.folder.changed import Changed
from shoal.node.folder.changes import Changes

from tests.unit.node.sample_trees import open_descriptors

LIMIT_S = 10.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path in ("d/e", ".shoal/partial", "other", "linked"):
        (tmp_path / path).mkdir(parents=True)
    for path in ("a", "d/b", "d/e/c", ".shoal/cache.db"):
        (tmp_path / path).write_bytes(b"1")
    return tmp_path


@pytest.fixture
def changes(folder: Path) -> Iterator[Changes]:
    with contextlib.closing(Changes(folder)) as changes:
        yield changes


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"2")


def write_and_hold(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY)  # Closed when the tests are over.
    os.pwrite(descriptor, b"3", 0)


def drawn(changed: Changed) -> str:
    """Return `a t:x/1,y u` if a, x/1 and y in t, and something in u have changed; `*` is all."""
    things = (
        f"{name}:{','.join(sorted(paths))}".removesuffix(":")
        for name, paths in sorted(changed.things.items())
    )
    return " ".join(["*"] * changed.is_everything + list(things))


COUNT: dict[str, tuple[Callable[[Path], object], str]] = {
    "a file is made": (lambda folder: (folder / "new").touch(), "new"),
    "deep": (lambda folder: (folder / "d/e/new").touch(), "d:e/new"),
    "a file is written to": (lambda folder: append(folder / "d/e/c"), "d:e/c"),
    "and not closed": (lambda folder: write_and_hold(folder / "d/e/c"), "d:e/c"),
    "a file is cut off": (lambda folder: os.truncate(folder / "d/b", 0), "d:b"),
    "a file may be run": (lambda folder: (folder / "d/b").chmod(0o755), "d:b"),
    "a file has another time": (lambda folder: os.utime(folder / "a", ns=(1, 1)), "a"),
    "a file is deleted": (lambda folder: (folder / "d/e/c").unlink(), "d:e/c"),
    "a file is moved": (lambda folder: (folder / "a").rename(folder / "d/a"), "a d:a"),
    "a link is made": (lambda folder: (folder / "d/l").symlink_to("b"), "d:l"),
    "a directory is made": (lambda folder: (folder / "d/e/f").mkdir(), "d:e/f"),
    "a directory is moved": (lambda folder: (folder / "d/e").rename(folder / "e"), "d:e e"),
    "a directory is deleted": (lambda folder: (folder / "other").rmdir(), "other"),
    "a directory has another mode": (lambda folder: (folder / "d/e").chmod(0o700), "d:e"),
    "something comes from aside": (
        lambda folder: (folder / ".shoal/partial").rename(folder / "p"),
        "p",
    ),
    "the folder has another mode": (lambda folder: folder.chmod(0o700), "*"),
}


@pytest.mark.parametrize("what", COUNT)
def test_reports_what_changes(folder: Path, changes: Changes, what: str) -> None:
    assert not changes.wait(0)
    change, reported = COUNT[what]
    change(folder)
    assert drawn(changes.wait(LIMIT_S)) == reported
    assert not changes.wait(0)  # Once.


def test_reading_and_our_own_do_not_count(folder: Path, changes: Changes) -> None:
    for path in ("a", "d/b", "d/e/c"):
        (folder / path).read_bytes()
    list((folder / "d").iterdir())
    append(folder / ".shoal/cache.db")
    (folder / ".shoal/partial/data").write_bytes(b"1")
    (folder / ".shoal/new").mkdir()
    (folder / ".shoal").chmod(0o700)
    assert not changes.wait(0)


def test_follows_into_directories_that_come_later(folder: Path, changes: Changes) -> None:
    (folder / "x/y/z").mkdir(parents=True)
    assert changes.wait(LIMIT_S)
    changes.wait(0)
    (folder / "x/y/z/new").touch()
    assert changes.wait(LIMIT_S)
    (folder / ".shoal/partial/t/u").mkdir(parents=True)
    (folder / ".shoal/partial/t").rename(folder / "t")
    assert changes.wait(LIMIT_S)
    (folder / "t/u/new").touch()
    assert changes.wait(LIMIT_S)


def test_follows_what_is_moved(folder: Path, changes: Changes) -> None:
    (folder / "d").rename(folder / "moved")
    assert changes.wait(LIMIT_S)
    (folder / "moved/e/f").mkdir()
    assert changes.wait(LIMIT_S)
    (folder / "moved/e/f/new").touch()
    assert changes.wait(LIMIT_S)


def test_what_has_left_is_not_watched_any_more(
    folder: Path, changes: Changes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (folder / "d").rename(elsewhere / "d")
    assert changes.wait(LIMIT_S)
    changes.wait(0)
    (elsewhere / "d/e/new").touch()
    append(elsewhere / "d/b")
    assert not changes.wait(0)


def test_links_are_not_followed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (folder / "l").symlink_to(elsewhere)
    with contextlib.closing(Changes(folder)) as changes:
        (elsewhere / "new").touch()
        assert not changes.wait(0)


def test_a_folder_may_be_a_link_itself(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    link = tmp_path_factory.mktemp("elsewhere") / "link"
    link.symlink_to(folder)
    with contextlib.closing(Changes(link)) as changes:
        append(folder / "d/b")
        assert changes.wait(LIMIT_S)


def test_when_there_was_too_much_all_is_watched_again(folder: Path, changes: Changes) -> None:
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    for number in range(most // 2 + 10):
        (folder / f"a{number % 2}").touch()
        (folder / f"a{number % 2}").unlink()
    (folder / "late").mkdir()  # Nobody was told of it.
    assert changes.wait(LIMIT_S).is_everything
    changes.wait(0)
    (folder / "late/new").touch()
    assert changes.wait(LIMIT_S)


def test_wakes(changes: Changes) -> None:
    timer = threading.Timer(0.05, changes.wake)
    timer.start()
    assert not changes.wait(LIMIT_S)
    timer.join()
    assert not timer.is_alive()


def test_one_that_cannot_watch_leaves_nothing_open(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = open_descriptors()
    monkeypatch.setattr(INotify, "add_watch", refuse)
    with pytest.raises(OSError, match="max_user_watches"):
        Changes(folder)
    assert open_descriptors() == before


def test_a_system_without_it_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise AttributeError("inotify_init1")

    before = open_descriptors()
    monkeypatch.setattr(INotify, "__init__", missing)
    with pytest.raises(OSError, match="not on this system"):
        Changes(folder)
    assert open_descriptors() == before
