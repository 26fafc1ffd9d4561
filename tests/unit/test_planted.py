"""The planted faults fit the code; whether the tests see them, `python -m tests.planted` says."""

import ast
from pathlib import Path

import pytest

from tests.planted.__main__ import planted
from tests.planted.fault import Fault
from tests.planted.faults import FAULTS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_a_fault_can_be_planted(fault: Fault) -> None:
    text = (ROOT / fault.path).read_text()
    wrong = planted(fault, text)
    assert ast.dump(ast.parse(wrong)) != ast.dump(ast.parse(text))
    assert all((ROOT / tests).exists() for tests in fault.tests)


def test_there_are_many_and_each_is_another() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 30


def test_code_that_is_not_as_a_fault_takes_it_is_refused() -> None:
    with pytest.raises(ValueError, match="does not have its line once"):
        planted(FAULTS[0], "x = 1\n")
