"""The options of the command line that say how fast something may be, and what they mean."""

from typing import Annotated

import typer
from shoal.protocol import rates
from shoal.protocol.errors import OperatorError
from shoal.protocol.names import display

NodeRateOption = Annotated[
    str | None,
    typer.Option(
        "--limit", metavar="RATE", help="Send at most RATE, and receive at most RATE: 20MB/s."
    ),
]
BackgroundOption = Annotated[
    bool, typer.Option("--background", help="Send only what nobody else on the network needs.")
]
FetchRateOption = Annotated[
    str | None,
    typer.Option("--limit", metavar="RATE", help="Receive at most RATE: 20MB/s or 100Mbit/s."),
]


def rate(text: str | None) -> int | None:
    """Return the rate of a --limit, in bytes/s; None if there is none.

    Raises:
        OperatorError: it is no rate.
    """
    try:
        return None if text is None else rates.parsed(text)
    except ValueError:
        raise OperatorError(f"--limit {display(text or '')}: expected {rates.EXPECTED}") from None


def timetable(text: str | None) -> rates.Timetable | None:
    """Return a --limit that holds all day; None if there is none. Raises as `rate`."""
    return None if text is None else rates.Timetable(rate(text))
