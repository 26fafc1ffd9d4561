"""What has rotted is found; it is healed, or not shared any more."""

import threading
from collections.abc import Iterator

import pytest
from shoal.node.fetching.settings import FetchSettings
from shoal.node.folder.rules import DAMAGED, FORGOTTEN, NO_RULE, Rule, Rules
from shoal.node.network.stop import Stop
from shoal.node.orders import verifying
from shoal.node.orders.healing import Effort
from shoal.protocol.control import Report, VerifyOrder, Working
from shoal.protocol.errors import NotFoundError, OperatorError, StoppedError

from tests.unit.node.company import Company, Member
from tests.unit.node.disks import rot
from tests.unit.node.sample_trees import TREE, file, seen
from tests.unit.node.things import rng
from tests.unit.wire.places import LIMIT_S, eventually

DATA = rng().randbytes(10_000)


@pytest.fixture
def keeper(company: Company) -> Member:
    """A node with a file and a tree."""
    company.put("n1", "f", DATA)
    company.put("n1", "tree", TREE)
    return company.join("n1")


@pytest.fixture
def effort() -> Iterator[Effort]:
    stop = Stop(lambda kind: kind("interrupted"))
    yield Effort(stop, lambda _: None, FetchSettings(shares_already=True))
    stop.close()


def found(member: Member, what: str | None = None) -> list[tuple[str, int, bool]]:
    """Return the names, how many chunks were damaged, and whether that was healed."""
    return [(one.name, one.damaged, one.healed) for one in member.verify(what).things]


def test_what_is_right_is_right(company: Company, keeper: Member) -> None:
    told: list[Working] = []
    keeper.agent.carry_out(VerifyOrder(), told.append)
    (company.place("n1") / "new").write_bytes(b"not seen yet")
    assert found(keeper) == [("f", 0, False), ("new", 0, False), ("tree", 0, False)]
    assert found(keeper, "f") == [("f", 0, False)]
    assert company.holders("f") == {"n1": True}


@pytest.mark.parametrize("name", ["f", "tree/b.txt"])
def test_what_has_rotted_is_healed_from_others(company: Company, keeper: Member, name: str) -> None:
    thing = name.split("/", maxsplit=1)[0]
    with company.visiting("n2") as other:
        other.fetch(thing)
        path = company.place("n1") / name
        right = path.read_bytes()
        rot(path, len(right) - 1)
        assert found(keeper) == [("f", int(thing == "f"), thing == "f"), ("tree", *healed(thing))]
        assert path.read_bytes() == right
        assert company.holders(thing) == {"n1": True, "n2": True}
    assert keeper.agent._rules.of(thing) == NO_RULE
    assert found(keeper, thing) == [(thing, 0, False)]


def healed(thing: str) -> tuple[int, bool]:
    return (1, True) if thing == "tree" else (0, False)


def test_only_what_has_rotted_is_fetched(company: Company, keeper: Member) -> None:
    with company.visiting("n2") as other:
        other.fetch("f")
        rot(company.place("n1") / "f", 5000)
        (one,) = keeper.verify("f").things
    assert (one.damaged, one.healed) == (1, True)
    assert 0 < one.fetched_bytes < len(DATA) / 4


@pytest.mark.parametrize("name", ["f", "tree/b.txt"])
def test_what_nobody_else_has_is_not_shared_any_more(
    company: Company, keeper: Member, name: str
) -> None:
    thing = name.split("/", maxsplit=1)[0]
    rot(company.place("n1") / name)
    (one,) = keeper.verify(thing).things
    assert (one.damaged, one.healed, one.trouble) == (1, False, "no other node has a good copy")
    assert company.holders(thing) == {}
    assert keeper.agent._rules.of(thing).withheld == DAMAGED
    assert (company.place("n1") / name).exists()
    assert thing not in [name for name, *_ in found(keeper)]
    assert keeper.share(thing).id != one.id  # It is shared as what it is now, if anybody insists.


@pytest.mark.parametrize("force", [False, True])
def test_what_was_withdrawn_can_be_fetched_again(
    company: Company, keeper: Member, *, force: bool
) -> None:
    company.put("n2", "tree", TREE)
    company.put("n2", "f", DATA)
    for name in ("f", "tree/b.txt"):
        thing = name.split("/", maxsplit=1)[0]
        rot(company.place("n1") / name)
        keeper.verify(thing)
    other = company.join("n2")
    for name in ("f", "tree"):
        keeper.fetch(name, force=force)
        assert company.holders(name) == {"n1": True, "n2": True}
    assert seen(company.place("n1") / "tree") == TREE
    assert found(keeper) == found(other)


def test_but_not_over_what_was_made_of_it_meanwhile(company: Company, keeper: Member) -> None:
    company.put("n2", "tree", TREE)
    company.put("n2", "f", DATA)
    for name in ("f", "tree/b.txt"):
        path, thing = company.place("n1") / name, name.split("/", maxsplit=1)[0]
        rot(path)
        keeper.verify(thing)
        path.write_bytes(b"mended by hand")
    company.join("n2")
    for name in ("f", "tree/b.txt"):
        with pytest.raises(OperatorError, match=f"already has a different {name}"):
            keeper.fetch(name.split("/", maxsplit=1)[0])
        assert (company.place("n1") / name).read_bytes() == b"mended by hand"


def test_what_is_not_shared_of_a_directory_is_not_lost(company: Company, keeper: Member) -> None:
    company.put("n2", "tree", {path: item for path, item in TREE.items() if path != "c/none"})
    content_id = keeper.share("tree", exclude=("none", "*.log")).id
    (company.place("n1") / "tree" / "my.log").write_bytes(b"mine")
    (company.place("n1") / "tree" / "away").symlink_to("/etc/passwd")
    company.join("n2")
    rot(company.place("n1") / "tree" / "b.txt")
    assert found(keeper, "tree") == [("tree", 1, True)]
    there = seen(company.place("n1") / "tree")
    assert there.pop("my.log") == file(b"mine")
    assert there.pop("away")[0] == "l"
    assert there == TREE
    assert keeper.agent._rules.of("tree") == Rule(exclude=("none", "*.log"))
    assert company.holders(content_id) == {"n1": True, "n2": True}


def test_a_change_is_not_taken_for_rot(company: Company, keeper: Member, effort: Effort) -> None:
    thing = keeper.agent.inventory.whole("f")
    assert thing is not None
    path = company.place("n1") / "f"
    path.write_bytes(DATA[::-1])  # Between the first look and the hashing.
    one = keeper.agent._verifying._examine(thing, effort)
    assert one is not None
    assert (one.name, one.damaged, one.id != thing.id) == ("f", 0, True)
    path.unlink()
    assert keeper.agent._verifying._examine(thing, effort) is None
    assert keeper.agent._rules.of("f") == NO_RULE


def test_many_things_are_verified_page_by_page(
    company: Company, keeper: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "PAGE_THINGS", 2)
    for number in range(3):
        company.put("n1", f"{number}", b"%d" % number)
    pages, after = [], ""
    while True:
        done = keeper.verify(None, after)
        pages.append([one.name for one in done.things])
        if done.next is None:
            break
        after = done.next
    assert pages == [["0", "1"], ["2", "f"], ["tree"]]


def test_what_is_not_held_cannot_be_verified(keeper: Member) -> None:
    with pytest.raises(OperatorError, match="n1 has no nothing") as missing:
        keeper.verify("nothing")
    assert isinstance(missing.value, NotFoundError)


class Pausing:
    """Is told of progress, and makes it wait."""

    def __init__(self) -> None:
        self.is_in_it = threading.Event()
        self.may_go_on = threading.Event()

    def __call__(self, _: Working) -> None:
        self.is_in_it.set()
        assert self.may_go_on.wait(LIMIT_S)


@pytest.mark.parametrize("of_all", [True, False])
def test_it_can_be_stopped(
    company: Company, keeper: Member, monkeypatch: pytest.MonkeyPatch, *, of_all: bool
) -> None:
    monkeypatch.setattr("shoal.node.folder.hashing.SHOW_S", 0.0)
    order, pause, ends = VerifyOrder(None if of_all else "f"), Pausing(), list[OperatorError]()

    def verify() -> None:
        with pytest.raises(OperatorError) as caught:
            keeper.agent.carry_out(order, pause)
        ends.append(caught.value)

    thread = threading.Thread(target=verify)
    thread.start()
    assert pause.is_in_it.wait(LIMIT_S)
    with pytest.raises(OperatorError, match="is being verified already; wait for it"):
        keeper.verify(order.what)
    keeper.agent.cancel(VerifyOrder("something else"), StoppedError)
    if of_all:
        keeper.agent.cancel_all(StoppedError)
    else:
        keeper.agent.cancel(order, StoppedError)
    pause.may_go_on.set()
    thread.join(LIMIT_S)
    assert [type(end) for end in ends] == [StoppedError]
    if of_all:
        with pytest.raises(OperatorError, match="interrupted"):
            keeper.verify("f")


def test_it_can_be_stopped_while_it_heals(company: Company, keeper: Member) -> None:
    with company.visiting("n2") as other:
        other.fetch("f")
        rot(company.place("n1") / "f")
        other.agent._server.stop()  # It is there for the tracker, and does not answer.
        ends: list[OperatorError] = []

        order, told = VerifyOrder("f"), list[Working]()

        def verify() -> None:
            with pytest.raises(OperatorError) as caught:
                keeper.agent.carry_out(order, told.append)
            ends.append(caught.value)

        thread = threading.Thread(target=verify)
        thread.start()
        eventually(lambda: told and told[-1].holders is not None)  # It fetches.
        keeper.agent.cancel(VerifyOrder("f"), StoppedError)  # It is nobody's.
        keeper.agent.cancel(order, StoppedError)
        thread.join(LIMIT_S)
        assert [type(end) for end in ends] == [StoppedError]
        assert keeper.agent._rules.of("f").withheld == DAMAGED


@pytest.mark.parametrize("name", ["f", "tree/b.txt"])
def test_a_copy_that_was_changed_is_put_back_when_it_is_named(
    company: Company, keeper: Member, name: str
) -> None:
    thing = name.split("/", maxsplit=1)[0]
    copier = company.join("n2")
    title = copier.fetch(thing)
    path = company.place("n2") / name
    right = path.read_bytes()
    path.write_bytes(b"changed")
    eventually(lambda: company.holders(thing) == {"n1": True})
    (seen_only,) = (one for one in copier.verify().things if one.changed)
    assert (
        f"{thing} has changed here since it was fetched (v1, published by n1)" in seen_only.trouble
    )
    assert path.read_bytes() == b"changed"  # Somebody may have worked on it.
    (put_back,) = copier.verify(thing).things
    assert (put_back.id, put_back.healed, put_back.changed) == (title.id, True, True)
    assert path.read_bytes() == right
    assert company.holders(thing) == {"n1": True, "n2": True}
    assert found(copier, thing) == [(thing, 0, False)]


def test_a_changed_copy_stays_when_nobody_has_what_it_was(company: Company) -> None:
    copier = company.join("n2")
    with company.visiting("n3") as other:
        company.put("n3", "f", DATA)
        other.share("f")
        copier.fetch("f")
    company.put("n2", "f", b"changed")
    (left,) = copier.verify("f").things
    assert (left.healed, left.changed, bool(left.trouble)) == (False, True, True)
    assert (company.place("n2") / "f").read_bytes() == b"changed"


def changed_copy(company: Company) -> tuple[Member, Member]:
    """Return a copier whose copy of `f` is changed, and who publishes it but answers no more."""
    publisher = company.publish("n3", "f", DATA)
    copier = company.join("n2")
    copier.fetch("f")
    company.put("n2", "f", b"changed")
    eventually(lambda: copier.verify().things[-1].changed)
    publisher.agent._server.stop()
    return copier, publisher


def putting_back(
    copier: Member, order: VerifyOrder, ends: list[Report | OperatorError]
) -> threading.Thread:
    """Begin to put back what cannot be fetched now."""
    told: list[Working] = []

    def verify() -> None:
        try:
            ends.append(copier.agent.carry_out(order, told.append))
        except OperatorError as error:
            ends.append(error)

    thread = threading.Thread(target=verify)
    thread.start()
    eventually(lambda: told and told[-1].holders is not None)  # It fetches.
    return thread


def test_what_is_being_put_back_is_healed_after_a_kill_and_is_no_more_after_a_stop(
    company: Company,
) -> None:
    copier, _ = changed_copy(company)
    rule = copier.agent._rules.of("f")
    order, ends = VerifyOrder("f"), list[Report | OperatorError]()
    thread = putting_back(copier, order, ends)
    damage = Rules(company.place("n2") / ".shoal").of("f").to_heal  # As the next process has it.
    assert damage is not None
    copier.agent.cancel(order, StoppedError)
    thread.join(LIMIT_S)
    (end,) = ends
    assert isinstance(end, OperatorError)
    assert isinstance(end, StoppedError)
    assert copier.agent._rules.of("f") == rule
    assert (company.place("n2") / "f").read_bytes() == b"changed"


def test_what_is_forgotten_while_it_is_put_back_stays_forgotten(company: Company) -> None:
    copier, _ = changed_copy(company)
    order, ends = VerifyOrder("f"), list[Report | OperatorError]()
    thread = putting_back(copier, order, ends)
    copier.agent._rules.set("f", Rule(FORGOTTEN))
    copier.agent.cancel(order, StoppedError)
    thread.join(LIMIT_S)
    assert copier.agent._rules.of("f") == Rule(FORGOTTEN)
    assert (company.place("n2") / "f").read_bytes() == b"changed"


def test_what_was_stopped_before_it_fetched_puts_nothing_back(
    company: Company, effort: Effort
) -> None:
    company.publish("n3", "f", DATA)
    copier = company.join("n2")
    copier.fetch("f")
    company.put("n2", "f", b"changed")
    eventually(lambda: copier.verify().things[-1].changed)
    effort.stop.set(StoppedError)
    with pytest.raises(OperatorError, match="interrupted"):
        copier.agent._verifying._healing.put_back("f", effort)
    assert (company.place("n2") / "f").read_bytes() == b"changed"
    assert copier.agent._rules.of("f") == NO_RULE
