"""How far the hashing is, told now and then."""

import threading
from pathlib import Path

import pytest
from shoal.node.files.signature import Signature
from shoal.node.folder import hash_progress
from shoal.node.folder.hash_progress import HashProgress
from shoal.node.folder.source import FileSource
from shoal.protocol import manifest

Told = list[tuple[int, int]]


def source(size_bytes: int) -> FileSource:
    return FileSource(Path("a"), Signature(size_bytes, 0, 0, manifest.PLAIN_MODE))


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hash_progress, "SHOW_HASHING_S", 0.0)
    monkeypatch.setattr(hash_progress, "SAY_HASHING_S", 0.0)


@pytest.mark.usefixtures("at_once")
def test_who_waits_is_told_how_much_of_how_much() -> None:
    told: Told = []
    progress = HashProgress()
    progress.begin([source(70), source(30)], lambda *so_far: told.append(so_far))
    for _ in range(3):
        progress.hashed(40)
    assert told == [(40, 100), (80, 100), (120, 120)]  # One has grown meanwhile.


@pytest.mark.usefixtures("at_once")
def test_else_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    progress = HashProgress()
    with caplog.at_level("INFO", "shoal.node"):
        progress.begin([source(4_000_000_000)])
        progress.hashed(1_000_000_000)
    assert caplog.messages == ["hashing: 1.0 of 4.0 GB, 25 %"]


@pytest.mark.usefixtures("at_once")
def test_each_begins_anew() -> None:
    told: Told = []
    progress = HashProgress()
    progress.begin([source(10)])
    progress.hashed(10)
    progress.begin([source(20)], lambda *so_far: told.append(so_far))
    progress.hashed(5)
    assert told == [(5, 20)]


def test_it_is_told_now_and_then_only() -> None:
    told: Told = []
    progress = HashProgress()
    progress.begin([source(1000)], lambda *so_far: told.append(so_far))
    for _ in range(500):
        progress.hashed(1)
    assert len(told) < 100


@pytest.mark.usefixtures("at_once")
def test_nothing_is_lost_between_threads() -> None:
    told: Told = []
    progress = HashProgress()
    progress.begin([source(4000)], lambda *so_far: told.append(so_far))

    def hash_it() -> None:
        for _ in range(1000):
            progress.hashed(1)

    threads = [threading.Thread(target=hash_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(told) == (4000, 4000)
