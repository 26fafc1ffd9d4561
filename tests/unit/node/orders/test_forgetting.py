"""Orders to forget and to delete."""

import os
from pathlib import Path

import pytest
import zmq
from shoal.node.folder.rules import DAMAGED, FETCHING, FORGOTTEN, NO_RULE, PART, Rule
from shoal.node.orders.forgetting import _as_seen
from shoal.protocol import messages
from shoal.protocol.errors import DiskError, NotFoundError
from shoal.protocol.messages import ChunkRequest, Holders, ManifestRequest, NodeRequest
from shoal.wire import sockets

from tests.unit.node.company import Company, Member, refused
from tests.unit.node.disks import fill_up
from tests.unit.node.sample_trees import TREE, file, link, seen
from tests.unit.wire.places import LIMIT_S, eventually


@pytest.mark.parametrize("name", ["f", "tree"])
def test_what_is_forgotten_stays_where_it_is(company: Company, keeper: Member, name: str) -> None:
    forgotten = keeper.forget(name)
    assert (forgotten.name, forgotten.deleted) == (name, False)
    assert company.holders(name) == {}
    assert (company.place("n1") / name).exists()
    assert keeper.agent.inventory.whole(name) is None


def test_what_is_forgotten_is_answered_as_what_never_was(
    context: "zmq.Context[zmq.Socket[bytes]]", keeper: Member
) -> None:  # fault 127
    client = sockets.dealer(context, keeper.agent.identity.address)

    def answer(request: NodeRequest) -> list[bytes]:
        client.send_multipart([b"", messages.encode(request)])
        assert client.poll(int(1000 * LIMIT_S))
        return client.recv_multipart()

    never = f"b3:{7:064x}"
    assert len(answer(ManifestRequest("f"))) == 3  # With the manifest.
    forgotten = keeper.forget("f").id
    assert forgotten is not None
    unknown = answer(ManifestRequest(never))
    assert len(unknown) == 2
    for what in (forgotten, "f", "nowhere"):
        assert answer(ManifestRequest(what)) == unknown
    for content_id in (forgotten, never):
        assert answer(ChunkRequest(content_id, 0, "n2")) == unknown
    client.close()


def test_what_is_forgotten_stays_so_over_changes_and_starts(company: Company) -> None:
    company.put("n1", "f", b"content")
    with company.visiting("n1") as first:
        first.forget("f")
        company.put("n1", "f", b"changed")
        company.put("n1", "g", b"seen later than that")
        eventually(lambda: first.agent.inventory.names() == ["g"])
    with company.visiting("n1") as second:
        assert second.agent.inventory.names() == ["g"]
        second.share("f")
        assert company.holders("f") == {"n1": True}


@pytest.mark.parametrize("delete", [False, True])
def test_what_is_being_hashed_is_forgotten_at_once(
    company: Company, keeper: Member, *, delete: bool
) -> None:
    path = company.place("n1") / "huge"
    with path.open("wb") as file:
        file.truncate(400 << 30)
    eventually(lambda: keeper.agent._watcher.hashing("huge"))
    assert keeper.forget("huge", delete=delete).id is None
    eventually(lambda: keeper.agent._watcher.hashing("huge") is None)
    assert path.exists() is not delete


def test_a_full_disk_lets_things_be_deleted(small_disk: Path, tmp_path: Path) -> None:
    with Company(tmp_path) as company:
        (tmp_path / "n1").symlink_to(small_disk)
        company.put("n1", "f", bytes(range(256)) * 400)
        keeper = company.join("n1")
        other = fill_up(small_disk)
        error = refused(keeper.forget, "f")
        assert isinstance(error, DiskError)
        assert "f" in keeper.agent.inventory.names()
        assert keeper.forget("f", delete=True).deleted
        assert not (small_disk / "f").exists()
        company.put("n1", "f", b"new")
        assert keeper.share("f", force=True).announced
        other.unlink()


def test_it_may_be_forgotten_twice(company: Company, keeper: Member) -> None:
    assert keeper.forget("f").id is not None
    assert keeper.forget("f").id is None
    assert (company.place("n1") / "f").exists()


@pytest.mark.parametrize("name", ["f", "tree"])
def test_what_is_deleted_is_gone(company: Company, keeper: Member, name: str) -> None:
    assert keeper.forget(name, delete=True).deleted
    assert company.holders(name) == {}
    assert not (company.place("n1") / name).exists()
    assert not [*(company.place("n1") / ".shoal").glob("deleted-*")]
    company.put("n1", name, b"of the same name")
    eventually(lambda: company.holders(name) == {"n1": True})


def test_it_may_be_meant_by_id_or_version(company: Company, keeper: Member) -> None:
    content_id = keeper.share("f").id
    assert keeper.forget(content_id).name == "f"
    keeper.share("f")
    assert keeper.forget(f"f@{content_id[3:9]}", delete=True).name == "f"
    assert not (company.place("n1") / "f").exists()


@pytest.mark.parametrize("why", [PART, FETCHING, DAMAGED])
def test_what_is_withheld_can_be_deleted(company: Company, keeper: Member, why: str) -> None:
    keeper.agent._rules.set("tree", Rule(why, exclude=("x",)))
    forgotten = keeper.forget("tree", delete=True)
    assert (forgotten.id, forgotten.deleted) == (None, True)
    assert not (company.place("n1") / "tree").exists()
    assert keeper.agent._rules.of("tree") == NO_RULE


def test_what_was_forgotten_can_be_deleted(company: Company, keeper: Member) -> None:
    keeper.forget("tree")
    keeper.forget("tree", delete=True)
    assert not (company.place("n1") / "tree").exists()


def test_what_is_not_held_cannot_be_forgotten(company: Company, keeper: Member) -> None:
    keeper.agent._rules.set("gone", Rule(PART))
    for what in ("nothing", "gone", "tree/a", "tree@0000", "b3:" + 64 * "0"):
        error = refused(keeper.forget, what, delete=True)
        assert isinstance(error, NotFoundError)
        assert f"n1 has no {what}; `shoal ls` shows who holds what" in str(error)
    assert seen(company.place("n1") / "tree") == TREE


def test_a_link_is_deleted_and_not_what_it_leads_to(company: Company, keeper: Member) -> None:
    target = company.folder / "target"
    target.write_bytes(b"not ours")
    (company.place("n1") / "link").symlink_to(target)
    keeper.share("link")
    keeper.forget("link", delete=True)
    assert not (company.place("n1") / "link").is_symlink()
    assert target.read_bytes() == b"not ours"


def test_others_keep_what_one_forgets(company: Company, keeper: Member) -> None:
    company.put("n2", "f", b"content")
    other = company.join("n2")
    keeper.forget("f", delete=True)
    assert company.holders("f") == {"n2": True}
    answer = company.answer("f")
    assert isinstance(answer, Holders)
    assert keeper.fetch("f").fetched_bytes == len(b"content")
    assert other.verify("f").things[0].damaged == 0


@pytest.mark.parametrize("name", ["f", "tree"])
def test_what_changed_since_it_was_meant_is_not_deleted(
    company: Company, keeper: Member, name: str
) -> None:
    """By id above all: it is not what was asked for. The files that are not shared go with it."""
    place = company.place("n1") / name
    thing = keeper.agent.inventory.whole(name)
    assert thing is not None
    may_go = _as_seen(thing, place)
    file_in_it = place / "b.txt" if name == "tree" else place
    file_in_it.write_bytes(b"edited just now")
    error = refused(keeper.agent._forgetting._delete, name, may_go)
    assert f"{name} in {place.parent} has just changed, so it was not deleted" in str(error)
    assert file_in_it.read_bytes() == b"edited just now"
    assert not [*(company.place("n1") / ".shoal").glob("deleted-*")]


def test_what_is_not_shared_of_a_directory_is_deleted_with_it(
    company: Company, keeper: Member
) -> None:
    place = company.place("n1") / "tree"
    os.mkfifo(place / "fifo")
    (place / "out").symlink_to("/etc/passwd")
    keeper.share("tree", exclude=("b.txt",))
    keeper.forget("tree", delete=True)
    assert not place.exists()


def test_what_was_respelled_can_be_deleted(company: Company, keeper: Member) -> None:
    company.put("n1", "l", {"a": link("./x"), "d/b": link("..//x"), "x": file(b"x")})
    keeper.share("l")
    assert keeper.forget("l", delete=True).deleted
    assert not (company.place("n1") / "l").exists()


def test_what_is_deleted_is_gone_for_good_before_its_rule_goes(
    company: Company, keeper: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be there again after a loss of power, and shared."""
    fsync, folder = os.fsync, company.place("n1")
    rules: list[str] = []

    def note(descriptor: int) -> None:
        fsync(descriptor)
        if os.path.samestat(os.fstat(descriptor), folder.stat()):
            rules.append(keeper.agent._rules.of("f").withheld)

    monkeypatch.setattr(os, "fsync", note)
    keeper.forget("f", delete=True)
    assert rules == [FORGOTTEN]
    assert keeper.agent._rules.of("f") == NO_RULE
