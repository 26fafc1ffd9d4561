"""When the disk fails and recovers."""

import logging
from collections.abc import Sequence

import pytest
from shoal.broker.saver import Saver
from shoal.broker.settings import ServerSettings
from shoal.broker.stores import NOTHING, Exchanged, NotSavedError
from shoal.broker.tracking.changes import Change, Forgotten, Renewed

SETTINGS = ServerSettings(retry_save_s=5, warn_every_s=60, max_unsaved_changes=4)


class Disk:
    """Takes changes, or fails."""

    is_shared = False

    def __init__(self) -> None:
        self.saved: list[Change] = []
        self.tries = 0
        self.is_full = False

    def load(self) -> Sequence[Change]:
        return self.saved

    def exchange(self, changes: Sequence[Change], _: Sequence[Renewed] = ()) -> Exchanged:
        self.tries += 1
        if self.is_full:
            raise NotSavedError("database or disk is full")
        self.saved += changes
        return NOTHING

    def trouble(self) -> str:
        return ""

    def close(self) -> None: ...


def nodes(*numbers: int) -> list[Change]:
    return [Forgotten(f"n{number}") for number in numbers]


def test_saves_nothing_when_nothing_changed() -> None:
    disk = Disk()
    assert Saver(disk, SETTINGS).save([], now=0)
    assert disk.tries == 0


def test_saves_failed_changes_later_and_in_order(caplog: pytest.LogCaptureFixture) -> None:
    disk = Disk()
    saver = Saver(disk, SETTINGS)
    disk.is_full = True
    assert not saver.save(nodes(1), now=100)
    disk.is_full = False
    assert not saver.save(nodes(2), now=104.9)
    assert disk.saved == []
    assert saver.save([], now=105)
    assert saver.save(nodes(3), now=105)
    assert disk.saved == nodes(1, 2, 3)
    assert caplog.messages[-1] == "the tracker's state is being saved again"


def test_warns_once_in_a_while_and_counts(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "shoal.tracker")
    disk = Disk()
    saver = Saver(disk, SETTINGS)
    disk.is_full = True
    for now in range(100, 161):
        saver.save(nodes(1), now)
    assert saver.counts() == {
        "failed_saves": 13,
        "store_outages": 1,
        "store_away": 1,
        "unsaved_changes": 4,
    }
    assert disk.tries == 13
    assert len(caplog.messages) == 2
    assert "database or disk is full" in caplog.messages[0]


def test_keeps_no_more_than_a_limit() -> None:
    disk = Disk()
    saver = Saver(disk, SETTINGS)
    disk.is_full = True
    saver.save(nodes(*range(10)), now=100)
    disk.is_full = False
    saver.save([], now=105)
    assert disk.saved == nodes(6, 7, 8, 9)
