"""What a file is taken to be the same by, whoever noted it."""

import os
from pathlib import Path

import pytest
from shoal.node.files.states import FileStates

from tests.unit.node.sample_trees import file, make, run


@pytest.fixture
def status(tmp_path: Path) -> os.stat_result:
    return (make(tmp_path, {"a": file(b"1234"), "x": run(b"56")}) / "x").lstat()


def fits(states: FileStates, status: os.stat_result) -> bool:
    return states.fits(0)(status)


def test_what_was_added_is_the_same(status: os.stat_result) -> None:
    states = FileStates()
    assert states.add(status)
    assert fits(states, status)
    assert states.is_noted(0)


@pytest.mark.parametrize(
    ("size", "executable", "expected"), [(2, b"\1", True), (2, b"\0", False), (3, b"\1", False)]
)
def test_what_was_noted_has_the_size_and_mode_it_should_have(
    status: os.stat_result, size: int, executable: bytes, *, expected: bool
) -> None:
    states = FileStates([size], executable)
    assert not states.is_noted(0)
    assert not fits(states, status)
    states.note(0, status)
    assert states.is_noted(0)
    assert fits(states, status) is expected


def test_another_one_is_another(status: os.stat_result, tmp_path: Path) -> None:
    states = FileStates()
    states.add(status)
    os.utime(tmp_path / "x", ns=(1, 2))
    assert not fits(states, (tmp_path / "x").lstat())
    os.utime(tmp_path / "x", ns=(1, 1))
    assert fits(states, (tmp_path / "x").lstat())
    (tmp_path / "x").rename(tmp_path / "y")
    make(tmp_path, {"x": run(b"56")})
    assert not fits(states, (tmp_path / "x").lstat())


def test_what_was_forgotten_is_not_noted(status: os.stat_result) -> None:
    states = FileStates([2, 2], b"\1\1")
    states.note(0, status)
    states.note(1, status)
    states.forget(0)
    assert [states.is_noted(0), states.is_noted(1)] == [False, True]
