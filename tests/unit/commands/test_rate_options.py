"""Options that mean more than their text."""

import pytest
from shoal.commands import rate_options as options
from shoal.protocol.errors import OperatorError
from shoal.protocol.rates import Timetable


def test_a_limit_is_a_rate() -> None:
    assert options.rate(None) is None
    assert options.rate("20MB/s") == 20_000_000
    assert options.timetable(None) is None
    assert options.timetable("20MB/s") == Timetable(20_000_000)
    assert options.timetable("unlimited") == Timetable(None)


def test_what_is_no_rate_is_refused_with_an_example() -> None:
    with pytest.raises(OperatorError) as refused:
        options.rate("20 apples")
    assert str(refused.value).startswith("--limit 20 apples: expected a rate from 100kB/s to 1000")
    assert "as in 20MB/s" in str(refused.value)
