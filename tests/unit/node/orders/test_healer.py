"""What a node does when it is told that a chunk that it sent was wrong."""

import logging
import time
from pathlib import Path

import pytest
from shoal.node.fetching.steps import Event
from shoal.node.folder import cache
from shoal.node.folder.whole import Whole
from shoal.node.orders import healer
from shoal.node.orders.healer import FIRST_RETRY_S, MOST_RETRY_S, Healer
from shoal.node.staging.intake import Intake
from shoal.protocol.control import Examined

from tests.unit.node.company import Company, Member
from tests.unit.node.disks import rot
from tests.unit.node.orders.test_verifying import DATA
from tests.unit.node.sample_trees import TREE, seen
from tests.unit.wire.places import eventually

NOWHERE = f"b3:{0:064x}"


def chunk_at(member: Member, name: str, offset: int) -> tuple[Whole, int]:
    thing = member.agent.inventory.whole(name)
    assert thing is not None
    return thing, thing.manifest.chunk_at(offset)


def complain(member: Member, name: str, offset: int = 0) -> None:
    thing, index = chunk_at(member, name, offset)
    member.agent._healer.take(thing.id, index)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if "chunk" in one.getMessage()]


def test_a_fetcher_tells_and_the_holder_heals(
    company: Company, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    paths = [company.put(node, "f", DATA) for node in ("n1", "n2")]
    company.join("n1")
    company.join("n2")
    for chunk in range(
        8
    ):  # Each is right at one of them: by luck alone nobody asks always that one.
        rot(paths[chunk % 2], chunk * len(DATA) // 8)
    with company.visiting("n3") as other:
        assert other.fetch("f").wrong_chunks >= 1
        assert (company.place("n3") / "f").read_bytes() == DATA
        eventually(lambda: any(path.read_bytes() == DATA for path in paths))


def test_two_that_rotted_in_different_places_heal_each_other(company: Company) -> None:
    paths = [company.put(node, "f", DATA) for node in ("n1", "n2")]
    members = [company.join("n1"), company.join("n2")]
    rot(paths[0])
    rot(paths[1], 5000)
    complain(members[0], "f", 0)
    complain(members[1], "f", 5000)
    eventually(lambda: [path.read_bytes() for path in paths] == [DATA, DATA])
    eventually(lambda: company.holders("f") == {"n1": True, "n2": True})


def test_what_is_intact_is_served_until_the_next_try(
    company: Company, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or two that are damaged in different places, one just after the other, are worth nothing."""
    monkeypatch.setattr(healer, "FIRST_RETRY_S", 86_400.0)
    paths = [company.put(node, "f", DATA) for node in ("n1", "n2")]
    first = company.join("n1")
    rot(paths[0])
    complain(first, "f")
    eventually(lambda: "cannot heal it" in caplog.text)
    eventually(lambda: company.holders("f") == {"n1": False})
    second = company.join("n2")
    rot(paths[1], 5000)
    complain(second, "f", 5000)
    eventually(lambda: paths[1].read_bytes() == DATA)
    eventually(lambda: company.holders("f") == {"n1": False, "n2": True})
    first.agent._healer._retries["f"] = 0.0, 1.0
    first.agent._healer._try_again()
    assert paths[0].read_bytes() == DATA
    eventually(lambda: company.holders("f") == {"n1": True, "n2": True})


def test_what_is_forgotten_is_served_no_more(
    company: Company, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(healer, "FIRST_RETRY_S", 86_400.0)
    path = company.put("n1", "f", DATA)
    keeper = company.join("n1")
    rot(path)
    complain(keeper, "f")
    eventually(lambda: "cannot heal it" in caplog.text)
    eventually(lambda: company.holders("f") == {"n1": False})
    keeper.forget("f")
    eventually(lambda: company.holders("f") == {})


def test_a_tree_is_healed_too(company: Company) -> None:
    for node in ("n1", "n2"):
        company.put(node, "tree", TREE)
    keeper = company.join("n1")
    company.join("n2")
    thing = keeper.agent.inventory.whole("tree")
    assert thing is not None
    path = company.place("n1") / "tree/b.txt"
    right = path.read_bytes()
    rot(path)
    for index in range(thing.chunk_count):
        keeper.agent._healer.take(thing.id, index)
    eventually(lambda: path.read_bytes() == right)
    eventually(lambda: company.holders("tree") == {"n1": True, "n2": True})
    assert seen(company.place("n1") / "tree") == TREE


def test_what_lost_its_bytes_with_the_power_is_healed_and_is_no_new_version(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(healer, "FIRST_RETRY_S", 0.1)
    path = company.put("n1", "f", DATA)
    with company.visiting("n1"):
        company.join("n2").fetch("f")
    known = company.answer("f")
    rot(path)
    monkeypatch.setattr(cache, "boot_id", lambda: "a later run of the machine")
    keeper = company.join("n1")
    eventually(lambda: path.read_bytes() == DATA)
    eventually(lambda: company.holders("f") == {"n1": True, "n2": True})
    now = company.answer("f")
    assert known is not None
    assert now is not None
    assert (now.id, now.version, now.versions) == (known.id, known.version, ())
    eventually(lambda: keeper.agent._rules.damaged() == [])


def test_what_is_right_stays_as_it_is(company: Company, caplog: pytest.LogCaptureFixture) -> None:
    """A malicious fetcher reports an honest holder."""
    caplog.set_level(logging.INFO)
    path = company.put("n1", "f", DATA)
    keeper = company.join("n1")
    mtime_ns = path.stat().st_mtime_ns
    thing, index = chunk_at(keeper, "f", 0)
    keeper.agent._healer._look_into(thing.id, index)
    keeper.agent._healer._look_into(NOWHERE, 0)
    assert path.stat().st_mtime_ns == mtime_ns
    assert company.holders("f") == {"n1": True}
    assert said(caplog) == []


def test_what_was_changed_on_purpose_is_not_rot(company: Company) -> None:
    path = company.put("n1", "f", DATA)
    keeper = company.join("n1")
    thing, index = chunk_at(keeper, "f", 0)
    path.write_bytes(DATA[::-1])
    assert keeper.agent._healer._is_right(thing, index)
    assert keeper.agent._verifying.heal(thing, 1 << index) is None
    assert keeper.agent._rules.damaged() == []


def test_what_cannot_be_healed_is_withdrawn_and_tried_again(
    company: Company, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(healer, "FIRST_RETRY_S", 0.1)
    caplog.set_level(logging.INFO)
    path = company.put("n1", "f", DATA)
    keeper = company.join("n1")
    rot(path)
    complain(keeper, "f")
    eventually(lambda: keeper.agent._rules.damaged() == ["f"])
    eventually(lambda: company.holders("f") == {})
    eventually(lambda: len(said(caplog)) == 2)
    assert path.exists()
    company.put("n2", "f", DATA)
    company.join("n2")
    eventually(lambda: path.read_bytes() == DATA)
    eventually(lambda: company.holders("f") == {"n1": True, "n2": True})
    assert said(caplog) == [
        "f: chunk 1 of 8 is corrupt on this disk; not sharing it until it is healed",
        "f: cannot heal it, 1 of 8 chunks corrupt: no other node has a good copy; will retry",
    ]


def test_after_a_restart_it_is_tried_again_too(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = company.put("n1", "f", DATA)
    with company.visiting("n1") as keeper:
        rot(path)
        keeper.verify("f")
    monkeypatch.setattr(healer, "FIRST_RETRY_S", 0.01)
    company.put("n2", "f", DATA)
    company.join("n2")
    company.join("n1")
    eventually(lambda: path.read_bytes() == DATA)


def test_what_its_user_saw_to_is_left_alone(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = company.put("n1", "f", DATA)
    with company.visiting("n1") as keeper:
        rot(path)
        keeper.verify("f")
        working = keeper.agent._healer
        path.write_bytes(b"mine")
        working._retries = {"f": (0.0, 1.0), "g": (0.0, 1.0)}
        working._try_again()
        assert working._retries == {}
        assert path.read_bytes() == b"mine"


def test_each_chunk_is_looked_at_once_a_minute(company: Company) -> None:
    agent = company.join("n1").agent
    idle = Healer(agent._fetches._home, agent._verifying)
    for _ in range(3):
        idle.take(NOWHERE, 1)
    assert idle._complaints.qsize() == 1
    idle._recent[NOWHERE, 1] -= healer.RECENT_S
    idle.take(NOWHERE, 1)
    assert idle._complaints.qsize() == 2
    for index in range(healer.MAX_WAITING + 9):
        idle.take(NOWHERE, index)
    assert idle._complaints.qsize() == healer.MAX_WAITING
    idle.stop()


def test_remembers_only_so_many(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(healer, "MAX_RECENT", 4)
    agent = company.join("n1").agent
    idle = Healer(agent._fetches._home, agent._verifying)
    for index in range(9):
        idle.take(NOWHERE, index)
    assert [index for _, index in idle._recent] == [5, 6, 7, 8]


class Failing:
    """Verifies nothing, as of a mistake of its own."""

    def heal(self, thing: Whole, wrong: int) -> Examined:
        raise ZeroDivisionError(thing, wrong)


def test_goes_on_after_a_mistake(company: Company, caplog: pytest.LogCaptureFixture) -> None:
    path: Path = company.put("n1", "f", DATA)
    keeper = company.join("n1")
    verifying = keeper.agent._verifying
    rot(path)
    keeper.agent._healer._verifying = Failing()  # type: ignore[assignment]
    complain(keeper, "f")
    eventually(lambda: "cannot look into a complaint" in caplog.text)
    keeper.agent._healer._verifying = verifying
    rot(path, 5000)
    complain(keeper, "f", 5000)
    eventually(lambda: keeper.agent._rules.damaged() == ["f"])


def test_what_rots_while_it_is_fetched_is_fetched_again(
    company: Company, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partial holder checks what it is told of too, and never has a corrupt thing whole."""
    company.put("n1", "f", DATA)
    company.join("n1")
    asker, publish = company.join("n2"), Intake.publish
    healer = asker.agent._healer

    def publish_late(intake: Intake) -> Event:
        (part,) = asker.agent.inventory.fetched()
        if "fetching it again" not in caplog.text:
            rot(next((company.place("n2") / ".shoal/partial").glob("*/data")))
            healer.take(part.id, 0)
            eventually(lambda: "fetching it again" in caplog.text)
        return publish(intake)

    monkeypatch.setattr(Intake, "publish", publish_late)
    done = asker.fetch("f")
    assert (company.place("n2") / "f").read_bytes() == DATA
    assert len(DATA) < done.fetched_bytes < 2 * len(DATA)
    assert done.reused_bytes == 0


def test_nodes_that_need_each_other_retry_at_the_same_times(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long each has failed: the longer pauses are multiples of the shorter ones."""
    retries = company.join("n1").agent._healer
    monkeypatch.setattr(time, "time", lambda: 1_000_003.0)
    monkeypatch.setattr(time, "monotonic", lambda: 50.0)
    for number, pause_s in enumerate((10.0, 20.0, 320.0)):
        retries._later(str(number), pause_s)
    times = [at + 1_000_003.0 - 50.0 for at, _ in retries._retries.values()]
    assert times == [1_000_010.0, 1_000_020.0, 1_000_320.0]
    assert MOST_RETRY_S / FIRST_RETRY_S == 2**5
