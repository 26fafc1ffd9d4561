"""Whether another node has all of something is asked of it, not believed."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec
import pytest
from shoal.node.folder.whole import Whole
from shoal.node.network.witness import Witnesses
from shoal.protocol.errors import OperatorError, StoppedError
from shoal.protocol.messages import Holder

from tests.unit.node.company import Company, Member
from tests.unit.node.hostile import LIARS, AnyHolder
from tests.unit.wire.places import free_address

DATA = bytes(range(256)) * 40


class Scene:
    """What `asks` has, who else is said to have it, and whom `asks` may believe."""

    def __init__(self, company: Company, asker: Member, name: str) -> None:
        thing = asker.agent.inventory.whole(name)
        assert thing is not None
        self.thing: Whole = thing
        self.own_address = asker.agent.identity.address
        holders = company.answer(name).holders  # type: ignore[union-attr]
        self.holder: Holder = next(one for one in holders if one.node == "has")
        self._witnesses = Witnesses(asker.agent._context, "asks", ("tcp://127.0.0.1:1",), Random(1))

    def believes(self, *holders: Holder) -> bool:
        return self._witnesses.have(self.thing, holders, lambda: None)

    def says(self, **changes: object) -> Holder:
        return msgspec.structs.replace(self.holder, **changes)


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    with Company(tmp_path) as company:
        company.put("has", "f", DATA)
        company.put("has", "empty", b"")
        company.join("has")
        yield company


@pytest.mark.parametrize("name", ["f", "empty"])
def test_one_who_has_all_of_it_is_believed(company: Company, asker: Member, name: str) -> None:
    asker.fetch(name)
    scene = Scene(company, asker, name)
    assert scene.believes(scene.holder)
    assert scene.believes(scene.says(node="gone", address=free_address()), scene.holder)


@pytest.mark.parametrize("name", ["f", "empty"])
def test_nobody_else_is(company: Company, asker: Member, name: str) -> None:
    asker.fetch(name)
    scene = Scene(company, asker, name)
    assert not scene.believes()
    assert not scene.believes(scene.says(complete=False))
    assert not scene.believes(scene.says(node="asks"))  # We ourselves, wherever that is.
    assert not scene.believes(scene.says(address=free_address()))  # It has just died.
    assert not scene.believes(scene.says(address="tcp://127.0.0.1:1"))  # The tracker.


def test_one_who_has_other_content_by_now_is_not(company: Company, asker: Member) -> None:
    asker.fetch("f")
    scene = Scene(company, asker, "f")
    company.put("has", "f", DATA[::-1])
    assert not scene.believes(scene.holder)


@pytest.mark.parametrize("way", LIARS)
def test_one_who_sends_anything_but_the_right_bytes_is_not(
    company: Company, asker: Member, way: str
) -> None:
    asker.fetch("f")
    scene = Scene(company, asker, "f")
    liar = AnyHolder(asker.agent._context, DATA, LIARS[way])
    try:
        assert not scene.believes(scene.says(address=liar.address))
    finally:
        liar.stop()
    assert liar.requests


def test_the_asking_ends_when_it_is_told_to(company: Company, asker: Member) -> None:
    asker.fetch("f")
    scene = Scene(company, asker, "f")

    def stop() -> None:
        raise StoppedError("interrupted")

    with pytest.raises(OperatorError, match="interrupted"):
        scene._witnesses.have(scene.thing, [scene.holder], stop)
