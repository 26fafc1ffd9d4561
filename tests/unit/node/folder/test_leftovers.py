"""What the dead have left."""

import os
import subprocess
from pathlib import Path

import pytest
from shoal.node.folder import leftovers

from tests.unit.wire.places import eventually


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".shoal").mkdir()
    return tmp_path


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / ".shoal").iterdir())


def test_there_is_a_place_for_what_comes_and_for_what_goes(folder: Path) -> None:
    leftovers.incoming(folder).write_bytes(b"new")
    places = [leftovers.deleted(folder) for _ in range(2)]
    for place in places:
        place.mkdir()
    assert len(set(places)) == 2
    assert all(place.is_relative_to(folder / ".shoal") for place in places)


def test_what_the_dead_have_left_is_removed(folder: Path) -> None:
    state = folder / ".shoal"
    with subprocess.Popen(["sleep", "60"]) as living:
        pids = {"dead": dead_pid(), "own": os.getpid(), "living": living.pid}
        for pid in pids.values():
            (state / f"incoming-{pid}" / "x").mkdir(parents=True)
            (state / f"deleted-{pid}-abc" / "it").mkdir(parents=True)
        (state / "cache.db").write_bytes(b"")
        leftovers.sweep(folder)
        assert left(folder) == ["cache.db", f"deleted-{living.pid}-abc", f"incoming-{living.pid}"]
        living.kill()


def test_a_single_file_is_removed_too(folder: Path) -> None:
    (folder / ".shoal" / f"incoming-{dead_pid()}").write_bytes(b"half a f")
    leftovers.sweep(folder)
    assert left(folder) == []


def dead_pid() -> int:
    with subprocess.Popen(["true"]) as process:
        return process.pid


def test_what_takes_long_is_removed_in_the_background(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "AT_ONCE_S", 0.0)
    for number in range(100):
        (folder / ".shoal" / f"deleted-{dead_pid()}-x" / str(number)).mkdir(parents=True)
    (folder / ".shoal" / f"incoming-{os.getpid()}").mkdir()
    leftovers.sweep(folder)
    leftovers.incoming(folder).mkdir()  # At once: what had that name is out of the way.
    eventually(lambda: left(folder) == [f"incoming-{os.getpid()}"])
