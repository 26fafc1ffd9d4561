"""Some of what the command tries: a few losses of power in each scenario."""

from pathlib import Path

import pytest

from tests.disk_faults.losses import Effort
from tests.disk_faults.power import after_each_loss
from tests.disk_faults.processes import warm_in, why_not
from tests.disk_faults.scenarios import BY_NAME, World
from tests.disk_faults.tracker import after_each_loss_of_the_tracker

NAMES = list(BY_NAME)

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())


@pytest.mark.parametrize("name", NAMES)
def test_a_loss_of_power_takes_nothing_that_was_promised(world: World, name: str) -> None:
    effort = Effort(seed=NAMES.index(name), step=9, most=8, subsets=4)
    checked = after_each_loss(world, BY_NAME[name], effort)
    assert checked.troubles[:3] == []  # Comparing thousands takes minutes.
    assert checked.states > checked.points >= 5


def test_a_tracker_that_lost_power_knows_what_it_knew_at_some_moment(tmp_path: Path) -> None:
    with warm_in(tmp_path / "warm") as warm:
        effort = Effort(step=5, most=8, subsets=4)
        checked = after_each_loss_of_the_tracker(tmp_path / "tracker", warm, effort)
    assert checked.troubles[:3] == []
    assert checked.states > 2 * checked.points
