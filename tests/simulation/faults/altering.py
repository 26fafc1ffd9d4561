"""What users do to things outside of the folders while these are shared from there."""

import contextlib
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tests.simulation.faults import content
from tests.simulation.faults.content import look, put, stamp
from tests.simulation.faults.linking import share_from
from tests.simulation.faults.outside import Place
from tests.simulation.faults.threads import Thread
from tests.unit.node.disks import rot

if TYPE_CHECKING:
    from tests.simulation.faults.story import Story


UNREADABLE_S = 8.0
Alter = Callable[[Path, random.Random], None]


def _do(work: Callable[[], None]) -> None:
    Thread(target=work, name="user").start()


def _place(story: "Story", *, is_users: bool | None = None) -> Place | None:
    places = [
        one
        for one in story.cluster.outside.places
        if is_users in {None, one.is_users} and one.path.exists()
    ]
    return story.cluster.places_rng.choice(places) if places else None


def _alter(story: "Story", alter: Alter) -> None:
    """Have a user change a file of what is outside, or all of it."""
    place = _place(story)
    files = [] if place is None else _files(place.path)
    if place is not None and files:
        inside = os.path.relpath(story.cluster.places_rng.choice(files), place.path)
        change = Change(story, place, inside, alter, story.cluster.places_rng.getrandbits(64))
        _do(change.make)


class Change:
    """A change of something outside, tried on a copy first: what comes of it must be known."""

    def __init__(self, story: "Story", place: Place, inside: str, alter: Alter, seed: int) -> None:
        self._cluster = story.cluster
        self._user = story.users[place.host]
        self._place = place
        self._inside = inside
        self._alter = alter
        self._seed = seed

    def make(self) -> None:
        place, cluster, was = self._place, self._cluster, look(self._place.path)
        copy = self._user.new_place(place.name)
        shutil.copytree(place.path, copy, symlinks=True) if place.path.is_dir() else shutil.copy2(
            place.path, copy
        )
        self._alter(copy / self._inside, random.Random(self._seed))
        found = look(copy)
        assert found is not None
        cluster.archive.add(content.described(place.name, copy, found))
        if look(place.path) != was or place not in cluster.outside.places:
            return  # Somebody else was quicker.
        file = place.path / self._inside
        before = file.stat()
        self._alter(file, random.Random(self._seed))
        _wait_for_the_clock(file, before)
        cluster.archive.note_own(place.host, place.name, found)
        self._user._touch(place.name)
        cluster.outside.touched(place)
        cluster.trace.note(f"{place.host}: {file} is changed")


def _files(path: Path) -> list[Path]:
    inside = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [one for one in inside if one.is_file() and not one.is_symlink()]


def _wait_for_the_clock(file: Path, before: os.stat_result) -> None:
    """Have a change show: the kernel counts ctimes in steps of some real milliseconds."""
    with contextlib.suppress(FileNotFoundError):
        while (now := file.stat()).st_ctime_ns == before.st_ctime_ns:
            time_ns = now.st_atime_ns, now.st_mtime_ns
            os.utime(file, ns=time_ns)


def change_outside(story: "Story") -> None:
    _alter(story, _rewrite)


def _rewrite(file: Path, rng: random.Random) -> None:
    file.write_bytes(rng.randbytes(rng.choice((1, 900, 60_000))))
    stamp(file)


def change_outside_and_set_the_time_back(story: "Story") -> None:
    """Do what `rsync -t --inplace` and rot do: only the ctime tells."""
    _alter(story, _rewrite_secretly)


def _rewrite_secretly(file: Path, rng: random.Random) -> None:
    size_bytes = file.stat().st_size
    if size_bytes:
        rot(file, rng.randrange(size_bytes))


def replace_outside(story: "Story") -> None:
    def replace(file: Path, rng: random.Random) -> None:
        aside = file.with_name("aside")
        aside.write_bytes(rng.randbytes(rng.choice((0, 700, 90_000))))
        stamp(aside)
        aside.rename(file)

    _alter(story, replace)


def truncate_outside(story: "Story") -> None:
    def truncate(file: Path, _: random.Random) -> None:
        os.truncate(file, file.stat().st_size // 2)
        stamp(file)

    _alter(story, truncate)


def touch_outside(story: "Story") -> None:
    """Change the time, or the ctime alone, as a backup by hard links does; and no bytes."""

    def touch(file: Path, rng: random.Random) -> None:
        if rng.random() < 0.5:
            stamp(file)
        else:
            file.with_name("backup").hardlink_to(file)
            file.with_name("backup").unlink()

    _alter(story, touch)


def add_outside(story: "Story") -> None:
    def add(file: Path, rng: random.Random) -> None:
        if "tree" in file.parent.name:
            put(file.parent / f"more{rng.randrange(9)}", {"": ("f", rng.randbytes(200))})

    _alter(story, add)


def delete_outside(story: "Story") -> None:
    place = _place(story)
    if place is not None:
        _delete(place.path)
        story.users[place.host]._touch(place.name)
        story.cluster.outside.touched(place)
        story.cluster.trace.note(f"{place.host}: {place.path} is deleted")


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def move_outside(story: "Story") -> None:
    """Have a linked original lie elsewhere, and shared from there."""
    place = _place(story, is_users=True)
    if place is None:
        return
    user, cluster = story.users[place.host], story.cluster
    path = user.new_place(place.name)
    place.path.rename(path)
    user._touch(place.name)
    cluster.outside.touched(place)
    cluster.trace.note(f"{place.host}: {place.path} is moved to {path}")
    moved = cluster.outside.put(place.host, place.name, path)
    _do(lambda: share_from(user, moved))


def make_unreadable(story: "Story") -> None:
    """Have nobody read something for a while."""
    place = _place(story)
    if place is not None:
        disk, loop = story.cluster.nodes[place.host].disk, story.cluster.loop
        until_s = story.cluster.places_rng.uniform(0.5, UNREADABLE_S)
        disk.unreadable.append(str(place.path))
        story.cluster.trace.note(f"{place.host}: {place.path} cannot be read")
        loop.at(loop.now + until_s, disk.unreadable.remove, str(place.path))


def forget_outside(story: "Story") -> None:
    """Forget something that is outside, and perhaps the link to it."""
    place = _place(story)
    if place is not None:
        user = story.users[place.host]
        user.forget(place.name, delete=story.cluster.places_rng.random() < 0.7)


ACTS = (
    *(change_outside, change_outside_and_set_the_time_back, replace_outside, truncate_outside),
    *(touch_outside, add_outside, delete_outside, move_outside, make_unreadable),
    *(forget_outside, forget_outside),
)
