"""What arrives is served at once, and stands under its name when it is whole, not before."""

from pathlib import Path
from random import Random

import pytest

from node import steps
from node.intake import Destination, Intake
from node.library import Library, PartialFile, WholeFile
from protocol.errors import OperatorError
from tests.unit.node.things import id_of, plain

DATA = Random(3).randbytes(5_000)
THING = plain(DATA)
OPENING = steps.OpenStaging("b.bin", id_of(THING), THING)


def intake_into(folder: Path, library: Library, output: Path | None = None) -> Intake:
    return Intake(Destination(folder, library, lambda *_: None, output), lambda *_: None)


def store_all(intake: Intake) -> None:
    for index in range(THING.chunk_count):
        start = THING.chunk_offset(index)
        payload = memoryview(DATA)[start : start + THING.chunk_size(index)]
        assert intake.store(index, payload) is None


def test_what_arrives_is_served_before_it_is_whole(tmp_path: Path) -> None:
    library = Library(lambda: None)
    intake = intake_into(tmp_path, library)
    assert intake.open(OPENING) == steps.StagingOpened(0)
    first = memoryview(DATA)[: THING.chunk_size(0)]
    intake.store(0, first)
    partial = library.find(OPENING.id)
    assert isinstance(partial, PartialFile)
    assert (partial.have, partial.read(0)) == (1, bytes(first))
    assert not (tmp_path / "b.bin").exists()
    intake.close()
    assert library.find(OPENING.id) is None


def test_the_whole_thing_gets_its_name_and_goes_on_being_served(tmp_path: Path) -> None:
    library = Library(lambda: None)
    intake = intake_into(tmp_path, library)
    intake.open(OPENING)
    store_all(intake)
    assert intake.publish() == steps.Published(str(tmp_path / "b.bin"))
    intake.close()
    assert (tmp_path / "b.bin").read_bytes() == DATA
    assert isinstance(library.find("b.bin"), WholeFile)


def test_goes_on_where_it_was_closed(tmp_path: Path) -> None:
    library = Library(lambda: None)
    first = intake_into(tmp_path, library)
    first.open(OPENING)
    store_all(first)
    first.close()
    again = intake_into(tmp_path, library)
    assert again.open(OPENING) == steps.StagingOpened((1 << THING.chunk_count) - 1)
    again.close()


def test_refuses_what_is_being_fetched_already(tmp_path: Path) -> None:  # fault 100
    library = Library(lambda: None)
    first, second = intake_into(tmp_path, library), intake_into(tmp_path, library)
    first.open(OPENING)
    with pytest.raises(OperatorError, match="is being fetched already"):
        second.open(OPENING)
    second.close()
    first.close()


def test_a_disk_that_refuses_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / ".shoal").write_text("no directory")
    intake = intake_into(tmp_path, Library(lambda: None))
    outcome = intake.open(OPENING)
    assert isinstance(outcome, steps.DiskFailed)
    assert outcome.reason.startswith("cannot write b.bin in ")
    intake.close()
