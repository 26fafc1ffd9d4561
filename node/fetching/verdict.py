"""Why a download failed, as the sentence for the operator. Does not decide when."""

from shoal.node.fetching.roster import Roster
from shoal.node.fetching.steps import Fail
from shoal.protocol.errors import ExitCode
from shoal.protocol.names import display


def no_such_file(what: str) -> Fail:
    return Fail(
        ExitCode.NOT_FOUND,
        f"no such file was found: {display(what)}; `shoal ls` shows what there is",
    )


def another_answer(what: str) -> Fail:
    message = f"asked for {display(what)}, the tracker answered for another"
    return Fail(ExitCode.TRACKER_UNREACHABLE, f"{message}; find out whose tracker that is")


def moved_on(name: str) -> Fail:
    message = f"{display(name)} has changed while it was fetched, and nobody has what it was"
    return Fail(ExitCode.NOBODY_ALIVE, f"{message}; run it again to fetch what it is now")


def bad_listing(name: str, reason: str) -> Fail:
    message = f"{display(name)} was shared with a list of files that is none: {display(reason)}"
    return Fail(ExitCode.INTEGRITY, f"{message}; have whoever shared it share it again")


def nobody_delivers(name: str, roster: Roster, offline: list[str]) -> Fail:
    """Return the failure of a download whose holders have lied, are gone or give nothing.

    Args:
        name: what was to be fetched.
        roster: its holders, as they turned out.
        offline: those of whom the tracker has not heard for long.
    """
    troubles = roster.troubles()
    if not troubles and offline:
        troubles = f"offline: {', '.join(offline)}"
    reasons = f": {troubles}" if troubles else ""
    if roster.has_liars:
        message = f"no holder could deliver the right bytes of {display(name)}{reasons}"
        return Fail(ExitCode.INTEGRITY, f"{message}; restore it on one of them")
    if not roster.connected:
        message = f"nobody alive holds {display(name)}{reasons}"
        return Fail(ExitCode.NOBODY_ALIVE, f"{message}; start a node that has it")
    message = f"{', '.join(roster.connected)} sent nothing of {display(name)} for long{reasons}"
    return Fail(ExitCode.TIMED_OUT, f"{message}; run it again to go on")
