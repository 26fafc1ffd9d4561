"""Questions to the tracker: one with its answer, or all pages of a listing."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import zmq
from shoal.protocol.errors import BugError, NotFoundError, TrackerError, WireCode
from shoal.protocol.messages import Error, Files, Holders, Message, Query, TrackerStatus
from shoal.protocol.names import display
from shoal.wire.tracker_client import TrackerClient

Reply = TypeVar("Reply", bound=Message)
Page = TypeVar("Page", Files, Holders, TrackerStatus)

# By default a tracker has at most 1,000,000 versions, 100 names a page, and 4,000,000 holdings,
# 1000 a page: 14,000 pages. A listing with more than this is taken to be endless.
MAX_PAGES = 20_000
_SENSELESS = {WireCode.MALFORMED, WireCode.UNSUPPORTED}  # It does not speak our protocol.


def ask(address: str, message: Message, expected: type[Reply]) -> Reply:
    """Return the tracker's reply to one message.

    Args:
        address: the tracker's, as in tcp://192.168.1.10:12000.
        message: a request to the tracker.
        expected: the type of the reply.

    Raises:
        NotFoundError: it was a query, and no such file is known.
        TrackerError: no reply within three seconds, or one of another type.
        BugError: the tracker refused for another reason.
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
            what = display(message.what)
            raise NotFoundError(
                f"no such file was found: {what}; `shoal ls` lists the files that are shared"
            )
        if reply.code in _SENSELESS:
            raise broken(address, reply.message)
        raise BugError(f"the tracker refused: {reply.message}")
    if not isinstance(reply, expected):
        raise broken(address, "it answered a different question")
    return reply


def pages(
    address: str,
    request: Callable[[str], Message],
    expected: type[Page],
    keys: Callable[[Page], list[str]],
) -> Iterator[Page]:
    """Yield all pages of a listing.

    Args:
        address: the tracker's.
        request: returns the request for the page after a key; the first page is after "".
        expected: the type of the pages.
        keys: returns what a page is ordered by.

    Raises:
        TrackerError: the pages are out of order, or without end; and as `ask`.
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
            raise broken(address, "a page of its listing does not follow the last one")
        after = page.next
    raise broken(address, f"its listing has more than {MAX_PAGES} pages")


def broken(address: str, problem: str) -> TrackerError:
    """Return the error for a tracker whose answers make no sense."""
    message = f"the tracker at {address} does not make sense: {problem}"
    return TrackerError(f"{message}; check what is running there")
