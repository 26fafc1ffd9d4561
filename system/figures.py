"""What a process tells of itself in numbers: families of figures, as Prometheus has them.

Formats and sends none. Whoever counts keeps plain numbers; a family is made of them when asked for.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple


class NoFiguresError(Exception):
    """There are none now; the message is a line that says why."""


Kind = Literal["counter", "gauge"]
OTHER = "other"


class Family(NamedTuple):
    """Figures of one name, each with the values of the labels, in the order of `labels`."""

    name: str  # A counter's ends in _total.
    kind: Kind
    meaning: str
    labels: tuple[str, ...]
    values: Mapping[tuple[str, ...], float]


class Histogram(NamedTuple):
    """How many of something were of which size: `counts` of up to each of `bounds`, and above."""

    name: str
    meaning: str
    bounds: tuple[float, ...]
    counts: list[int]  # One more than bounds; each has what no earlier one has.
    total: float  # The sum of all sizes.


Figure = Family | Histogram


def counter(name: str, meaning: str, value: float) -> Family:
    """Return one figure that only grows while the process runs."""
    return Family(name, "counter", meaning, (), {(): value})


def gauge(name: str, meaning: str, value: float) -> Family:
    """Return one figure that goes up and down."""
    return Family(name, "gauge", meaning, (), {(): value})


def each(name: str, kind: Kind, meaning: str, label: str, values: Mapping[str, float]) -> Family:
    """Return a figure for each value of one label."""
    return Family(name, kind, meaning, (label,), {(one,): value for one, value in values.items()})


def build_info(version: str, libzmq: str, name: str) -> Family:
    """Return which build a process is of, and its name in the cluster file."""
    values: dict[tuple[str, ...], float] = {(version, libzmq, name): 1.0}
    meaning, labels = "Which build this is, and who; always 1.", ("version", "libzmq", "name")
    return Family("shoal_build_info", "gauge", meaning, labels, values)


class Named:
    """Sums by name, of which only the first `most` have one of their own; the rest are `OTHER`'s.

    Names come from the network, and a time series for each would fill whatever stores them. For
    one thread at a time; `read` may be called from any.
    """

    __slots__ = ("_most", "_sums")

    def __init__(self, most: int) -> None:
        self._most = most
        self._sums: dict[str, int] = {}

    def add(self, name: str, count: int) -> None:
        """Add to a name's sum."""
        sums = self._sums
        before = sums.get(name)
        if before is None and len(sums) >= self._most:
            name = OTHER
            before = sums.get(OTHER)
        sums[name] = (before or 0) + count

    def read(self) -> dict[str, int]:
        """Return a copy."""
        return dict(self._sums)  # In one step: the interpreter's lock is held.
