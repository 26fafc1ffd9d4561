"""What a node tells of itself, as text."""

from collections.abc import Iterator

from shoal.commands import terminal
from shoal.protocol.names import display
from shoal.protocol.pushing import Doing, Transfer


def brief(doing: Doing | None) -> str:
    """Return what a node is doing in a few words; `-` if nothing, or if it did not say."""
    if doing is None:
        return "-"
    if doing.fetching:
        return f"fetching {_share(doing.fetching[0])}{_more(len(doing.fetching))}"
    if doing.hashing:
        return f"hashing {_share(doing.hashing[0])}{_more(len(doing.hashing))}"
    if doing.failed:
        return f"cannot fetch {display(doing.failed[-1].name)}"
    return f"sending {terminal.size(doing.sent_rate)}/s" if doing.sent_rate else "-"


def lines(doing: Doing) -> Iterator[str]:
    """Yield all that a node tells, line by line."""
    yield f"shoal {display(doing.version)}, {terminal.size(doing.free_bytes)} free on its disk"
    for one in doing.fetching:
        holders = f" from {one.holders} holder{'' if one.holders == 1 else 's'}"
        rate = f" at {terminal.size(one.rate)}/s" if one.rate else ""
        yield f"fetching {_share(one)} of {terminal.size(one.size_bytes)}{rate}{holders}"
    for one in doing.hashing:
        yield f"hashing {_share(one)} of {terminal.size(one.size_bytes)}"
    if doing.sent_rate:
        yield f"sending {terminal.size(doing.sent_rate)}/s to others"
    for each in doing.failed:
        again = f"; again in {terminal.age(each.retry_s)}"
        yield f"cannot fetch {display(each.name)}: {display(each.reason)}{again}"


def _share(one: Transfer) -> str:
    return f"{display(one.name)}, {100 * one.have_bytes // max(1, one.size_bytes)} %"


def _more(count: int) -> str:
    return f", and {count - 1} more" if count > 1 else ""
