"""What the library raises: a few exceptions, each also the built-in one that fits."""

import contextlib
from collections.abc import Iterator

from shoal.protocol import errors
from shoal.protocol.errors import Kind, OperatorError


class ShoalError(Exception):
    """What all of them are. The message is a sentence with the thing, the cause and the remedy."""


class Invalid(ShoalError, ValueError):  # noqa: N818 (so are the built-in ones named: NotADirectory…)
    """An argument or the cluster file is wrong."""


class NotFound(ShoalError, FileNotFoundError):  # noqa: N818 (the same)
    """No node has it, as far as the tracker knows."""


class Unreachable(ShoalError, OSError):  # noqa: N818 (the same)
    """The tracker does not answer, or no node that has it is alive."""


class Corrupt(ShoalError, OSError):  # noqa: N818 (the same)
    """No holder could deliver the right bytes."""


class DiskTrouble(ShoalError, OSError):  # noqa: N818 (the same)
    """The disk is full, a quota is used up, something cannot be read or written."""


class NotAllowed(ShoalError, PermissionError):  # noqa: N818 (the same)
    """The cluster file's keys do not allow it, or nodes do not obey pushes."""


class TimedOut(ShoalError, TimeoutError):  # noqa: N818 (the same)
    """It took longer than it was given, or nothing happened for too long."""


class Stopped(ShoalError):  # noqa: N818 (the same)
    """The node that was doing it was stopped, or the session was closed meanwhile."""


_BY_KIND: dict[Kind, type[ShoalError]] = {  # The narrower ones first.
    errors.NotFoundError: NotFound,
    errors.NobodyAliveError: Unreachable,
    errors.TrackerError: Unreachable,
    errors.IntegrityError: Corrupt,
    errors.TimedOutError: TimedOut,
    errors.DiskError: DiskTrouble,
    errors.NotAllowedError: NotAllowed,
    errors.StoppedError: Stopped,
    errors.BugError: ShoalError,
    OperatorError: Invalid,
}


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raise what the library promises in place of what the commands report."""
    try:
        yield
    except OperatorError as error:
        kind = next(ours for theirs, ours in _BY_KIND.items() if isinstance(error, theirs))
        raise kind(str(error)) from None
