"""Rates as people write them, and limits by the time of day."""

import pytest
from shoal.protocol import rates
from shoal.protocol.rates import Hours, Timetable, hours, lesser, parsed, shown


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("20MB/s", 20_000_000),
        ("20 MB/s", 20_000_000),
        ("1.5GB/s", 1_500_000_000),
        ("100Mbit/s", 12_500_000),
        ("800kbit/s", 100_000),
        ("100kB/s", rates.LEAST),
        ("1000GB/s", rates.MOST),
        ("0.8Gbit/s", 100_000_000),
        ("unlimited", None),
    ],
)
def test_reads_a_rate(text: str, rate: int | None) -> None:
    assert parsed(text) == rate


@pytest.mark.parametrize(
    "text",
    ["", "20", "20MB", "20mb/s", "MB/s", "-1MB/s", "99kB/s", "1001GB/s", "1e3MB/s", "20MB/s\n"],
)
def test_refuses_what_is_none_or_out_of_bounds(text: str) -> None:
    with pytest.raises(ValueError, match=r"^$"):
        parsed(text)


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (None, "unlimited"),
        (20_000_000, "20MB/s"),
        (1_500_000_000, "1.5GB/s"),
        (100_000, "100kB/s"),
        (12_345_678, "12.346MB/s"),
    ],
)
def test_shows_a_rate_as_it_is_written(rate: int | None, text: str) -> None:
    assert shown(rate) == text


def test_hours_may_cross_midnight() -> None:
    night = hours("22:00-06:30", 5)
    assert night == Hours(22 * 60, 6 * 60 + 30, 5)
    assert [night.have(60 * hour) for hour in (5, 6, 7, 21, 22, 23)] == [1, 1, 0, 0, 1, 1]
    assert not night.have(6 * 60 + 30)
    assert hours("18:00-24:00", None).have(23 * 60 + 59)


@pytest.mark.parametrize(
    "text", ["8:00-18:00", "08:00", "08:00-25:00", "24:00-08:00", "08:00-24:01", "08:00-08:00"]
)
def test_refuses_what_names_no_hours(text: str) -> None:
    with pytest.raises(ValueError, match=r"^$"):
        hours(text, 5)


def test_hours_overlap_if_a_minute_is_in_both() -> None:
    night = hours("22:00-06:00", 5)
    assert night.overlap(hours("05:59-08:00", 5))
    assert night.overlap(hours("12:00-22:01", 5))
    assert not night.overlap(hours("06:00-22:00", 5))


def test_a_limit_differs_by_the_time_of_day() -> None:
    limit = Timetable(30, (hours("08:00-18:00", 20), hours("18:00-20:00", None)))
    asked = [limit.at(60 * hour) for hour in (0, 8, 17, 18, 20)]
    assert asked == [30, 20, 20, None, 30]


def test_the_lesser_of_two_limits_is_the_stricter() -> None:
    assert [lesser(None, None), lesser(None, 5), lesser(4, None), lesser(4, 5)] == [None, 5, 4, 4]
