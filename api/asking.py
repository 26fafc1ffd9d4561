"""Questions to the tracker: one with its answer, or all pages of a listing."""

import os
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self, TypeVar

import zmq
from shoal.config.cluster import Cluster
from shoal.node.fetching import versions
from shoal.protocol.errors import (
    BugError,
    DiskError,
    NotAllowedError,
    NotFoundError,
    OperatorError,
    TrackerError,
    WireCode,
)
from shoal.protocol.keyring import Towards
from shoal.protocol.message import Message
from shoal.protocol.messages import Error, Files, Holders, Query, TrackerStatus
from shoal.protocol.names import display
from shoal.protocol.pushing import PushList, VerdictList
from shoal.protocol.trackers import Trackers
from shoal.wire.tracker_client import TrackerClient

Reply = TypeVar("Reply", bound=Message)
Page = TypeVar("Page", Files, Holders, PushList, TrackerStatus, VerdictList)

# By default a tracker has at most 1,000,000 versions, 100 names a page, and 4,000,000 holdings,
# 1000 a page: 14,000 pages. A listing with more than this is taken to be endless.
MAX_PAGES = 20_000
_SENSELESS = {WireCode.MALFORMED, WireCode.UNSUPPORTED}  # It does not speak our protocol.


class Line:
    """A line to the tracker that is kept open. A context manager."""

    def __init__(self, trackers: Trackers, towards: Towards | None = None) -> None:
        """Open a line to a tracker that answers, with those keys if the cluster file has any."""
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._client = TrackerClient(self._context, trackers, towards=towards)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def address(self) -> str:
        """Where the tracker is that was asked last."""
        return self._client.address

    def close(self) -> None:
        self._client.close()
        self._context.term()

    def ask(
        self, message: Message, expected: type[Reply], check: Callable[[], None] = lambda: None
    ) -> Reply:
        """Return the tracker's reply to one message; `check` is called meanwhile, and may raise.

        Raises:
            NotAllowedError: the tracker does not let us in, or does not allow that.
            NotFoundError: it was about something that the tracker does not know.
            TrackerError: no reply within three seconds, or one of another type.
            DiskError: the tracker did as asked, and could not save it.
            BugError: the tracker refused for another reason.
        """
        reply = self._client.ask(message, check)
        if isinstance(reply, Error):
            raise _refused(self.address, message, reply)
        if not isinstance(reply, expected):
            raise broken(self.address, "it answered a different question")
        return reply

    def pages(
        self,
        request: Callable[[str], Message],
        expected: type[Page],
        keys: Callable[[Page], list[str]],
    ) -> Iterator[Page]:
        """Yield all pages of a listing.

        Args:
            request: returns the request for the page after a key; the first page is after "".
            expected: the type of the pages.
            keys: returns what a page is ordered by.

        Raises:
            TrackerError: the pages are out of order, or without end; and as `ask`.
        """
        after = ""
        for _ in range(MAX_PAGES):
            page = self.ask(request(after), expected)
            listed = keys(page)
            if listed != sorted(listed) or (listed and listed[0] <= after):
                raise broken(self.address, "its listing is out of order")
            yield page
            if page.next is None:
                return
            if not listed or page.next < listed[-1]:
                raise broken(self.address, "a page of its listing does not follow the last one")
            after = page.next
        raise broken(self.address, f"its listing has more than {MAX_PAGES} pages")


def trackers_of(cluster: Cluster, who: str | None = None) -> Trackers:
    """Return the trackers in the order in which `who` asks them; by default this machine."""
    return Trackers(cluster.tracker_addresses, os.uname().nodename if who is None else who)


def no_answer(cluster: Cluster) -> str:
    """Return a sentence that says so."""
    if len(cluster.trackers) > 1:
        return "no tracker answers"
    return f"the tracker at {cluster.trackers[0].address} does not answer"


def ask(
    trackers: Trackers, message: Message, expected: type[Reply], towards: Towards | None = None
) -> Reply:
    """Return a tracker's reply to one message; raises as `Line.ask`."""
    with Line(trackers, towards) as line:
        return line.ask(message, expected)


def _refused(address: str, message: Message, reply: Error) -> OperatorError:
    match reply.code:
        case WireCode.NOT_FOUND if isinstance(message, Query):
            what = display(message.what)
            return NotFoundError(
                f"no such file was found: {what}; `shoal ls` lists the files that are shared"
            )
        case WireCode.NOT_FOUND:
            return NotFoundError(display(reply.message))
        case WireCode.NOT_ALLOWED:
            return NotAllowedError(f"the tracker refused: {display(reply.message)}")
        case WireCode.NOT_SAVED:
            return DiskError(display(reply.message))
        case code if code in _SENSELESS:
            return broken(address, reply.message)
        case _:
            return BugError(f"the tracker refused: {reply.message}")


def meant_by(line: Line, what: str) -> versions.Meant:
    """Return what a name, an id or NAME@ID means.

    Raises:
        OperatorError: the tracker answered about something else; or as `Line.ask`.
    """

    def query(asked: str, prefix: str) -> Holders | None:
        try:
            return line.ask(Query(asked, prefix=prefix), Holders)
        except NotFoundError:
            return None

    try:
        return versions.find(what, query)
    except versions.LyingTrackerError:
        raise broken(line.address, "it answered about something else") from None


def broken(address: str, problem: str) -> TrackerError:
    """Return the error for a tracker whose answers make no sense."""
    message = f"the tracker at {address} does not make sense: {problem}"
    return TrackerError(f"{message}; check what is running there")
