"""What can go wrong, by whose fault it is. Bugs are assertions and have no class here."""

import enum
import errno
from typing import ClassVar


class OperatorError(Exception):
    """Something that the operator can fix; this class itself: a wrong argument or configuration.

    The message is one sentence with the thing, the cause and the remedy. The classes below are the
    kinds of it that a caller may want to tell apart; which exit code each has is decided in
    commands/.
    """

    kind: ClassVar[str] = "usage"  # Its name on the control socket.

    def __init__(self, message: str, *, brief: str = "") -> None:
        """`brief` is the cause alone, and the remedy, where thing and node stand beside it."""
        super().__init__(message)
        self.brief = brief or message


class NotFoundError(OperatorError):
    """Nothing of that name or id exists: the tracker's 404."""

    kind = "not_found"


class NobodyAliveError(OperatorError):
    """It exists, but no node that has it is alive."""

    kind = "nobody_alive"


class IntegrityError(OperatorError):
    """No holder could deliver the right bytes."""

    kind = "integrity"


class TimedOutError(OperatorError):
    """It took longer than it was given, or nothing happened for too long."""

    kind = "timed_out"


class DiskError(OperatorError):
    """The disk is full, a quota is used up, something cannot be read or written."""

    kind = "disk"


class TrackerError(OperatorError):
    """The tracker does not answer, or its answers make no sense."""

    kind = "tracker"


class NotAllowedError(OperatorError):
    """The cluster file's keys do not allow it: the 403 of a tracker or node."""

    kind = "not_allowed"


class UnavailableError(OperatorError):
    """What a process needs is in use, or not there yet: its address, or its folder."""

    kind = "unavailable"


class StoppedError(OperatorError):
    """It was told to stop before it was done."""

    kind = "stopped"


class TerminatedError(StoppedError):
    """The same, by SIGTERM: of this process, or of the node that was doing it."""

    kind = "terminated"


class HungUpError(StoppedError):
    """The same, by SIGHUP."""

    kind = "hung_up"


class BugError(OperatorError):
    """A bug in shoal. The remedy is to report it."""

    kind = "bug"


Kind = type[OperatorError]
KINDS: dict[str, Kind] = {
    one.kind: one
    for one in (
        OperatorError,
        NotFoundError,
        NobodyAliveError,
        IntegrityError,
        TimedOutError,
        DiskError,
        TrackerError,
        NotAllowedError,
        UnavailableError,
        StoppedError,
        TerminatedError,
        HungUpError,
        BugError,
    )
}


_BY_NUMBER: dict[int, tuple[str, str, Kind]] = {
    errno.ENOSPC: ("the disk is full", "free some space and run it again", DiskError),
    errno.EDQUOT: ("the disk quota is used up", "free some space and run it again", DiskError),
    errno.EROFS: ("the file system is read-only", "use another folder", DiskError),
    errno.EACCES: ("permission denied", "change its permissions", DiskError),
    errno.EPERM: ("not permitted", "change its permissions", DiskError),
    errno.ENAMETOOLONG: ("the path is too long", "use a shorter one", OperatorError),
    errno.ENOENT: ("no such file or directory", "check the path", OperatorError),
    errno.EMFILE: ("too many open files", "raise the limit: ulimit -n 65536", DiskError),
    errno.ENFILE: ("too many open files on this machine", "end some programs", DiskError),
    errno.ENOMEM: ("not enough memory", "end some programs", DiskError),
    errno.EAGAIN: ("too many processes or threads", "raise the limit: ulimit -u", DiskError),
}


def refused(error: OSError) -> OperatorError:
    """Return the error to report when the operating system refused something."""
    unknown = error.strerror or str(error), "check the disk and run it again", DiskError
    cause, remedy, kind = _BY_NUMBER.get(error.errno or 0, unknown)
    name = error.filename
    text = name.decode(errors="replace") if isinstance(name, bytes) else name
    thing = f"{text}: " if isinstance(text, str) and text else ""
    return kind(f"{thing}{cause}; {remedy}")


class MalformedMessageError(Exception):
    """A peer sent bytes that are not a message. Raised and caught at the codec's border."""


class UnsupportedMessageError(MalformedMessageError):
    """A well-formed message of a type or version that this side does not know."""


class WireCode(enum.IntEnum):
    """The `code` of an `error` reply, in HTTP's sense, so that people can guess it."""

    MALFORMED = 400
    NOT_ALLOWED = 403
    NOT_FOUND = 404
    CONFLICT = 409
    GONE = 410
    TOO_MUCH = 429
    INTERNAL = 500
    UNSUPPORTED = 501
    BUSY = 503
    NOT_SAVED = 507
