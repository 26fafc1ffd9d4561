"""Rates as people write them, 20MB/s, and which of them holds at which time of day.

Measures and limits nothing.
"""

import re

import msgspec

LEAST = 100_000  # Below this a chunk takes longer than its asker waits for it.
MOST = 10**12
EXPECTED = "a rate from 100kB/s to 1000GB/s, as in 20MB/s or 100Mbit/s, or unlimited"
UNLIMITED = "unlimited"
OTHERWISE = "otherwise"
MINUTES_A_DAY = 24 * 60

_UNITS = {
    "kB": 1000.0,
    "MB": 1e6,
    "GB": 1e9,
    "kbit": 125.0,
    "Mbit": 125e3,
    "Gbit": 125e6,
}
_RATE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?(kB|MB|GB|kbit|Mbit|Gbit)/s", re.ASCII)
_HOURS = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])", re.ASCII)


def parsed(text: str) -> int | None:
    """Return a rate in bytes/s; None if it says that there is no limit.

    Raises:
        ValueError: it is no rate, or out of bounds. Without a message: EXPECTED says it.
    """
    if text == UNLIMITED:
        return None
    found = _RATE.fullmatch(text)
    if found is None:
        raise ValueError
    rate = round(float(found[1]) * _UNITS[found[2]])
    if not LEAST <= rate <= MOST:
        raise ValueError
    return rate


def shown(rate: int | None) -> str:
    """Return a rate in bytes/s as people write it, with at most three digits after the point."""
    if rate is None:
        return UNLIMITED
    unit = next((each for each in ("GB", "MB") if rate >= _UNITS[each]), "kB")
    return f"{rate / _UNITS[unit]:.3f}".rstrip("0").rstrip(".") + f"{unit}/s"


class Hours(msgspec.Struct, frozen=True):
    """A part of each day, in minutes since midnight; until the next day's if `end` is not later.

    `rate` is in bytes/s, None without a limit.
    """

    begin: int
    end: int
    rate: int | None

    def minutes(self) -> list[tuple[int, int]]:
        """Return the spans of one day that it covers."""
        if self.begin < self.end:
            return [(self.begin, self.end)]
        return [(self.begin, MINUTES_A_DAY), (0, self.end)]

    def have(self, minute: int) -> bool:
        """Say whether a minute of the day is one of them."""
        return any(begin <= minute < end for begin, end in self.minutes())

    def overlap(self, other: "Hours") -> bool:
        """Say whether they have a minute in common."""
        return any(
            begin < other_end and other_begin < end
            for begin, end in self.minutes()
            for other_begin, other_end in other.minutes()
        )


class Timetable(msgspec.Struct, frozen=True):
    """A limit in bytes/s, which may differ by the time of day; None means that there is none."""

    usual: int | None = None
    hours: tuple[Hours, ...] = ()

    def at(self, minute: int) -> int | None:
        """Return the limit in a minute of the day, 0 to 1439."""
        for each in self.hours:
            if each.have(minute):
                return each.rate
        return self.usual


def hours(text: str, rate: int | None) -> Hours:
    """Return the hours that a text such as 08:00-18:00 names, with that rate.

    Raises:
        ValueError: it names none. Without a message.
    """
    found = _HOURS.fullmatch(text)
    if found is None:
        raise ValueError
    begin, end = 60 * int(found[1]) + int(found[2]), 60 * int(found[3]) + int(found[4])
    if begin >= MINUTES_A_DAY or end > MINUTES_A_DAY or begin == end:
        raise ValueError
    return Hours(begin, end, rate)


def lesser(one: int | None, other: int | None) -> int | None:
    """Return the lower of two limits."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
