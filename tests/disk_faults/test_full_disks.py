"""Disks that are really full, page by page, and one that loses what it had no room for."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.disk_faults.failing import after_another_try, after_the_fault
from tests.disk_faults.processes import NO_FAULT, why_not
from tests.disk_faults.scenarios import BY_NAME, World, world_in
from tests.integration.cluster import cluster_in, fails, noise
from tests.unit.node.failing_disk import failing_disk

PAGE_BYTES = 4096
STEP = 7  # Of the 40 to 60 pages that a command needs.

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())


class SmallDisk:
    """A RAM disk with a world on it; its size changes."""

    def __init__(self, place: Path, world: World) -> None:
        self._place = place
        self.world = world

    def leave_room(self, pages: int | None) -> None:
        """Leave so many free pages; None: many."""
        if pages is None:
            size_bytes = 64 << 20
        else:
            status = os.statvfs(self._place)
            size_bytes = (status.f_blocks - status.f_bfree + pages) * PAGE_BYTES
        _mount("-o", f"remount,size={size_bytes}", str(self._place))


def _mount(*options: str) -> None:
    subprocess.run(["mount", *options], check=True, capture_output=True, text=True)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    place = tmp_path_factory.mktemp("small")
    try:
        _mount("-t", "tmpfs", "-o", "size=64m", "none", str(place))
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no file system can be mounted here: {error.stderr.strip()}")
    try:
        with world_in(tmp_path_factory.mktemp("world"), place) as world:
            yield SmallDisk(place, world)
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.parametrize("name", ["fetch-file", "second-in-place", "share-tree", "delete"])
def test_however_little_room_there_is_what_is_there_is_whole(disk: SmallDisk, name: str) -> None:
    scenario, world, codes = BY_NAME[name], disk.world, set()
    for pages in range(0, 400, STEP):
        world.reset(scenario)
        disk.leave_room(pages)
        done = world.carry_out(scenario)
        assert list(after_the_fault(world, scenario, NO_FAULT, done)) == [], pages
        disk.leave_room(None)
        assert list(after_another_try(world, scenario)) == [], pages
        codes.add(done.ended.exit_code)
        if done.ended.exit_code == 0 and "warning" not in done.ended.stderr:
            break
    assert codes == ({0} if name == "delete" else {0, 8})


def test_what_a_disk_has_lost_is_fetched_again_though_memory_still_has_it(tmp_path: Path) -> None:
    """It is thin: it says that it has room, and the kernel writes to it later, in vain."""
    with failing_disk(tmp_path) as disk, cluster_in(tmp_path / "cluster") as cluster:
        cluster.folder("n2").rmdir()
        cluster.folder("n2").symlink_to(disk.path)
        data = noise(disk.more_mebibytes << 20)
        cluster.put("big.bin", data, "n1")
        cluster.start("n1")
        fails(cluster.fetch("big.bin", node="n2"), 8, "cannot write big.bin")
        disk.mend()
        done = cluster.fetch("big.bin", node="n2")
        assert done.exit_code == 0, done
        assert 0 < done.json["fetched_bytes"] < len(data)
        with (disk.path / "big.bin").open("rb") as file:
            with contextlib.suppress(OSError):
                os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            assert file.read() == data
