"""Faults that are planted in the product, to see that the checkers find them."""

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple
from unittest.mock import patch

from shoal.broker.exchanges import Exchanges
from shoal.broker.tracking import tracker
from shoal.broker.tracking.catalogue import Catalogue
from shoal.broker.tracking.sharing import Sharing


def _in_any_order(sharing: Any, others: Any, confirmed: int, now: float) -> None:
    """Apply what others decided after our own."""
    for change in others:
        sharing._state.apply(change, now)
    for _ in range(confirmed):
        sharing._own.popleft()


def _always_right(_: Any, name: str, claim: Any, version: Any) -> Any:
    del name, version
    return claim


def _nothing_again(*_: Any) -> Iterator[None]:
    return iter(())


def _waits_for_nothing(exchanges: Any) -> bool:
    return not exchanges._must_load


class Plant(NamedTuple):
    """What is put in place of what, and the seed from which on a search is short."""

    place: Any
    attribute: str
    wrong: Any
    first: int


PLANTS = {
    "what others decided comes last": Plant(Sharing, "absorb", _in_any_order, 2),
    "late claims count": Plant(Catalogue, "_judged", _always_right, 111),
    "what was lost is not said again": Plant(tracker, "say_again", _nothing_again, 58),
    "pushes are not waited for": Plant(Exchanges, "has_saved_all", _waits_for_nothing, 2),
}


@contextlib.contextmanager
def planted(name: str | None) -> Iterator[None]:
    """Have a fault in the product for a while; without a name none."""
    if name is None:
        yield
        return
    plant = PLANTS[name]
    with patch.object(plant.place, plant.attribute, plant.wrong):
        yield
