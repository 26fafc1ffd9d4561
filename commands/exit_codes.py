"""The exit codes of all commands, as promised to scripts in docs/use/json.md."""

import enum

from shoal.protocol import errors
from shoal.protocol.errors import Kind, OperatorError


class ExitCode(enum.IntEnum):
    """128 and the signal's number where a signal ended a command."""

    DONE = 0
    BUG = 1
    USAGE = 2
    NOT_FOUND = 3
    NOBODY_ALIVE = 4
    INTEGRITY = 5
    PARTLY_DONE = 6
    TIMED_OUT = 7
    DISK = 8
    TRACKER_UNREACHABLE = 9
    NOT_ALLOWED = 10
    UNAVAILABLE = 11
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


_BY_KIND: dict[Kind, ExitCode] = {  # The narrower ones first.
    errors.NotFoundError: ExitCode.NOT_FOUND,
    errors.NobodyAliveError: ExitCode.NOBODY_ALIVE,
    errors.IntegrityError: ExitCode.INTEGRITY,
    errors.TimedOutError: ExitCode.TIMED_OUT,
    errors.DiskError: ExitCode.DISK,
    errors.TrackerError: ExitCode.TRACKER_UNREACHABLE,
    errors.NotAllowedError: ExitCode.NOT_ALLOWED,
    errors.UnavailableError: ExitCode.UNAVAILABLE,
    errors.TerminatedError: ExitCode.TERMINATED,
    errors.HungUpError: ExitCode.HUNG_UP,
    errors.StoppedError: ExitCode.INTERRUPTED,
    errors.BugError: ExitCode.BUG,
    OperatorError: ExitCode.USAGE,
}


def of(error: OperatorError) -> ExitCode:
    """Return the exit code for a failure."""
    return next(code for kind, code in _BY_KIND.items() if isinstance(error, kind))
