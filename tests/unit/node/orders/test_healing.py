"""What was withdrawn as damaged is healed later, if it is still what it was."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from shoal.node.folder.rules import NO_RULE
from shoal.protocol.errors import OperatorError

from tests.unit.node.company import Company
from tests.unit.node.disks import rot
from tests.unit.node.orders.test_verifying import DATA, found
from tests.unit.node.sample_trees import TREE, seen


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    with Company(tmp_path) as company:
        company.put("n1", "f", DATA)
        company.put("n1", "tree", TREE)
        with company.visiting("n1") as keeper:
            for name in ("f", "tree/b.txt"):
                thing = name.split("/", maxsplit=1)[0]
                rot(company.place("n1") / name)
                assert found(keeper, thing) == [(thing, 1, False)]
        yield company


def test_verify_heals_it_after_a_restart(company: Company) -> None:
    company.put("n2", "f", DATA)
    company.put("n2", "tree", TREE)
    keeper = company.join("n1")
    assert keeper.agent.inventory.names() == []
    assert found(keeper, "f") == [("f", 1, False)]  # Nobody else has it yet.
    company.join("n2")
    for name in ("f", "tree"):
        assert found(keeper, name) == [(name, 1, True)]
        assert keeper.agent._rules.of(name) == NO_RULE
        assert company.holders(name) == {"n1": True, "n2": True}
    assert (company.place("n1") / "f").read_bytes() == DATA
    assert seen(company.place("n1") / "tree") == TREE


@pytest.mark.parametrize("is_there", [True, False])
def test_what_was_changed_since_is_left_alone(company: Company, *, is_there: bool) -> None:
    company.put("n2", "f", DATA)
    company.join("n2")
    keeper = company.join("n1")
    path = company.place("n1") / "f"
    path.unlink()
    if is_there:
        path.write_bytes(b"mine")
    with pytest.raises(
        OperatorError, match="since been changed or removed; `shoal share f` shares"
    ):
        keeper.verify("f")
    assert (path.read_bytes() if is_there else None) == (b"mine" if is_there else None)


def test_what_is_right_again_is_fetched_without_a_byte(company: Company) -> None:
    company.put("n2", "f", DATA)
    company.join("n2")
    keeper = company.join("n1")
    rot(company.place("n1") / "f")  # Back to what it was.
    (one,) = keeper.verify("f").things
    assert (one.healed, one.fetched_bytes) == (True, 0)
