"""Seeds 201 to 300: whole nodes under all faults, and then everybody gets everything."""

import pytest

from tests.simulation.faults.asked import require_all_well

AT_A_TIME = 20


@pytest.mark.parametrize("first", range(201, 301, AT_A_TIME))
def test_nothing_is_wrong_and_nothing_lost(first: int) -> None:
    require_all_well(first, AT_A_TIME)
