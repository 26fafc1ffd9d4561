"""The fixture that makes labs, and what happens where none can be made."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn, Protocol

import pytest

from tests.multihost.lab import Lab, LabError


class MakeLab(Protocol):
    def __call__(self, hosts: int, rate_mbit: float | None = None) -> Lab: ...


def give_up(reason: str, environ: Mapping[str, str]) -> NoReturn:
    """Skip the test, except where CI promises that everything is there: a skip would hide it."""
    if environ.get("CI") == "true":
        pytest.fail(f"CI must be able to build a lab: {reason}")
    pytest.skip(f"needs root, iproute2 and network namespaces: {reason}")


@pytest.fixture(scope="session")
def lab_obstacle(tmp_path_factory: pytest.TempPathFactory) -> str | None:
    """Say why no lab can be built here, found by building one; None if it can."""
    try:
        with Lab(1, rate_mbit=100, directory=tmp_path_factory.mktemp("lab")) as lab:
            lab.run(1, ["true"], timeout_s=10)
    except (LabError, OSError) as error:
        return str(error)
    return None


@pytest.fixture
def make_lab(lab_obstacle: str | None, tmp_path: Path) -> Iterator[MakeLab]:
    """Build labs that are torn down after the test."""
    if lab_obstacle is not None:
        give_up(lab_obstacle, os.environ)
    with ExitStack() as labs:

        def make(hosts: int, rate_mbit: float | None = None) -> Lab:
            return labs.enter_context(Lab(hosts, rate_mbit, directory=tmp_path))

        yield make
