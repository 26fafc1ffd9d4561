"""The limits that an operator may set, as the cluster file has them. None: the default.

What each does by default, and why, is beside the code that keeps it.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec
from shoal.config.document import Value, shown
from shoal.protocol import rates
from shoal.protocol.rates import Timetable


class NodeLimits(msgspec.Struct, frozen=True):
    """Limits of one node."""

    fetch_memory_mb: float | None = None  # Megabytes of 10**6 bytes.
    stalled_s: float | None = None
    rescan_s: float | None = None
    up: Timetable | None = None  # What it may send, and …
    down: Timetable | None = None  # … receive at most.
    background: bool | None = None  # Whether it sends only what nobody else needs.


class TrackerLimits(msgspec.Struct, frozen=True):
    """Limits of the tracker."""

    lease_s: float | None = None
    nodes: int | None = None
    versions: int | None = None
    holdings: int | None = None
    holdings_per_node: int | None = None


class _Range(NamedTuple):
    least: float
    most: float
    unit: str
    is_whole: bool = False

    def read(self, value: Value) -> float:
        """Return the number at `value`; raise OperatorError if it is none, or out of the range."""
        least, most, unit, is_whole = self
        expected = f"a {'whole ' * is_whole}number from {least:,} to {most:,} {unit}".rstrip()
        number = value.number(expected)
        if not least <= number <= most or (is_whole and not number.is_integer()):
            raise value.error(f"found {number:g}", f"expected {expected}")
        return number


def timetable(value: Value) -> Timetable:
    """Return the rate at `value`, or the rates by the time of day."""
    if not value.is_mapping:
        return Timetable(_rate(value))
    usual: int | None = None
    hours: list[rates.Hours] = []
    for name, found in value.entries(_HOURS).items():
        rate = _rate(found)
        if name == rates.OTHERWISE:
            usual = rate
            continue
        try:
            hours.append(rates.hours(name, rate))
        except ValueError:
            raise found.error(f"found {shown(name)} as key", f"expected {_HOURS}") from None
        if any(hours[-1].overlap(other) for other in hours[:-1]):
            raise found.error("overlaps other hours", "expected each time of the day once")
    return Timetable(usual, tuple(hours))


def _rate(value: Value) -> int | None:
    text = value.text(rates.EXPECTED)
    try:
        return rates.parsed(text)
    except ValueError:
        raise value.error(f"found {shown(text)}", f"expected {rates.EXPECTED}") from None


_Reader = Callable[[Value], object]
_HOURS = 'hours such as "08:00-18:00" with a rate each, and otherwise for the rest of the day'
_OF_A_NODE: dict[str, _Reader] = {
    "fetch_memory_mb": _Range(16, 100_000, "megabytes").read,  # The least: a few chunks of 4 MiB.
    "stalled_s": _Range(10, 604_800, "seconds").read,
    "rescan_s": _Range(1, 86_400, "seconds").read,
    "up": timetable,
    "down": timetable,
    "background": Value.flag,
}
_COUNT = _Range(1, 1_000_000_000, "", is_whole=True).read
_OF_THE_TRACKER: dict[str, _Reader] = {
    "lease_s": _Range(15, 3600, "seconds").read,  # The least: nodes renew it every 8 to 12 seconds.
    "nodes": _COUNT,
    "versions": _COUNT,
    "holdings": _COUNT,
    "holdings_per_node": _COUNT,
}


def node_limits(value: Value | None, base: NodeLimits) -> NodeLimits:
    """Return the limits given at `value`, and the `base`'s for the others.

    Raises:
        OperatorError: a key is unknown, or a value is not what it should be.
    """
    return msgspec.structs.replace(base, **_given(value, _OF_A_NODE))


def common_limits(value: Value | None) -> tuple[NodeLimits, int | None]:
    """Return the limits of all nodes, and what they may send together, in bytes/s.

    Raises as `node_limits`.
    """
    given = _given(value, {**_OF_A_NODE, "cluster_up": _rate})
    cluster_up = given.pop("cluster_up", None)
    assert cluster_up is None or isinstance(cluster_up, int)
    return msgspec.structs.replace(NodeLimits(), **given), cluster_up


def tracker_limits(value: Value | None) -> TrackerLimits:
    """Return the limits given at `value`. Raises as `node_limits`."""
    given = _given(value, _OF_THE_TRACKER)
    return msgspec.convert(given, TrackerLimits, strict=False)


def _given(value: Value | None, known: Mapping[str, _Reader]) -> dict[str, object]:
    if value is None:
        return {}
    return {
        name: known[name](found)
        for name, found in value.fields(required=(), optional=known).items()
    }
