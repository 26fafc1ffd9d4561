"""A real fetch among real strangers: the right bytes, or a clean end."""

import os
import threading
import time
from pathlib import Path
from random import Random
from typing import TypeAlias

import pytest
import zmq
from shoal.node.fetching.versions import Meant
from shoal.node.network.fetcher import Fetcher, Surroundings
from shoal.node.network.stop import Stop
from shoal.protocol.control import Fetched, Working
from shoal.protocol.errors import (
    DiskError,
    IntegrityError,
    NobodyAliveError,
    OperatorError,
    StoppedError,
    TimedOutError,
    TrackerError,
)
from shoal.protocol.trackers import Trackers

from tests.unit.node.hostile import HONEST, LIARS, NAME, NUISANCES, AnyHolder, Way, swarm
from tests.unit.node.staging.taking import Taking
from tests.unit.node.things import id_of, plain
from tests.unit.wire.places import eventually, free_address

Context: TypeAlias = "zmq.Context[zmq.Socket[bytes]]"
DATA = Random(7).randbytes(40_000)
SOON_S = 15.0


class Fetch:
    """One fetch into a folder."""

    def __init__(
        self, context: Context, folder: Path, tracker: str, output: Path | None = None
    ) -> None:
        self.folder = folder
        self.taking = Taking(folder, output=output)
        self.inventory = self.taking.inventory
        self.progress: list[Working] = []
        self.stop = Stop(lambda kind: kind("stopped"))
        self.with_ = Surroundings(context, "me", Trackers([tracker]))

    def run(self, meant: Meant = Meant(NAME, NAME)) -> Fetched:  # noqa: B008 (it is frozen)
        intake = self.taking.intake()
        try:
            return Fetcher(meant, intake, self.with_, self.stop, self.progress.append).run()
        finally:
            self.stop.close()

    def fails(self) -> OperatorError:
        with pytest.raises(OperatorError) as failed:
            self.run()
        assert not (self.folder / NAME).exists()
        assert (self.inventory.names(), self.inventory.fetched()) == ([], [])
        return failed.value


def fetched_among(context: Context, folder: Path, ways: list[Way]) -> Fetched:
    began = time.monotonic()
    with swarm(context, DATA, ways) as (tracker, _):
        done = Fetch(context, folder, tracker.address).run()
    assert (folder / NAME).read_bytes() == DATA
    assert time.monotonic() - began < SOON_S
    return done


def test_fetches_from_all_at_once(context: Context, tmp_path: Path) -> None:
    tries = 0
    while True:  # On a busy machine one may send it all before others are connected.
        tries += 1
        folder = tmp_path / str(tries)
        folder.mkdir()
        with swarm(context, DATA, [HONEST] * 3) as (tracker, _):
            fetch = Fetch(context, folder, tracker.address)
            done = fetch.run()
        if len(done.holders) == 3 or tries == 3:
            break
    assert (folder / NAME).read_bytes() == DATA
    assert (done.name, done.id, done.size_bytes) == (NAME, id_of(plain(DATA)), len(DATA))
    assert (done.fetched_bytes, done.reused_bytes, done.wrong_chunks) == (len(DATA), 0, 0)
    assert set(done.holders) == {"h00", "h01", "h02"}
    assert sum(done.holders.values()) == len(DATA)
    assert done.path == str(folder / NAME)
    assert fetch.inventory.names() == [NAME]
    thing = fetch.inventory.whole(NAME)
    assert thing is not None
    assert fetch.taking.cache.manifest_of(NAME, thing.signature) == thing.data
    assert fetch.inventory.fetched() == []
    assert fetch.progress[-1].have_bytes == len(DATA)
    assert list((folder / ".shoal/partial").iterdir()) == []


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257])
def test_fetches_files_of_every_size(context: Context, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    with swarm(context, data, [HONEST] * 2) as (tracker, _):
        done = Fetch(context, tmp_path, tracker.address).run()
    assert (tmp_path / NAME).read_bytes() == data
    assert done.fetched_bytes == size


@pytest.mark.parametrize("lie", LIARS)
def test_a_liar_beside_an_honest_holder_harms_nobody(
    context: Context, tmp_path: Path, lie: str
) -> None:
    done = fetched_among(context, tmp_path, [LIARS[lie], HONEST])
    assert done.holders == {"h01": len(DATA)}
    assert done.wrong_chunks <= 3


@pytest.mark.parametrize("nuisance", NUISANCES)
def test_a_nuisance_beside_an_honest_holder_harms_nobody(
    context: Context, tmp_path: Path, nuisance: str
) -> None:
    done = fetched_among(context, tmp_path, [NUISANCES[nuisance], HONEST])
    assert done.wrong_chunks == 0


def test_nine_liars_and_one_honest_holder(context: Context, tmp_path: Path) -> None:
    ways = list(LIARS.values())[:9]
    done = fetched_among(context, tmp_path, [*ways, HONEST])
    assert done.holders == {"h09": len(DATA)}
    assert done.wrong_chunks <= 27


@pytest.mark.parametrize("lie", LIARS)
def test_liars_alone_are_found_out(context: Context, tmp_path: Path, lie: str) -> None:
    with swarm(context, DATA, [LIARS[lie]] * 2) as (tracker, holders):
        began = time.monotonic()
        failed = Fetch(context, tmp_path, tracker.address).fails()
        assert time.monotonic() - began < 5
        assert isinstance(failed, IntegrityError)
        assert "h00 sent " in str(failed)
        assert "h01 sent " in str(failed)
        assert max(holder.requests for holder in holders) <= 20


def test_another_version_s_chunks_are_refused(context: Context, tmp_path: Path) -> None:
    with swarm(context, DATA, [HONEST] * 2) as (tracker, holders):
        holders[0].data = bytes(len(DATA))
        done = Fetch(context, tmp_path, tracker.address).run()
    assert (tmp_path / NAME).read_bytes() == DATA
    assert set(done.holders) == {"h01"}


def test_a_holder_that_dies_is_replaced(context: Context, tmp_path: Path) -> None:
    with swarm(context, DATA, [NUISANCES["silent later"], NUISANCES["slow"]]) as (tracker, holders):
        fetch = Fetch(context, tmp_path, tracker.address)
        thread = threading.Thread(target=fetch.run)
        thread.start()
        eventually(lambda: holders[0].requests)
        holders[0].stop()
        thread.join(SOON_S)
    assert (tmp_path / NAME).read_bytes() == DATA


def test_goes_on_where_it_was_interrupted(context: Context, tmp_path: Path) -> None:
    with swarm(context, DATA, [NUISANCES["slow"]]) as (tracker, holders):
        fetch = Fetch(context, tmp_path, tracker.address)
        failures: list[OperatorError] = []
        thread = threading.Thread(target=lambda: failures.append(fetch.fails()))
        thread.start()
        eventually(lambda: fetch.progress and fetch.progress[-1].have_bytes > 0)
        fetch.stop.set(StoppedError)
        thread.join(SOON_S)
        assert [type(failed) for failed in failures] == [StoppedError]
        holders[0].way = HONEST
        done = Fetch(context, tmp_path, tracker.address).run()
    assert done.reused_bytes > 0
    assert done.reused_bytes + done.fetched_bytes == len(DATA)
    assert (tmp_path / NAME).read_bytes() == DATA


def test_a_fetch_that_is_out_of_time_says_so(context: Context, tmp_path: Path) -> None:
    with swarm(context, DATA, [NUISANCES["silent"]]) as (tracker, holders):
        fetch = Fetch(context, tmp_path, tracker.address)

        def stop() -> None:
            eventually(lambda: holders[0].requests)
            fetch.stop.set(TimedOutError)

        stopper = threading.Thread(target=stop)
        stopper.start()
        failed = fetch.fails()
        stopper.join()
    assert isinstance(failed, TimedOutError)
    assert "stopped" in str(failed)


def test_a_tracker_that_is_not_there(context: Context, tmp_path: Path) -> None:
    failed = Fetch(context, tmp_path, free_address()).fails()
    assert isinstance(failed, TrackerError)


def test_holders_that_are_not_there(context: Context, tmp_path: Path) -> None:
    with swarm(context, DATA, [HONEST]) as (tracker, holders):
        holders[0].stop()
        failed = Fetch(context, tmp_path, tracker.address).fails()
    assert isinstance(failed, NobodyAliveError)
    assert "h00 cannot be reached" in str(failed)


def test_a_link_in_the_way_is_the_disk_s_error(context: Context, tmp_path: Path) -> None:
    (tmp_path / NAME).symlink_to(tmp_path / "elsewhere")
    with swarm(context, DATA, [HONEST]) as (tracker, _):
        failed = Fetch(context, tmp_path, tracker.address).fails()
    assert isinstance(failed, DiskError)


def test_a_folder_that_cannot_be_written_to(context: Context, tmp_path: Path) -> None:
    (tmp_path / ".shoal").write_bytes(b"in the way")
    with swarm(context, DATA, [HONEST]) as (tracker, _):
        failed = Fetch(context, tmp_path, tracker.address).fails()
    assert isinstance(failed, DiskError)


def test_fetches_to_another_place(context: Context, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with swarm(context, DATA, [HONEST]) as (tracker, _):
        target = tmp_path / "out" / "b.bin"
        fetch = Fetch(context, tmp_path, tracker.address, target)
        assert fetch.run().path == str(target)
    assert target.read_bytes() == DATA
    assert (fetch.inventory.names(), fetch.inventory.fetched()) == ([], [])


def test_what_is_fetched_already_is_not_fetched_again_beside_it(
    context: Context, tmp_path: Path
) -> None:
    with swarm(context, DATA, [NUISANCES["slow"]]) as (tracker, holders):
        first = Fetch(context, tmp_path, tracker.address)
        thread = threading.Thread(target=first.run)
        thread.start()
        eventually(first.inventory.fetched)
        second = Fetch(context, tmp_path, tracker.address)
        second.taking = first.taking
        with pytest.raises(OperatorError, match="is being fetched already"):
            second.run(Meant(id_of(plain(DATA)), None, id_of(plain(DATA))))
        assert len(first.inventory.fetched()) == 1
        holders[0].way = HONEST
        thread.join(SOON_S)
    assert (tmp_path / NAME).read_bytes() == DATA


def test_the_honest_holder_is_what_it_says(context: Context) -> None:
    """Else the tests above would prove nothing."""
    holder = AnyHolder(context, DATA)
    assert holder.thing.chunk_count > 4
    holder.stop()


ROTTEN = LIARS["wrong bytes"]


def test_a_holder_is_told_once_of_each_wrong_chunk(context: Context, tmp_path: Path) -> None:
    with swarm(context, DATA, [ROTTEN, HONEST]) as (tracker, holders):
        Fetch(context, tmp_path, tracker.address).run()
        assert 1 <= len(holders[0].complaints) <= 3
        assert len(set(holders[0].complaints)) == len(holders[0].complaints)
        assert holders[1].complaints == []


@pytest.mark.parametrize("notes", [True, False])
def test_a_fetch_that_fails_tells_before_it_goes(
    context: Context, tmp_path: Path, *, notes: bool
) -> None:
    with swarm(context, DATA, [ROTTEN]) as (tracker, (holder,)):
        holder.notes = notes
        failed = Fetch(context, tmp_path, tracker.address).fails()
        assert isinstance(failed, IntegrityError)
        assert "h00 sent wrong bytes of chunk " in str(failed)
        eventually(lambda: len(holder.complaints) == 1)
