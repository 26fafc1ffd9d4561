"""`shoal ls`: what there is, and who has it; and how the tracker is asked for it."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import zmq
from shoal.commands import terminal
from shoal.commands.exit_codes import ExitCode
from shoal.commands.table import put_table
from shoal.protocol.errors import (
    BugError,
    NotFoundError,
    OperatorError,
    TrackerError,
    WireCode,
)
from shoal.protocol.messages import (
    Error,
    File,
    Files,
    Holder,
    Holders,
    List,
    Message,
    OtherVersion,
    Query,
    Status,
    TrackerStatus,
)
from shoal.protocol.names import display
from shoal.wire.tracker_client import TrackerClient

Reply = TypeVar("Reply", bound=Message)
Page = TypeVar("Page", Files, Holders, TrackerStatus)

# Our own tracker has at most 1,000,000 versions, 100 names a page, and 4,000,000 holdings, 1000 a
# page: 14,000 pages. A listing that goes on after this many has no end.
MAX_PAGES = 20_000
MOST_NAMED = 5  # Holders in a line of `ls`; more are counted.
_SENSELESS = {WireCode.MALFORMED, WireCode.UNSUPPORTED}  # It does not speak our language.


def ask(address: str, message: Message, expected: type[Reply]) -> Reply:
    """Return the tracker's reply to one message.

    Raises:
        OperatorError: it is an error, or of another type than `expected`, or there is none.
    """
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    client = TrackerClient(context, address)
    try:
        reply = client.ask(message)
    finally:
        client.close()
        context.term()
    if isinstance(reply, Error):
        if reply.code is WireCode.NOT_FOUND and isinstance(message, Query):
            text = (
                f"no such file was found: {display(message.what)}; `shoal ls` shows what there is"
            )
            raise NotFoundError(text)
        if reply.code in _SENSELESS:
            raise broken(address, reply.message)
        raise BugError(f"the tracker refused: {reply.message}")
    if not isinstance(reply, expected):
        raise broken(address, "it answered another question than it was asked")
    return reply


def pages(
    address: str,
    request: Callable[[str], Message],
    expected: type[Page],
    keys: Callable[[Page], list[str]],
) -> Iterator[Page]:
    """Yield all pages of a listing; `keys` are what a page is ordered by.

    Raises:
        OperatorError: the tracker's pages are out of order, or without end.
    """
    after = ""
    for _ in range(MAX_PAGES):
        page = ask(address, request(after), expected)
        listed = keys(page)
        if listed != sorted(listed) or (listed and listed[0] <= after):
            raise broken(address, "its listing is out of order")
        yield page
        if page.next is None:
            return
        if not listed or page.next < listed[-1]:
            raise broken(address, "its listing does not go on from where it was")
        after = page.next
    raise broken(address, f"its listing has more than {MAX_PAGES} pages")


def broken(address: str, problem: str) -> OperatorError:
    return TrackerError(
        f"the tracker at {address} does not make sense: {problem}; check what runs there",
    )


def statuses(address: str) -> Iterator[TrackerStatus]:
    """Yield the tracker's pages of nodes."""
    return pages(address, Status, TrackerStatus, lambda page: [node.node for node in page.nodes])


def run_ls(tracker_address: str, *, as_json: bool, is_long: bool = False) -> ExitCode:
    """Print every version of every file; `is_long`: all holders, however many there are."""
    listing = pages(tracker_address, List, Files, lambda page: [file.name for file in page.files])
    files = [file for page in listing for file in page.files]
    if as_json:
        terminal.put_json([_file_document(file) for file in files])
        return ExitCode.DONE
    if not files:
        terminal.say("nothing is shared yet; put a file into a node's folder")
        return ExitCode.DONE
    count = 0
    if not is_long and any(len(file.holders) > MOST_NAMED for file in files):
        count = sum(len(page.nodes) for page in statuses(tracker_address))
    rows = [["NAME", "VERSION", "PUBLISHER", "SIZE", "ID", "AGE", "HOLDERS"]]
    put_table(rows + [_file_row(file, count) for file in files], optional=(2, 5, 1))
    return ExitCode.DONE


def published(version: Holders | OtherVersion) -> str:
    """Return ` v3, published by a`, or nothing if no number is known."""
    if not version.version:
        return ""
    return f" v{version.version}" + (
        f", published by {version.publisher}" if version.publisher else ""
    )


def _file_document(file: File) -> dict[str, Any]:
    return {
        "name": file.name,
        "id": file.id,
        "size_bytes": file.size_bytes,
        "age_s": file.age_s,
        "newest": file.newest,
        "version": file.version,
        "publisher": file.publisher,
        "holders": [holder_document(holder) for holder in file.holders],
    }


def holder_document(holder: Holder) -> dict[str, Any]:
    return {
        "node": holder.node,
        "address": holder.address,
        "complete": holder.complete,
        "alive": holder.alive,
    }


def _file_row(file: File, node_count: int = 0) -> list[str]:
    """Return a line of `ls`. If `node_count` is given, many holders are only counted."""
    size = "?" if file.size_bytes is None else terminal.size(file.size_bytes)
    short = file.id[:15] if file.id else "?"
    name = display(file.name) + ("" if file.newest else " (older)")
    version = f"v{file.version}" if file.version else "-"
    publisher = file.publisher or "-"
    is_many = node_count > 0 and len(file.holders) > MOST_NAMED
    holders = _counted(file, node_count) if is_many else _named(file)
    return [name, version, publisher, size, short, terminal.age(file.age_s), holders]


def _named(file: File) -> str:
    return " ".join(_holder_word(holder, is_seen=file.id is not None) for holder in file.holders)


def _counted(file: File, node_count: int) -> str:
    """Return how many have it, as in `58 of 60, 2 in part, 1 offline`."""
    parts = sum(not holder.complete for holder in file.holders)
    offline = sum(not holder.alive for holder in file.holders)
    counts = [f"{len(file.holders) - parts} of {max(node_count, len(file.holders))}"]
    counts += [f"{parts} in part"] if parts else []
    counts += [f"{offline} offline"] if offline else []
    return ", ".join(counts)


def _holder_word(holder: Holder, *, is_seen: bool = True) -> str:
    silent = "offline" if is_seen else "never seen"
    notes = ([] if holder.complete else ["part"]) + ([] if holder.alive else [silent])
    return f"{holder.node} ({', '.join(notes)})" if notes else holder.node
