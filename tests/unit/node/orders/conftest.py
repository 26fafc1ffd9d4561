"""What tests of orders begin with: some nodes and their tracker, and one that has things."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.node.company import Company, Member
from tests.unit.node.sample_trees import TREE


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    with Company(tmp_path) as company:
        yield company


@pytest.fixture
def keeper(company: Company) -> Member:
    """A node with a file and a tree."""
    company.put("n1", "f", b"content")
    company.put("n1", "tree", TREE)
    return company.join("n1")
