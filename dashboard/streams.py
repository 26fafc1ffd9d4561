"""The streams of events to the open pages: everything first, then what changes. Asks nobody."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from shoal.dashboard import picture
from shoal.dashboard.picture import Rows

MOST_STREAMS = 24  # Pages that are open and visible; each gets some 100 kB at first.
MOST_QUEUED = 32  # Events; whoever reads none for so long starts over.
ALIVE_S = 15.0  # A comment so often, so that a connection that has died is noticed.

Document = dict[str, Any]


class Stream:
    """One open page."""

    def __init__(self, topic: str) -> None:
        self.topic = topic  # What it shows in detail; empty: nothing.
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue(MOST_QUEUED)

    def put(self, event: bytes) -> None:
        """Queue an event; if there is no room, end the stream, so that the page asks again."""
        if self.queue.full():
            self.end()
        else:
            self.queue.put_nowait(event)

    def end(self) -> None:
        while not self.queue.empty():
            self.queue.get_nowait()
        self.queue.put_nowait(None)

    async def events(self) -> AsyncIterator[bytes]:
        while True:
            try:
                event = await asyncio.wait_for(self.queue.get(), ALIVE_S)
            except TimeoutError:
                event = b": nothing has changed\n\n"
            if event is None:
                return
            yield event


class Streams:
    """All of them. Every method but `topics` and `viewers` belongs to the loop's thread."""

    def __init__(self) -> None:
        self.topics: frozenset[str] = frozenset()  # What open pages show in detail.
        self.viewers = 0
        self._streams: set[Stream] = set()
        self._whole: Document = {}
        self._details: dict[str, Rows] = {}
        self._is_over = False

    def open(self, topic: str) -> Stream | None:
        """Begin a stream, if there is room for one."""
        if len(self._streams) >= MOST_STREAMS or self._is_over:
            return None
        stream = Stream(topic)
        self._streams.add(stream)
        self._count()
        if self._whole:
            stream.put(event("whole", self._whole))
        if topic in self._details:
            stream.put(event("about", {"topic": topic, "rows": self._details[topic], "new": True}))
        return stream

    def close(self, stream: Stream) -> None:
        self._streams.discard(stream)
        self._count()

    def take(self, whole: Document, news: Document) -> None:
        """Tell everybody what is new since the last time; `whole` is for those who come later."""
        is_first = not self._whole
        self._whole = whole
        told = event("whole", whole) if is_first else event("news", news)
        for stream in [*self._streams]:
            stream.put(told)

    def take_detail(self, topic: str, rows: Rows) -> None:
        """Tell those who look at a topic what has changed in it."""
        known = self._details.get(topic)
        changed = picture.changes(known or {}, rows)
        if topic not in self.topics or (known is not None and not changed):
            return
        self._details[topic] = rows
        told = event("about", {"topic": topic, "rows": changed, "new": known is None})
        for stream in [*self._streams]:
            if stream.topic == topic:
                stream.put(told)

    def end(self) -> None:
        """End all streams; there will be no others."""
        self._is_over = True
        for stream in self._streams:
            stream.end()

    def _count(self) -> None:
        self.viewers = len(self._streams)
        self.topics = frozenset(stream.topic for stream in self._streams if stream.topic)
        self._details = {
            topic: rows for topic, rows in self._details.items() if topic in self.topics
        }


def event(name: str, document: Document) -> bytes:
    """Return one event as the browser's EventSource reads it. JSON has no line breaks."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(document))
