"""What can go wrong, by whose fault it is. Ours are assertions and have no class here."""

import enum
import errno


class ExitCode(enum.IntEnum):
    """What the commands exit with: a promise to scripts (docs/use/json.md)."""

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
    HUNG_UP = 129
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


_BY_NUMBER = {
    errno.ENOSPC: ("the disk is full", "free some space and run it again", ExitCode.DISK),
    errno.EDQUOT: ("the disk quota is used up", "free some space and run it again", ExitCode.DISK),
    errno.EROFS: ("the file system is read-only", "use another folder", ExitCode.DISK),
    errno.EACCES: ("permission denied", "change its permissions", ExitCode.DISK),
    errno.EPERM: ("not permitted", "change its permissions", ExitCode.DISK),
    errno.ENAMETOOLONG: ("the path is too long", "use a shorter one", ExitCode.USAGE),
    errno.ENOENT: ("no such file or directory", "check the path", ExitCode.USAGE),
    errno.EMFILE: ("too many open files", "raise the limit: ulimit -n 65536", ExitCode.DISK),
    errno.ENFILE: ("too many open files on this machine", "end some programs", ExitCode.DISK),
    errno.ENOMEM: ("not enough memory", "end some programs", ExitCode.DISK),
    errno.EAGAIN: ("too many processes or threads", "raise the limit: ulimit -u", ExitCode.DISK),
}


def refused(error: OSError) -> OperatorError:
    """Return what to tell the operator about an operating system that refused something."""
    unknown = error.strerror or str(error), "check the disk and run it again", ExitCode.DISK
    cause, remedy, exit_code = _BY_NUMBER.get(error.errno or 0, unknown)
    name = error.filename
    text = name.decode(errors="replace") if isinstance(name, bytes) else name
    thing = f"{text}: " if isinstance(text, str) and text else ""
    return OperatorError(f"{thing}{cause}; {remedy}", exit_code)


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
