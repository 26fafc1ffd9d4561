"""The limits that an operator may set, as the cluster file has them. None: the default.

What each does by default, and why, is beside the code that keeps it.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from shoal.config.document import Value


class NodeLimits(msgspec.Struct, frozen=True):
    """Limits of one node."""

    fetch_memory_mb: float | None = None  # Megabytes of 10**6 bytes.
    stalled_s: float | None = None
    rescan_s: float | None = None


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


_OF_A_NODE = {
    "fetch_memory_mb": _Range(16, 100_000, "megabytes"),  # The least: a few chunks of 4 MiB.
    "stalled_s": _Range(10, 604_800, "seconds"),
    "rescan_s": _Range(1, 86_400, "seconds"),
}
_COUNT = _Range(1, 1_000_000_000, "", is_whole=True)
_OF_THE_TRACKER = {
    "lease_s": _Range(15, 3600, "seconds"),  # The least: nodes renew it every 8 to 12 seconds.
    "nodes": _COUNT,
    "versions": _COUNT,
    "holdings": _COUNT,
    "holdings_per_node": _COUNT,
}


def node_limits(value: Value | None, base: NodeLimits) -> NodeLimits:
    """Return the limits given at `value`, and the `base`'s for the others.

    Raises:
        OperatorError: a key is unknown, or a value is no number or out of its range.
    """
    return msgspec.structs.replace(base, **_numbers(value, _OF_A_NODE))


def tracker_limits(value: Value | None) -> TrackerLimits:
    """Return the limits given at `value`. Raises as `node_limits`."""
    numbers = _numbers(value, _OF_THE_TRACKER)
    return msgspec.convert(numbers, TrackerLimits, strict=False)


def _numbers(value: Value | None, known: Mapping[str, _Range]) -> dict[str, float]:
    if value is None:
        return {}
    return {
        name: _number(found, known[name])
        for name, found in value.fields(required=(), optional=known).items()
    }


def _number(value: Value, allowed: _Range) -> float:
    least, most, unit, is_whole = allowed
    expected = f"a {'whole ' * is_whole}number from {least:,} to {most:,} {unit}".rstrip()
    number = value.number(expected)
    if not least <= number <= most or (is_whole and not number.is_integer()):
        raise value.error(f"found {number:g}", f"expected {expected}")
    return number
