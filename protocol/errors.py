"""What can go wrong, by whose fault it is. Ours are assertions and have no class here."""

import enum


class ExitCode(enum.IntEnum):
    """What the commands exit with: a promise to scripts (docs/commands.md)."""

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
    INTERRUPTED = 130
    TERMINATED = 143


class OperatorError(Exception):
    """Something that the operator can put right.

    The message is one sentence with the thing, the cause and the remedy; only the command line
    prints it.
    """

    def __init__(self, message: str, exit_code: ExitCode = ExitCode.USAGE) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class MalformedMessageError(Exception):
    """A peer sent bytes that are not a message. Raised and caught at the codec's border."""


class UnsupportedMessageError(MalformedMessageError):
    """A well-formed message of a type or version that this side does not know."""


class WireCode(enum.IntEnum):
    """The `code` of an `error` reply, in HTTP's sense, so that people can guess it."""

    MALFORMED = 400
    NOT_FOUND = 404
    CONFLICT = 409
    GONE = 410
    TOO_MUCH = 429
    INTERNAL = 500
    UNSUPPORTED = 501
    BUSY = 503
