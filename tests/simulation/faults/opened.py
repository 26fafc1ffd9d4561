"""Stands in for what the product does to a connection by its descriptor (wire.sockets)."""

import contextlib
import errno
from collections.abc import Iterator
from typing import Any, Self

from shoal.wire import sockets as product_sockets

from tests.simulation.faults import waiting
from tests.simulation.faults.connections import End
from tests.simulation.faults.sockets import nets


class Opened:
    """A server's end of a connection, as a copy of its descriptor gives access to it."""

    def __init__(self, end: End) -> None:
        self.end = end

    def getpeername(self) -> tuple[str, int]:
        found = nets[0].address_of_client(self.end.number)
        return found, waiting.FIRST_NUMBER + self.end.number

    def shutdown(self, _: int) -> None:
        self.end.lose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the copy."""


def connection(number: int) -> Opened | None:
    """Stand in for `connection`; None for a client's own, of which nothing is told here."""
    end = nets[0].far_end(number - waiting.FIRST_NUMBER)
    return None if end is None else Opened(end)


@contextlib.contextmanager
def borrowed(number: int) -> Iterator[Opened]:
    """Stand in for `borrowed`."""
    found = connection(number)
    if found is None:
        raise OSError(errno.EBADF, "closed")
    yield found


def abort(opened: Opened) -> None:
    """Stand in for `abort`: the other end sees it reset, and what had come is lost."""
    opened.end.lose()


def pace(opened: Opened, rate: int | None) -> None:
    """Stand in for `pace`."""
    opened.end.pace = rate


def flow(opened: Opened) -> tuple[float, int]:
    """Stand in for `flow`: the smoothed round trip, and how much has arrived."""
    return opened.end.usual_s, opened.end.arrived_bytes


REPLACED: list[tuple[Any, str, Any]] = [
    (product_sockets, "connection", connection),
    (product_sockets, "borrowed", borrowed),
    (product_sockets, "abort", abort),
    (product_sockets, "pace", pace),
    (product_sockets, "flow", flow),
]
