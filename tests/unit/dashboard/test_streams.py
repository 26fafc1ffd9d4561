"""Everything first, then what changes; and no page can keep the others from it."""

import asyncio
import json
from typing import Any

import pytest
from shoal.dashboard import streams as module
from shoal.dashboard.streams import MOST_QUEUED, MOST_STREAMS, Stream, Streams


def opened(streams: Streams, topic: str = "") -> Stream:
    stream = streams.open(topic)
    assert stream is not None
    return stream


def told(stream: Stream) -> list[tuple[str, Any]]:
    """Return the events that wait, with their documents; "end" at the end."""
    found: list[tuple[str, Any]] = []
    while not stream.queue.empty():
        event = stream.queue.get_nowait()
        if event is None:
            return [*found, ("end", None)]
        name, data = event.decode().strip().split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def test_a_page_gets_everything_once_and_then_what_is_new() -> None:
    streams = Streams()
    early = opened(streams)
    streams.take({"n": 1}, {"n": "new"})
    streams.take({"n": 2}, {"n": "more"})
    late = opened(streams)
    assert told(early) == [("whole", {"n": 1}), ("news", {"n": "more"})]
    assert told(late) == [("whole", {"n": 2})]


def test_a_topic_is_told_to_those_who_look_at_it() -> None:
    streams = Streams()
    one, other = opened(streams, "thing:a"), opened(streams, "node:n1")
    assert streams.topics == {"thing:a", "node:n1"}
    streams.take_detail("thing:a", {"n1": {"have": 1}, "n2": {}})
    streams.take_detail("thing:a", {"n1": {"have": 2}, "n2": {}})
    streams.take_detail("thing:a", {"n1": {"have": 2}, "n2": {}})
    late = opened(streams, "thing:a")
    everything = {"topic": "thing:a", "rows": {"n1": {"have": 1}, "n2": {}}, "new": True}
    change = {"topic": "thing:a", "rows": {"n1": {"have": 2}}, "new": False}
    assert told(one) == [("about", everything), ("about", change)]
    assert told(other) == []
    assert told(late)[0][1]["rows"] == {"n1": {"have": 2}, "n2": {}}


def test_a_topic_at_which_nobody_looks_is_forgotten() -> None:
    streams = Streams()
    stream = opened(streams, "thing:a")
    streams.take_detail("thing:a", {"n1": {}})
    streams.close(stream)
    streams.take_detail("thing:a", {"n1": {"have": 2}})
    assert (streams.topics, streams.viewers) == (frozenset(), 0)
    assert told(opened(streams, "thing:a")) == []


def test_there_is_room_for_so_many_pages() -> None:
    streams = Streams()
    first, *_ = [opened(streams) for _ in range(MOST_STREAMS)]
    assert streams.open("") is None
    streams.close(first)
    assert streams.open("") is not None


def test_a_page_that_reads_nothing_starts_over() -> None:
    streams = Streams()
    stream = opened(streams)
    for number in range(MOST_QUEUED + 2):
        streams.take({"n": number}, {"n": number})
    assert told(stream)[0] == ("end", None)


def test_at_the_end_all_pages_are_told_and_none_is_let_in() -> None:
    streams = Streams()
    stream = opened(streams)
    streams.take({"n": 1}, {})
    streams.end()
    assert told(stream) == [("end", None)]
    assert streams.open("") is None


def test_a_stream_yields_its_events_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ALIVE_S", 0.001)

    async def collected() -> list[bytes]:
        stream = Stream("")
        found: list[bytes] = []
        async for event in stream.events():
            found.append(event)
            if len(found) == 1:
                stream.put(b"one")
            else:
                stream.end()
        return found

    assert asyncio.run(collected()) == [b": nothing has changed\n\n", b"one"]
