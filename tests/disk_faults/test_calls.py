"""Some of what the command tries: a few calls of each scenario fail."""

import collections
from pathlib import Path

import pytest

from tests.disk_faults.failing import MODES, failing, faults
from tests.disk_faults.processes import warm_in, why_not
from tests.disk_faults.scenarios import BY_NAME, SCENARIOS, World
from tests.disk_faults.tracker import failing_tracker

STEP = 41  # A scenario has 60 to 170 calls: the kinds of failure take turns.
NAMES = list(BY_NAME)

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())


def test_half_a_write_is_not_taken_for_a_whole_one(world: World) -> None:
    calls, mode = collections.Counter[str](), "a short write"
    assert failing(world, BY_NAME["fetch-file"], mode, faults(mode, 19, 3), calls) == []
    assert calls["write"] >= 5


@pytest.mark.parametrize("name", [one.name for one in SCENARIOS if not one.unsynced])
def test_whatever_fails_what_is_there_is_whole_and_the_next_try_ends(
    world: World, name: str
) -> None:
    number, calls = NAMES.index(name), collections.Counter[str]()
    for turn in range(2):
        mode = list(MODES)[(number + 4 * turn) % len(MODES)]
        first = 1 + (5 * number + 20 * turn) % STEP
        assert failing(world, BY_NAME[name], mode, faults(mode, first, STEP), calls) == []
    assert calls.total() >= 2


def test_a_tracker_answers_whatever_its_disk_does_and_starts_again(tmp_path: Path) -> None:
    calls = collections.Counter[str]()
    with warm_in(tmp_path / "warm") as warm:
        for number, mode in enumerate(MODES):
            some = faults(mode, 3 + 5 * number, STEP)
            assert failing_tracker(tmp_path / str(number), warm, mode, some, calls) == []
    assert calls.total() >= len(MODES)


def test_the_next_call_is_tried_until_none_is_left(world: World) -> None:
    calls = collections.Counter[str]()
    assert failing(world, BY_NAME["discard"], "EIO", faults("EIO", 61), calls) == []
    assert calls.total() < 30
