"""Orders to read, carried out by whole nodes in this process."""

import contextlib
import itertools
import os
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from shoal.node.orders import opened, reading
from shoal.node.orders.opened import NOWHERE
from shoal.node.orders.readership import order_for
from shoal.node.orders.reading import Reading
from shoal.protocol.control import (
    Bytes,
    Closed,
    CloseOrder,
    Opened,
    OpenOrder,
    ReadOrder,
    Report,
    There,
)
from shoal.protocol.errors import (
    IntegrityError,
    NobodyAliveError,
    NotFoundError,
    OperatorError,
    StoppedError,
)
from shoal.protocol.manifest import ContentId

from tests.unit.node.company import Company, Member, refused
from tests.unit.node.sample_trees import TREE, file
from tests.unit.wire.places import LIMIT_S, eventually

DATA = Random(3).randbytes(300_000)
TWO = {"a": DATA[:140_000], "b": DATA[140_000:]}
_serial = itertools.count()


class Scene:
    """A reader of a member's."""

    def __init__(self, member: Member, what: str) -> None:
        self.member = member
        self.reader = f"{next(_serial):032x}"
        opened = self.give(OpenOrder(what, self.reader))
        assert isinstance(opened, Opened)
        self.opened = opened

    def give(self, order: OpenOrder | ReadOrder | CloseOrder) -> Report:
        return self.member.agent.carry_out(order, lambda _: None)

    def order(self, offset: int, size_bytes: int, *, pointed: bool) -> ReadOrder:
        opened = self.opened
        return ReadOrder(opened.what, opened.inside, self.reader, offset, size_bytes, pointed)

    def bytes_at(self, offset: int, size_bytes: int) -> bytes:
        report = self.give(self.order(offset, size_bytes, pointed=False))
        assert isinstance(report, Bytes)
        return report.data

    def there(self, offset: int) -> There:
        report = self.give(self.order(offset, 1, pointed=True))
        assert isinstance(report, There)
        return report

    def pointed_at(self, offset: int) -> bytes:
        there = self.there(offset)
        with Path(os.fsdecode(there.path)).open("rb") as found:
            found.seek(there.offset)
            return found.read(there.size_bytes)

    def all(self) -> bytes:
        data = b""
        while len(data) < self.opened.size_bytes:
            data += self.bytes_at(len(data), 100_000)
        return data

    def close(self) -> None:
        assert self.give(CloseOrder(self.opened.what, self.reader)) == Closed(self.opened.what)


def reads_of(member: Member) -> Reading:
    return member.agent._reading


def waits(member: Member) -> Callable[[], bool]:
    return lambda: bool(reads_of(member)._cancelled)


def received_bytes(member: Member) -> int:
    return sum(reads_of(member)._home.totals.read().by_peer.values())


@pytest.fixture
def asker(company: Company) -> Member:
    return company.join("asks")


@pytest.fixture
def holder(company: Company) -> Member:
    company.put("has", "f.bin", DATA)
    company.put("has", "empty", b"")
    company.put("has", "tree", TREE)
    company.put("has", "two", {name: file(data) for name, data in TWO.items()})
    return company.join("has")


def test_what_others_have_is_read_and_is_here_in_the_end(
    company: Company, holder: Member, asker: Member
) -> None:
    scene = Scene(asker, "f.bin")
    assert scene.opened.size_bytes == len(DATA)
    assert scene.bytes_at(len(DATA) - 10, 100) == DATA[-10:]
    assert scene.all() == DATA
    assert scene.bytes_at(len(DATA), 1) == scene.bytes_at(len(DATA) + 7, 1) == b""
    eventually((company.place("asks") / "f.bin").exists)
    scene.close()
    eventually(lambda: reads_of(asker)._shared == {})
    assert holder.fetch("f.bin").id == scene.opened.id


def test_only_what_is_read_comes_until_somebody_wants_all_of_it(
    holder: Member, asker: Member
) -> None:
    scene = Scene(asker, "f.bin")
    assert scene.pointed_at(200_000)[:1] == DATA[200_000:200_001]
    assert 0 < received_bytes(asker) <= len(DATA) // 2
    assert asker.fetch("f.bin").fetched_bytes == 0  # For the reader it came.
    assert scene.all() == DATA
    assert received_bytes(asker) == len(DATA)
    assert holder.agent is not asker.agent


def test_a_fetch_does_not_wait_for_one_that_only_waits_for_readers(
    holder: Member, asker: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LINGER_S", 2 * LIMIT_S)
    scene = Scene(asker, "f.bin")
    scene.bytes_at(200_000, 1)
    scene.close()
    assert asker.fetch("f.bin").size_bytes == len(DATA)
    assert received_bytes(asker) == len(DATA)
    assert holder.agent is not asker.agent


def test_what_came_of_another_file_for_an_earlier_reader_is_kept(
    holder: Member, asker: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LINGER_S", 0.0)
    for name in "abab":
        scene = Scene(asker, f"two/{name}")
        assert scene.bytes_at(50_000, 10) == TWO[name][50_000:50_010]
        scene.close()
        eventually(lambda: reads_of(asker)._shared == {})
    assert received_bytes(asker) < len(DATA) // 2
    assert Scene(asker, "two/a").all() == TWO["a"]
    assert received_bytes(asker) < len(DATA)
    assert holder.agent is not asker.agent


def test_what_is_here_is_read_from_its_place(company: Company, holder: Member) -> None:
    scene = Scene(holder, "f.bin")
    there = scene.there(1000)
    path = os.fsencode(company.place("has") / "f.bin")
    assert (there.path, there.offset, there.size_bytes) == (path, 1000, len(DATA) - 1000)
    assert there.status is not None
    assert scene.pointed_at(7) == DATA[7:]
    assert Scene(holder, scene.opened.id).all() == DATA
    assert Scene(holder, scene.opened.what).all() == DATA
    assert Scene(holder, "empty").opened.size_bytes == 0


def test_files_of_a_tree_are_read_wherever_they_are(holder: Member, asker: Member) -> None:
    for member in (holder, asker):
        scene = Scene(member, "tree/a/run.sh")
        assert scene.opened.inside == "a/run.sh"
        assert scene.all() == scene.pointed_at(0) != b""
        eventually(lambda: reads_of(asker)._home.inventory.fetched() == [])
        assert scene.all() == scene.pointed_at(0)


def test_a_tree_is_no_file_and_has_no_others(holder: Member, asker: Member) -> None:
    for member in (holder, asker):
        assert "is a directory; give" in str(refused(Scene, member, "tree"))
    error = refused(Scene, holder, "tree/none")
    assert isinstance(error, NotFoundError)
    assert "has no file none; give the path" in str(error)
    assert "has no file none" in str(refused(Scene, holder, "f.bin/none"))
    assert "no such file was found: none" in str(refused(Scene, asker, "none"))
    eventually(lambda: reads_of(asker)._shared == {})


def test_what_nobody_alive_has_is_not_read(company: Company, asker: Member) -> None:
    company.put("gone", "g.bin", DATA)
    with company.visiting("gone") as gone:
        content_id = gone.fetch("g.bin").id
    assert isinstance(refused(Scene, asker, "g.bin"), NobodyAliveError)
    order = ReadOrder(f"g.bin@{content_id}", "", "0" * 32, 0, 1)
    assert isinstance(refused(asker.agent.carry_out, order, lambda _: None), NobodyAliveError)
    order = ReadOrder("g.bin", "", "0" * 32, 0, 1)
    assert "is no version" in str(refused(asker.agent.carry_out, order, lambda _: None))


def test_what_was_changed_on_the_disk_is_not_read(company: Company, holder: Member) -> None:
    """The other node still has it: so it is fetched, and only fails to replace the new one."""
    other = company.join("other")
    other.fetch("f.bin")
    scene = Scene(holder, "f.bin")
    (company.place("has") / "f.bin").write_bytes(b"changed")
    for pointed in (True, False):
        order = scene.order(0, 10, pointed=pointed)
        try:
            report = scene.give(order)
        except OperatorError:
            continue
        assert isinstance(report, Bytes | There)
        if isinstance(report, Bytes):
            assert report.data == DATA[:10]


def test_a_part_that_was_changed_is_fetched_again(
    company: Company, holder: Member, asker: Member
) -> None:
    scene = Scene(asker, "tree/a/run.sh")
    expected = Scene(holder, "tree/a/run.sh").all()
    assert scene.all() == expected
    path = company.place("asks") / "tree/a/run.sh"
    for read in (scene.all, lambda: scene.pointed_at(0)):
        eventually(lambda: reads_of(asker)._home.inventory.fetched() == [] and path.exists())
        path.unlink()
        assert read() == expected


def test_nobody_is_pointed_at_bytes_that_have_changed(
    company: Company, holder: Member, asker: Member
) -> None:
    asker.fetch("f.bin")
    scene = Scene(asker, "f.bin")
    assert scene.pointed_at(0) == DATA
    (company.place("asks") / "f.bin").write_bytes(bytes(len(DATA)))
    with contextlib.suppress(OperatorError):
        found = scene.pointed_at(0)
        assert found == DATA[: len(found)]


def cancelled(asker: Member, order: OpenOrder, is_waiting: Callable[[], object]) -> OperatorError:
    """Give an order, and cancel it while it waits; return how it ended."""
    failed: list[OperatorError] = []

    def wait() -> None:
        failed.append(refused(asker.agent.carry_out, order, lambda _: None))

    thread = threading.Thread(target=wait)
    thread.start()
    eventually(is_waiting)
    asker.agent.cancel(order, StoppedError)
    thread.join(LIMIT_S)
    return failed[0]


def test_a_file_is_read_that_came_before_anybody_saw_where_it_begins(
    company: Company, holder: Member, asker: Member
) -> None:
    scene = Scene(asker, "tree/a/run.sh")
    expected = Scene(holder, "tree/a/run.sh").all()
    assert scene.all() == expected
    shared = reads_of(asker)._shared[ContentId(scene.opened.id)]
    eventually(lambda: reads_of(asker)._home.inventory.fetched() == [] and shared.order is None)
    shared.thing._places.clear()  # As if the fetch had been over at once.
    assert shared.thing.place("a/run.sh") == (NOWHERE, len(expected))
    assert scene.bytes_at(2, 3) == expected[2:5]
    assert scene.pointed_at(2) == expected[2:]
    assert shared.ended == 1
    (company.place("asks") / "tree/a/run.sh").unlink()
    assert scene.all() == expected


def test_a_read_that_waits_is_cancelled(company: Company, asker: Member) -> None:
    company.put("gone", "g.bin", DATA)
    with company.visiting("gone"):
        ways = reads_of(asker)
        pause = threading.Event()
        ways._fetch = lambda *_: pause.wait(LIMIT_S) or pytest.fail("too late")  # type: ignore[assignment]
        ended = cancelled(asker, OpenOrder("g.bin", "1" * 32), waits(asker))
        pause.set()
    assert isinstance(ended, StoppedError)


def test_one_that_waits_for_what_only_the_cluster_file_mentions_is_cancelled(
    tmp_path: Path,
) -> None:
    with Company(tmp_path, has_nodes=True) as company:
        asker = company.join("asks")
        running = asker.agent._jobs._running
        ended = cancelled(asker, OpenOrder("net.txt", "1" * 32), lambda: running)
        assert isinstance(ended, StoppedError)
        eventually(lambda: not running)


def test_readers_that_are_silent_for_long_count_as_gone(
    holder: Member, asker: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LINGER_S", 0.0)
    shared = reads_of(asker)._shared
    first = Scene(asker, "f.bin")
    shared[ContentId(first.opened.id)].readers[first.reader] = "", -reading.SILENT_S
    eventually(lambda: shared == {})
    assert first.all() == DATA
    monkeypatch.setattr(reading, "MOST_READERS", 1)
    second = Scene(asker, "tree/a/run.sh")
    Scene(asker, "tree/a/run.sh")
    eventually(lambda: list(shared) == [second.opened.id])
    assert holder.agent is not asker.agent


def test_a_bug_and_a_disk_that_refuses_are_told(
    holder: Member, asker: Member, caplog: pytest.LogCaptureFixture
) -> None:
    for error, said in ((ZeroDivisionError("x"), "ran into a bug"), (OSError(28, "y"), "is full")):

        def fail(*_: object, error: Exception = error) -> None:
            raise error

        reads_of(asker)._fetch = fail  # type: ignore[assignment]
        assert said in str(refused(Scene, asker, "f.bin"))
    assert "a fetch for readers failed" in caplog.text
    assert holder.agent is not asker.agent


def test_a_fetch_that_brings_nothing_is_not_tried_for_ever(holder: Member, asker: Member) -> None:
    done = holder.fetch("f.bin")
    reads_of(asker)._fetch = lambda *_: done
    assert "cannot be read after its fetch" in str(refused(Scene, asker, "f.bin"))


def test_names_with_wild_cards_are_names(company: Company, asker: Member) -> None:
    names = ["a*", "ab", "!c", "[d]", "e f", "#g"]
    company.put("wild", "wild", {name: file(name.encode()) for name in names})
    company.join("wild")
    scenes = [Scene(asker, f"wild/{name}") for name in names if name != "ab"]
    for scene in scenes:
        assert scene.all() == scene.opened.inside.encode()
    order = order_for("x", frozenset({"a*", "!c"}))
    assert (order.what, order.include) == ("x", ("/\\!c", "/a\\*"))


def test_a_listing_that_is_none_is_refused(company: Company) -> None:
    home = company.join("reads").agent._reading._home
    thing = opened.Opened(home, ContentId("b3:" + 64 * "0"), "tree@b3:00000000")
    with pytest.raises(IntegrityError, match="the listing of tree@b3:00000000 is not one: "):
        thing._place_in(b"\x93made by a liar", "a")
