"""When what interrupted fetches have left has to go."""

import os
from pathlib import Path

import pytest
from shoal.node.folder.rules import DAMAGED, Damage, Rule
from shoal.node.orders.sweeper import LOOK_S, MOST_AGE_S
from shoal.node.staging.remains import found, note_name, staging_place
from shoal.protocol.control import Discarded, DiscardOrder
from shoal.protocol.errors import OperatorError
from shoal.protocol.manifest import ContentId

from tests.unit.node.company import Company, Member
from tests.unit.node.staging.test_remains import SIZE, fetched, leave
from tests.unit.wire.places import eventually

A_WEEK_AGO = MOST_AGE_S + 60


def names(company: Company) -> list[str]:
    return [one.name for one in found(company.place("n2"))]


def grow_old(company: Company) -> None:
    for path in (company.place("n2") / ".shoal/partial").rglob("*"):
        status = path.stat()
        os.utime(path, (status.st_atime, status.st_mtime - A_WEEK_AGO))
    for path in (company.place("n2") / ".shoal/partial").iterdir():
        os.utime(path, (1, 1))


def damage(member: Member, content_id: ContentId) -> None:
    """Note that a thing that has rotted was this one."""
    rule = Rule(DAMAGED, damage=Damage(content_id, "", 1, 1))
    member.agent._rules.set("rotten", rule)


def discard(member: Member, what: str) -> Discarded:
    report = member.agent.carry_out(DiscardOrder(what), lambda _: None)
    assert isinstance(report, Discarded)
    return report


def test_what_is_a_week_old_goes_when_the_node_starts(tmp_path: Path) -> None:
    with Company(tmp_path) as company:
        leave(company.place("n2"), "a")
        grow_old(company)
        with company.visiting("n2"):
            eventually(lambda: names(company) == [])


def test_what_nobody_has_goes_but_not_at_the_first_word(tmp_path: Path) -> None:
    with Company(tmp_path) as company:
        leave(company.place("n2"), "a")
        member = company.join("n2")
        sweeper = member.agent._sweeper
        eventually(lambda: sweeper._doubtful)  # The tracker may just have been started.
        assert names(company) == ["a"]
        assert sweeper.look() == LOOK_S
        assert names(company) == []


def test_what_somebody_has_stays(tmp_path: Path) -> None:
    with Company(tmp_path) as company:
        company.put("n1", "a", bytes(1000))
        member = company.join("n1")
        whole = member.agent.inventory.whole("a")
        assert whole is not None
        other = company.join("n2")
        place = company.place("n2") / ".shoal/partial" / whole.id[3:]
        place.mkdir(parents=True)
        (place / "name").write_bytes(b"a")
        assert [other.agent._sweeper.look() for _ in range(3)] == [LOOK_S] * 3
        assert names(company) == ["a"]


def test_a_tracker_that_is_silent_says_nothing(tmp_path: Path) -> None:
    with Company(tmp_path) as company:
        leave(company.place("n2"), "a")
        member = company.join("n2")
        sweeper = member.agent._sweeper
        eventually(lambda: sweeper._doubtful)
        sweeper._thread._stopping.set()  # It ends each question.
        assert sweeper.look() == LOOK_S
        assert names(company) == ["a"]


def test_what_is_to_heal_a_thing_stays(tmp_path: Path) -> None:
    with Company(tmp_path) as company:
        member = company.join("n2")
        damage(member, leave(company.place("n2"), "a"))
        grow_old(company)
        assert [member.agent._sweeper.look() for _ in range(2)] == [LOOK_S] * 2
        assert names(company) == ["a"]


def test_goes_at_once_if_that_is_ordered(tmp_path: Path) -> None:
    with Company(tmp_path) as company:
        member = company.join("n2")
        content_id = leave(company.place("n2"), "a")
        leave(company.place("n2"), "b", "x")
        leave(company.place("n2"), "tree", "y")
        done = discard(member, "a")
        assert (done.what, done.count) == ("a", 1)
        assert SIZE <= done.freed_bytes < 2 * SIZE
        assert discard(member, content_id) == Discarded(content_id, 0, 0)
        assert discard(member, "tree/inside").count == 1
        assert names(company) == ["b"]


def test_what_is_being_fetched_is_not_removed(tmp_path: Path) -> None:
    with Company(tmp_path) as company:
        member = company.join("n2")
        content_id = leave(company.place("n2"), "a")
        inventory = member.agent.inventory
        partial = fetched(company.place("n2"))._inventory.fetched()[0]
        inventory.put_partial(partial)
        for what in ("a", content_id):
            with pytest.raises(OperatorError, match="is being fetched; stop that") as refused:
                discard(member, what)
            assert type(refused.value) is OperatorError
        assert names(company) == ["a"]


def test_a_newer_version_takes_the_place_of_what_is_left(tmp_path: Path) -> None:
    with Company(tmp_path) as company:
        company.publish("n1", "a", b"the newest")
        member = company.join("n2")
        leave(company.place("n2"), "a")
        leave(company.place("n2"), "b", "x")
        member.fetch("a")
        assert names(company) == ["b"]
        leave(company.place("n2"), "a")
        member.fetch("a")  # It is here already.
        assert names(company) == ["b"]


def test_what_is_left_of_a_thing_that_is_here_goes(tmp_path: Path) -> None:
    """A fetch was killed after the rename: it was listed as unfinished for a week."""
    with Company(tmp_path) as company:
        company.publish("n1", "a", b"the newest")
        member = company.join("n2")
        content_id = ContentId(member.fetch("a").id)
        place = staging_place(company.place("n2"), content_id)
        for look_again in (
            lambda: member.fetch("a"),
            lambda: member.fetch(content_id),
            member.agent._sweeper.look,
        ):
            place.mkdir()
            note_name(place, "a")
            look_again()
            assert names(company) == []
        damage(member, content_id)
        place.mkdir()
        member.agent._sweeper.look()
        member.fetch("a")
        assert place.is_dir()


def test_an_older_version_does_not(tmp_path: Path) -> None:
    with Company(tmp_path) as company:
        publisher = company.publish("n1", "a", b"older")
        whole = publisher.agent.inventory.whole("a")
        assert whole is not None
        member = company.join("n2")
        leave(company.place("n2"), "a")
        member.fetch(f"a@{whole.id}")
        assert names(company) == ["a"]
