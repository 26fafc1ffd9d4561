"""The site: the page's files, and the stream of events. Knows nothing of the tracker."""

from collections.abc import Callable
from pathlib import Path

from shoal.dashboard.guard import Guard
from shoal.dashboard.streams import Streams
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

PAGE = Path(__file__).parent / "page"
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
FRONT = "index.html"
MOST_TOPIC_CHARACTERS = 5000
FULL = "too many pages of this dashboard are open; close some\n"


def site(streams: Streams, hurry: Callable[[], None], names: frozenset[str]) -> ASGIApp:
    """Return the site.

    Args:
        streams: of the open pages.
        hurry: called when a page begins to look.
        names: by which browsers may ask for it (guard.own_names).
    """
    routes = [Route("/events", _Events(streams, hurry))]
    for path in sorted(PAGE.iterdir()):
        if path.suffix in KINDS:
            place = "/" if path.name == FRONT else f"/{path.name}"
            routes.append(Route(place, _File(path.read_bytes(), KINDS[path.suffix])))
    return Guard(Starlette(routes=routes), names)


class _File:
    """One of the page's files, which is small and stays in memory."""

    def __init__(self, data: bytes, kind: str) -> None:
        self._data = data
        self._kind = kind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {"Content-Type": self._kind, "Cache-Control": "no-cache"}
        await Response(self._data, headers=headers)(scope, receive, send)


class _Events:
    """The stream of one page, for as long as that is open and visible."""

    def __init__(self, streams: Streams, hurry: Callable[[], None]) -> None:
        self._streams = streams
        self._hurry = hurry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        topic = Request(scope).query_params.get("about", "")[:MOST_TOPIC_CHARACTERS]
        stream = self._streams.open(topic)
        if stream is None:
            full = PlainTextResponse(FULL, 503, {"Retry-After": "5"})
            await full(scope, receive, send)
            return
        self._hurry()
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        answer = StreamingResponse(stream.events(), 200, headers, "text/event-stream")
        try:
            await answer(scope, receive, send)
        finally:
            self._streams.close(stream)
