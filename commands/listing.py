"""`shoal ls` and `shoal where`: what there is, and who has it."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import zmq

from commands import terminal
from commands.fetch import checked_what
from protocol import manifest
from protocol.errors import ExitCode, OperatorError, WireCode
from protocol.messages import (
    Error,
    File,
    Files,
    Holder,
    Holders,
    List,
    Message,
    OtherVersion,
    Query,
    TrackerStatus,
)
from protocol.names import display
from wire.tracker_client import TrackerClient

Reply = TypeVar("Reply", bound=Message)
Page = TypeVar("Page", Files, TrackerStatus)

# Our own tracker has at most 1,000,000 versions, 100 names a page, and 4,000,000 holdings, 1000 a
# page: 14,000 pages. A listing that goes on after this many has no end.
MAX_PAGES = 20_000
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
            raise OperatorError(text, ExitCode.NOT_FOUND)
        if reply.code in _SENSELESS:
            raise _broken(address, reply.message)
        raise OperatorError(f"the tracker refused: {reply.message}", ExitCode.BUG)
    if not isinstance(reply, expected):
        raise _broken(address, "it answered another question than it was asked")
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
            raise _broken(address, "its listing is out of order")
        yield page
        if page.next is None:
            return
        if not listed or page.next < listed[-1]:
            raise _broken(address, "its listing does not go on from where it was")
        after = page.next
    raise _broken(address, f"its listing has more than {MAX_PAGES} pages")


def _broken(address: str, problem: str) -> OperatorError:
    return OperatorError(
        f"the tracker at {address} does not make sense: {problem}; check what runs there",
        ExitCode.TRACKER_UNREACHABLE,
    )


def run_ls(tracker_address: str, *, as_json: bool) -> ExitCode:
    """Print every version of every file."""
    listing = pages(tracker_address, List, Files, lambda page: [file.name for file in page.files])
    files = [file for page in listing for file in page.files]
    if as_json:
        terminal.put_json([_file_document(file) for file in files])
        return ExitCode.DONE
    if not files:
        terminal.say("nothing is shared yet; put a file into a node's folder")
        return ExitCode.DONE
    rows = [["NAME", "VERSION", "PUBLISHER", "SIZE", "ID", "AGE", "HOLDERS"]]
    terminal.put(terminal.table(rows + [_file_row(file) for file in files]))
    return ExitCode.DONE


def run_where(tracker_address: str, what: str, *, as_json: bool) -> ExitCode:
    """Print who has one file, whole or in part."""
    what = checked_what(what)
    answer = ask(tracker_address, Query(what), Holders)
    if what != (answer.id if manifest.is_id(what) else answer.name):
        raise _broken(tracker_address, "it answered about something else")
    holders = [*answer.holders, *answer.offline]
    if as_json:
        terminal.put_json(
            {
                "name": answer.name,
                "id": answer.id,
                "size_bytes": answer.size_bytes,
                "version": answer.version,
                "publisher": answer.publisher,
                "holders": [_holder_document(holder) for holder in holders],
                "versions": answer.versions,
            }
        )
        return ExitCode.DONE
    rows = [["NODE", "ADDRESS", "HAS", "IS"]]
    rows += [[one.node, one.address, _share(one), _state(one)] for one in holders]
    terminal.put(terminal.table(rows))
    terminal.say(_answer_line(answer))
    for version in answer.versions:
        terminal.say(_other_line(version))
    return ExitCode.DONE


def _answer_line(answer: Holders) -> str:
    """Return which version was found: `win11.img v3, published by a: 4.7 GB, b3:…`."""
    name = display(answer.name) + _published(answer)
    size = "size not known yet" if answer.size_bytes is None else terminal.size(answer.size_bytes)
    return f"{name}: {size}, {answer.id or 'not announced by anybody yet'}"


def _other_line(version: OtherVersion) -> str:
    age = terminal.age(version.age_s)
    return f"another version:{_published(version) or ' no number'}, {age} old, {version.id}"


def _published(version: Holders | OtherVersion) -> str:
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
        "holders": [_holder_document(holder) for holder in file.holders],
    }


def _holder_document(holder: Holder) -> dict[str, Any]:
    return {
        "node": holder.node,
        "address": holder.address,
        "complete": holder.complete,
        "alive": holder.alive,
    }


def _file_row(file: File) -> list[str]:
    size = "?" if file.size_bytes is None else terminal.size(file.size_bytes)
    short = file.id[:15] if file.id else "?"
    holders = " ".join(_holder_word(holder) for holder in file.holders)
    name = display(file.name) + ("" if file.newest else " (older)")
    version = f"v{file.version}" if file.version else "-"
    publisher = file.publisher or "-"
    return [name, version, publisher, size, short, terminal.age(file.age_s), holders]


def _holder_word(holder: Holder) -> str:
    notes = ([] if holder.complete else ["part"]) + ([] if holder.alive else ["offline"])
    return f"{holder.node} ({', '.join(notes)})" if notes else holder.node


def _share(holder: Holder) -> str:
    return "all of it" if holder.complete else "a part"


def _state(holder: Holder) -> str:
    return "alive" if holder.alive else "not heard of"
