"""A tracker or node that can be watched while it runs, where that is wanted."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from shoal.config.metrics import MetricsPlace, place_in
from shoal.protocol.errors import OperatorError
from shoal.protocol.names import display

if TYPE_CHECKING:
    from shoal.commands.metrics import Condition


@contextlib.contextmanager
def watched(place: MetricsPlace | None, condition: "Condition") -> Iterator[None]:
    """Tell meanwhile at that place how a process is; without one, nowhere.

    Raises:
        OperatorError: the place is taken, or is none of this machine.
    """
    if place is None:
        yield
        return
    from shoal.commands.metrics import Metrics  # noqa: PLC0415 (30 ms that few processes need)

    metrics = Metrics(condition)
    try:
        metrics.open(place)
        yield
    finally:
        metrics.close()


def place_of(given: str | None, configured: MetricsPlace | None) -> MetricsPlace | None:
    """Return where to be watched: as --metrics has it, else as the cluster file has it.

    Raises:
        OperatorError: --metrics has no place.
    """
    if given is None:
        return configured
    try:
        return place_in(given)
    except ValueError as error:
        message = f"--metrics: {display(given)} {error}"
        raise OperatorError(f"{message}; name one, as in 127.0.0.1:9109") from None
