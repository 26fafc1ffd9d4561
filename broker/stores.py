"""What a store of the log must offer: one of our own, or one that several trackers share."""

from collections.abc import Sequence
from typing import Protocol

import msgspec
from shoal.broker.tracking.changes import Change, Renewed


class NotSavedError(Exception):
    """No change was saved: the disk is full, read-only or failing, or the store is away."""


class LostError(Exception):
    """The store has lost what it had confirmed: it failed over, was flushed or restored."""


class NotLoadedError(LostError):
    """The store could not be read yet: nothing of it is known."""


class Exchanged(msgspec.Struct, frozen=True):
    """What other trackers have decided and heard since the last exchange.

    The changes come before those that were given with this exchange, in the log's order. Who
    renewed a lease is not part of the log.
    """

    others: Sequence[Change] = ()
    renewed: Sequence[Renewed] = ()
    unsaved: int = 0  # How many of those that were given, the last ones, are not saved yet.
    has_more: bool = False  # The log goes on after that; the rest comes with the next exchange.


NOTHING = Exchanged()


class Store(Protocol):
    """The tracker's log. One thread at a time uses it."""

    @property
    def is_shared(self) -> bool:
        """Whether other trackers append to the log too. If not, nothing comes from others."""

    def load(self) -> Sequence[Change]:
        """Return the log so far.

        Raises:
            NotSavedError: it cannot be read now; a shared store may be away.
            UnavailableError: another tracker has it alone, or a later release has written it.
        """

    def exchange(self, changes: Sequence[Change], renewed: Sequence[Renewed] = ()) -> Exchanged:
        """Append changes, tell who renewed, and return what others did before.

        Raises:
            NotSavedError: none of the changes is known to be saved. They must come first next time.
            LostError: the log is another one than before; `load` it again.
        """

    def trouble(self) -> str:
        """Return why nothing can be read from it now; empty if it can."""

    def close(self) -> None:
        """Give it back."""
