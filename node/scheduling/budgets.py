"""How much may be requested in which time, by several limits at once. Requests nothing."""

import functools
from typing import Protocol

from shoal.protocol.rates import lesser


class Budget(Protocol):
    """A limit of what is requested (protocol.bucket)."""

    @property
    def rate(self) -> int | None:
        """How many bytes/s it allows; None if all."""

    def ready_at(self, now: float) -> float:
        """When the next chunk may be requested: now, if that has been."""

    def take(self, size_bytes: int, now: float) -> None:
        """Note that so many bytes are requested."""

    def give_back(self, size_bytes: int) -> None:
        """Note that so many bytes that were requested will not come."""


class Budgets:
    """The strictest of several."""

    def __init__(self, *budgets: Budget) -> None:
        self._budgets = budgets

    @property
    def rate(self) -> int | None:
        return functools.reduce(lesser, (each.rate for each in self._budgets))

    def ready_at(self, now: float) -> float:
        return max(each.ready_at(now) for each in self._budgets)

    def take(self, size_bytes: int, now: float) -> None:
        for each in self._budgets:
            each.take(size_bytes, now)

    def give_back(self, size_bytes: int) -> None:
        for each in self._budgets:
            each.give_back(size_bytes)
