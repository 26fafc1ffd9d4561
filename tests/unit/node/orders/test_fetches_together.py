"""Fetches side by side, and what becomes of them when the tracker or the source changes."""

import contextlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from shoal.node.agent import Agent
from shoal.node.folder.lock import FolderLock
from shoal.node.folder.whole import Whole
from shoal.node.orders.identity import Identity
from shoal.protocol.control import Fetched, FetchOrder
from shoal.protocol.errors import NotFoundError, TrackerError
from shoal.protocol.trackers import Trackers

from tests.unit.node.company import Company, Member, refused
from tests.unit.node.sample_trees import TREE, file
from tests.unit.wire.places import free_address

LATER = {**TREE, "b.txt": file(b"changed"), "new": file(b"new")}


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    """The node `has` holds a tree."""
    with Company(tmp_path) as company:
        company.put("has", "tree", TREE)
        company.join("has")
        yield company


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[Member]:
    """Be the node of a folder for a while, as a command is, with no tracker."""
    identity = Identity("asks", free_address(), folder, Trackers([free_address()]))
    agent = Agent(identity, FolderLock.take(folder))
    try:
        agent.start_for_one_fetch()
        yield Member(agent)
    finally:
        agent.stop()


def at_once(asker: Member, *orders: FetchOrder) -> list[Fetched]:
    """Carry out orders side by side."""
    with ThreadPoolExecutor(len(orders)) as pool:
        return list(pool.map(lambda order: asker.agent.fetch(order, lambda _: None), orders))


def test_two_names_of_the_same_content_arrive_and_travel_once(company: Company) -> None:
    content = os.urandom(3 << 20)
    for name in ("one", "two", "three"):
        company.put("twins", name, content)
    company.join("twins")
    asker = company.join("asks")
    done = at_once(asker, *(FetchOrder(name) for name in ("one", "two", "three")))
    assert [one.name for one in done] == ["one", "two", "three"]
    assert sum(one.fetched_bytes for one in done) == len(content)
    for name in ("one", "two", "three"):
        assert (company.place("asks") / name).read_bytes() == content
    assert not [*(company.place("asks") / ".shoal/partial").iterdir()]


def test_the_same_in_other_ways_waits_and_arrives(company: Company, asker: Member) -> None:
    content = os.urandom(3 << 20)
    company.publish("third", "big", content)
    target = company.folder / "elsewhere"
    orders = FetchOrder("big"), FetchOrder("big", str(target)), FetchOrder("big", force=True)
    at_once(asker, *orders)
    assert target.read_bytes() == (company.place("asks") / "big").read_bytes() == content


def test_goes_on_with_the_new_version_of_a_name(
    company: Company, asker: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source changes, in its last bytes, when it has sent half of it."""
    old, reads, real = os.urandom(10 << 20), list[int](), Whole.read
    new = old[:-1000] + os.urandom(1000)
    place = company.put("third", "big", old)
    first = company.join("third").agent.inventory.whole("big")
    assert first is not None

    def read(thing: Whole, index: int) -> bytes:
        reads.append(index)
        if len(reads) == first.chunk_count // 2:
            place.write_bytes(new)
        return real(thing, index)

    monkeypatch.setattr(Whole, "read", read)
    done = asker.fetch("big")
    assert (company.place("asks") / "big").read_bytes() == new
    assert (done.superseded, done.version) == ((first.id,), 2)
    assert 0 < done.reused_bytes < done.fetched_bytes + done.reused_bytes
    assert not [*(company.place("asks") / ".shoal/partial").iterdir()]


def test_what_is_here_needs_no_tracker_if_its_id_says_so(company: Company) -> None:
    with company.visiting("asks") as asker:
        content_id = asker.fetch("tree").id
    digits = content_id[3:]
    with alone(company.place("asks")) as asker:
        exact = f"tree@{digits}", f"tree@{content_id}"
        with ThreadPoolExecutor(6) as pool:  # Each waits for the tracker for as long as it may.
            done = [pool.submit(asker.fetch, what) for what in exact]
            prefix = pool.submit(asker.fetch, f"tree@{digits[:8]}")
            alone_id = pool.submit(asker.fetch, content_id)
            refusals = [
                pool.submit(refused, asker.fetch, what) for what in ("tree", f"tree@{'0' * 8}")
            ]
        for one in done:
            found = one.result()
            assert (found.id, found.fetched_bytes, found.offline) == (content_id, 0, False)
        assert (prefix.result().id, prefix.result().offline) == (content_id, True)
        assert alone_id.result().id == content_id
        for refusal in refusals:
            assert isinstance(refusal.result(), TrackerError)


def test_who_has_not_read_its_folder_yet_is_not_taken_off(company: Company) -> None:
    mine = company.put("asks", "mine.bin", b"of nobody else")
    with company.visiting("asks") as asker:
        content_id = asker.share("mine.bin").id
    with company.visiting("asks", command=True) as asker:
        assert asker.agent.inventory.find(content_id) is None
        found = asker.fetch(content_id)
        assert (found.path, found.fetched_bytes) == (str(mine), 0)
        assert "no such file" in str(refused(asker.fetch, f"b3:{'0' * 64}"))
    answer = company.answer(content_id)
    assert answer is not None
    assert [each.node for each in answer.offline] == ["asks"]


def test_who_fetches_to_elsewhere_still_holds_it(company: Company, asker: Member) -> None:
    content_id = asker.fetch("tree").id
    for what in ("tree", content_id):
        asker.fetch(what, output=str(company.folder / what[-4:]))
        assert company.holders("tree") == {"has": True, "asks": True}


def test_offline_takes_the_newest_that_is_here(company: Company, asker: Member) -> None:
    old = asker.fetch("tree")
    with company.visiting("later") as later:
        company.put("later", "tree", LATER)
        later.share("tree", force=True)
        done = asker.fetch("tree", offline=True)
        assert (done.id, done.version, done.offline) == (old.id, 1, True)
        inside = asker.fetch("tree/a/run.sh", offline=True)
        assert inside.path == f"{old.path}/a/run.sh"
        error = refused(asker.fetch, "f.bin", offline=True)
        assert isinstance(error, NotFoundError)
        assert "asks shares no f.bin; run it without --offline" in str(error)
        assert asker.fetch("tree").version == 2
