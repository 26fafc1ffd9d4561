"""Goes through what may be on a disk after each loss of power. What must be there, others know."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.disk_faults.log import Change
from tests.disk_faults.model import Disk, Fate, Pool, after_power_loss, fates, traced

PASSING = "-shm"  # SQLite's, which is made anew whenever a database is opened.

WrongIn = Callable[[Path, bool], Iterable[str]]  # At which place, after it was reported as done.


class Recording(NamedTuple):
    """What a command did to a disk, and what was there before."""

    disk: Disk
    changes: list[Change]
    told: int  # How many of them were made when it said that it was done.

    @classmethod
    def of(cls, disk: Disk, changes: Sequence[Change], told: int) -> "Recording":
        """Leave out what does not last."""
        passing = {one.inode for one in changes if one.name.endswith(PASSING)} - {0}

        def lasting(some: Sequence[Change]) -> list[Change]:
            kept = (one for one in some if not one.name.endswith(PASSING))
            return [one for one in kept if one.inode not in passing]

        count = len(traced(disk, lasting(changes[:told])))
        return cls(disk, traced(disk, lasting(changes)), count)


class Effort(NamedTuple):
    """How much of all that may happen is looked at."""

    seed: int = 0
    step: int = 1  # Every so many points at which the power may be lost.
    most: int = 40  # States at each.
    subsets: int = 10  # Random ones among them.


class Checked(NamedTuple):
    """The result for one scenario."""

    points: int
    states: int
    troubles: list[str]


def checked(
    name: str, recording: Recording, effort: Effort, pool: Pool, wrong_in: WrongIn
) -> Checked:
    """Make each state that may be there real, and ask what is wrong in it."""
    disk, changes, told = recording
    rng = random.Random(f"{name} {effort.seed}")
    strided = range(effort.seed % effort.step, len(changes), effort.step)
    points = sorted({*strided, told, len(changes)})
    seen: set[tuple[bytes, bool]] = set()
    troubles: list[str] = []
    for count in points:
        made, is_over = changes[:count], count >= told
        for became in _chosen(made, rng, effort):
            state = after_power_loss(disk, made, became)
            key = state.digest(), is_over
            if key not in seen:
                seen.add(key)
                with pool.made(state) as place:
                    found = list(wrong_in(place, is_over))
                where = f"{name}, after {count} of {len(changes)} changes"
                troubles += [f"{where}, {_shown(made, became)}: {text}" for text in found]
    return Checked(len(points), len(seen), troubles)


def _chosen(
    changes: Sequence[Change], rng: random.Random, effort: Effort
) -> Iterator[dict[int, Fate]]:
    """Yield all that may become of them; if that is too much, some of it."""
    first, second, *others = fates(changes, rng, effort.subsets)
    yield first
    yield second
    yield from rng.sample(others, min(len(others), effort.most))


def _shown(changes: Sequence[Change], became: dict[int, Fate]) -> str:
    shown = [f"{changes[number].op.name} {number} {fate.name}" for number, fate in became.items()]
    return f"[{', '.join(shown[:12])}]"
