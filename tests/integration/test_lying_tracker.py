"""A tracker that lies can deny, and no more: what was asked for is taken, or nothing."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgpack  # type: ignore[import-untyped]  # It ships no stubs.
import pytest
import zmq
from shoal.protocol import messages
from shoal.protocol.errors import WireCode
from shoal.protocol.message import Message
from shoal.protocol.messages import Holder, Holders, Query

from tests.integration.cluster import Cluster, fails
from tests.unit.node.hostile import AnyHolder, Frames, Stranger
from tests.unit.node.things import id_of, plain

GOOD, EVIL = b"good bytes\n" * 1000, b"EVIL bytes\n" * 1000
GOOD_ID, EVIL_ID = id_of(plain(GOOD)), id_of(plain(EVIL))

Say = Callable[[Query], Message | bytes]


class LyingTracker(Stranger):
    """Takes all announcements, and says of holders what it likes."""

    say: Say

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]") -> None:
        self.questions: list[Query] = []
        self.announced: dict[str, str] = {}
        super().__init__(context)

    def answer(self, frames: Frames) -> list[Frames]:
        tag, empty, body = frames
        request = messages.decode(body, messages.TrackerRequest)
        reply: Message | bytes = messages.Ok(lease_ms=30_000, holdings=len(self.announced))
        if isinstance(request, Query):
            self.questions.append(request)
            reply = self.say(request)
        elif isinstance(request, messages.Update):
            self.announced |= {one.name: one.id for one in request.holdings}
            for gone in request.withdrawn:
                self.announced.pop(gone.name, None)
            reply = messages.Ok(lease_ms=30_000, holdings=len(self.announced))
        elif isinstance(request, messages.List | messages.Status):
            reply = self.say(Query("a page"))
        return [[tag, empty, reply if isinstance(reply, bytes) else messages.encode(reply)]]


class Lab:
    """A node `n1` whose tracker lies, and a holder of EVIL."""

    def __init__(self, folder: Path) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.holder = AnyHolder(self.context, EVIL)
        self.tracker = LyingTracker(self.context)
        self.cluster = Cluster(folder / "cluster", nodes=("n1",))
        text = self.cluster.file.read_text()
        self.cluster.file.write_text(
            text.replace(self.cluster.tracker_address, self.tracker.address)
        )

    def holders(self, name: str, content_id: str | None, **more: object) -> Holders:
        holder = Holder("n2", self.holder.address, complete=True, alive=True)
        size = len(EVIL) if content_id else None
        return Holders(name, content_id, size, (holder,), **more)  # type: ignore[arg-type]

    def says(self, name: str, content_id: str | None, **more: object) -> None:
        answer = self.holders(name, content_id, **more)
        self.tracker.say = lambda _: answer

    def close(self) -> None:
        self.cluster.close()
        self.tracker.stop()
        self.holder.stop()
        self.context.term()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path)
    yield lab
    lab.close()


@pytest.mark.parametrize("what", [GOOD_ID, f"doc@{GOOD_ID}", f"doc@{GOOD_ID[3:12]}"])
@pytest.mark.parametrize("content_id", [EVIL_ID, None])
def test_other_content_is_not_taken_for_an_id(lab: Lab, what: str, content_id: str | None) -> None:
    def say(query: Query) -> Message:
        if query.what == what != GOOD_ID:
            return messages.Error(WireCode.NOT_FOUND, "no")
        return lab.holders("doc", content_id)

    lab.tracker.say = say
    done = lab.cluster.fetch(what, node="n1")
    assert done.exit_code in {4, 9}, done
    assert lab.cluster.files("n1") == {}


def test_what_is_fetched_by_name_lands_under_that_name_alone(lab: Lab) -> None:
    (lab.cluster.folder("n1") / "private").mkdir(parents=True)
    thesis = lab.cluster.folder("n1") / "private" / "thesis.txt"
    thesis.write_bytes(b"ten years of work")

    def say(query: Query) -> Message:  # The truth at first.
        is_first = len(lab.tracker.questions) == 1
        return lab.holders(query.what if is_first else "private", EVIL_ID)

    lab.tracker.say = say
    done = lab.cluster.fetch("doc", node="n1")
    assert thesis.read_bytes() == b"ten years of work"
    assert done.exit_code == 0, done
    assert lab.cluster.names("n1") == ["doc", "private/thesis.txt"]
    assert lab.cluster.files("n1")["doc"] == EVIL  # One answer was enough.
    assert {query.what for query in lab.tracker.questions} <= {"doc", EVIL_ID}


@pytest.mark.parametrize("name", ["private", GOOD_ID])
def test_another_name_than_was_asked_for_is_not_taken(lab: Lab, name: str) -> None:
    lab.tracker.say = lambda _: _lie(lab, name)
    fails(lab.cluster.fetch("doc", node="n1"), 9, "the tracker")
    assert lab.cluster.files("n1") == {}


def _lie(lab: Lab, name: str) -> bytes:
    """Return an answer about `name`, be it one that may not stand there."""
    plain = msgpack.unpackb(messages.encode(lab.holders("doc", EVIL_ID)))
    data: bytes = msgpack.packb({**plain, "name": name})
    return data


def test_verify_heals_with_nothing_but_what_was_there(lab: Lab) -> None:
    path = lab.cluster.folder("n1") / "doc"
    lab.cluster.put("doc", GOOD, "n1")
    lab.says("doc", EVIL_ID)
    assert lab.cluster.run("share", str(path), "--as", "n1").exit_code == 0
    status, damaged = path.stat(), b"ROT" + GOOD[3:]
    path.write_bytes(damaged)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    done = lab.cluster.run("verify", "doc", "--as", "n1", "--json")
    assert done.exit_code == 5, done
    assert path.read_bytes() == damaged


def test_an_answer_of_the_wrong_kind_is_one_line(lab: Lab) -> None:
    lab.tracker.say = lambda _: messages.Files(())
    for command in (("where", "doc"), ("fetch", "doc", "--as", "n1"), ("status",)):
        fails(lab.cluster.run(*command), 9, "the tracker")
    lab.says("doc", EVIL_ID)
    fails(lab.cluster.run("ls"), 9, "the tracker")
