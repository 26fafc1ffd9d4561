"""Runs a scenario again and again, each time with another of its calls failing, until none does.

After each, the folder has what was there before or what was to come, and the next try completes it.
"""

import errno
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from tests.disk_faults.processes import Ended, Fault, How
from tests.disk_faults.scenarios import FORGOTTEN, Done, Scenario, World, things_on
from tests.integration.cluster import SIGNS_OF_A_BUG
from tests.unit.node.sample_trees import FOLDER, Items

USAGE, NOT_FOUND, TIMED_OUT, DISK = 2, 3, 7, 8  # Exit codes.
KILLED = -9
MOST_CALLS = 2000

MODES: dict[str, tuple[int, How]] = {
    "EIO": (errno.EIO, How.ONCE),
    "ENOSPC": (errno.ENOSPC, How.ONCE),
    "EDQUOT": (errno.EDQUOT, How.ONCE),
    "EIO from then on": (errno.EIO, How.ALWAYS),
    "ENOSPC from then on": (errno.ENOSPC, How.ALWAYS),
    "EROFS from then on": (errno.EROFS, How.ALWAYS),
    "a short write": (0, How.SHORT),
    "a kill": (0, How.KILL),
}


class Trouble(NamedTuple):
    """What is wrong after a call failed."""

    scenario: str
    mode: str
    at: int
    failed: str
    text: str

    def __str__(self) -> str:
        where = f"{self.scenario}, {self.mode} at call {self.at} ({self.failed})"
        return f"{where}: {self.text}"


def faults(mode: str, first: int = 1, step: int = 1) -> Iterator[Fault]:
    """Yield a fault of that kind at every `step`-th call."""
    number, how = MODES[mode]
    for at in range(first, MOST_CALLS, step):
        yield Fault(at, number, how)


def failing(
    world: World, scenario: Scenario, mode: str, chosen: Iterator[Fault], calls: Counter[str]
) -> list[Trouble]:
    """Run the scenario with each of these faults, up to the first that does not come about.

    Counts in `calls` what failed.
    """
    troubles = []
    for fault in chosen:
        world.reset(scenario)
        done = world.carry_out(scenario, fault)
        if not done.failed:
            break
        calls[done.failed.split()[0]] += 1
        found = [
            *after_the_fault(world, scenario, fault, done),
            *after_another_try(world, scenario),
            *("what is shared by link was changed" for _ in range(world.sources() != world.own)),
        ]
        troubles += [Trouble(scenario.name, mode, fault.at, done.failed, text) for text in found]
    return troubles


def after_the_fault(world: World, scenario: Scenario, fault: Fault, done: Done) -> Iterator[str]:
    """Yield what is wrong after the command has ended."""
    ended, node = done.ended, done.node
    if fault.how is How.KILL:
        killed = node or ended
        if killed.exit_code != KILLED:
            yield f"exit code {killed.exit_code}: {killed.stderr}"
    else:
        if node is not None:
            yield from what_it_said_is_wrong(node)
        is_lost = node is not None and node.exit_code == DISK and ended.exit_code == TIMED_OUT
        if not is_lost and node is not ended:  # If it is, the node has said why it stopped.
            yield from what_it_said_is_wrong(ended)
    now, before, after = things_on(world.disk), scenario.before, scenario.after_items
    if not is_right(now, before, after, in_place=scenario.in_place):
        yield f"{differences(now, before, after)}"
    if ended.exit_code == 0 and now != after:
        yield f"exit code 0, and {differences(now, after)}"
    if ended.exit_code == 0 and scenario.forgets and not scenario.gone and not is_forgotten(world):
        yield "exit code 0, and it is not forgotten"


def what_it_said_is_wrong(ended: Ended) -> Iterator[str]:
    """Yield what a user should not see, of a process on a disk that failed."""
    if ended.exit_code not in {0, DISK}:
        yield f"exit code {ended.exit_code}: {ended.stderr}"
    if SIGNS_OF_A_BUG.search(ended.stderr):
        yield f"a bug: {ended.stderr}"
    if len(ended.errors) != (ended.exit_code != 0):
        yield f"{len(ended.errors)} errors with exit code {ended.exit_code}: {ended.stderr}"
    yield from (f"no remedy: {line}" for line in ended.errors if ";" not in line)


def after_another_try(world: World, scenario: Scenario) -> Iterator[str]:
    """Yield what is wrong after the command is run again, on a disk that works."""
    was_done = things_on(world.disk) == scenario.after_items
    again = world.carry_out(scenario).ended
    may_refuse = was_done and (scenario.gone or scenario.name == "output")
    if again.exit_code != 0 and not (may_refuse and again.exit_code in {USAGE, NOT_FOUND}):
        yield f"the next try ends with {again.exit_code}: {again.stderr}"
    if SIGNS_OF_A_BUG.search(again.stderr):
        yield f"a bug in the next try: {again.stderr}"
    now = things_on(world.disk)
    if now != scenario.after_items:
        yield f"after the next try {differences(now, scenario.after_items)}"
    if scenario.forgets and not scenario.gone and not is_forgotten(world):
        yield "it is not forgotten after the next try"
    left = [*(world.folder / ".shoal").glob("[di]*-*")]  # deleted-…, incoming-…
    if left:
        yield f"{left} is left"


def is_right(now: Items, before: Items, after: Items, *, in_place: bool) -> bool:
    """Say whether there is the old or the new: all of it or, in place, each file."""
    if not in_place:
        return now in (before, after)
    files = {path: item for path, item in now.items() if item != FOLDER}
    are_whole = all(item in (before.get(path), after.get(path)) for path, item in files.items())
    return are_whole and all(path in now for path in before.keys() & after.keys())


def is_forgotten(world: World) -> bool:
    rules = world.folder / ".shoal/rules.json"
    return (
        rules.exists()
        and re.search(f'"{FORGOTTEN}".*forgotten', rules.read_text(), re.DOTALL) is not None
    )


def differences(now: Items, *wanted: Items) -> str:
    """Say what is there and in none of those, and what is missing from the first."""
    wrong = [path for path, item in now.items() if all(one.get(path) != item for one in wanted)]
    missing = [path for path in wanted[0] if path not in now]
    return f"{wrong} is wrong, {missing} is missing"
