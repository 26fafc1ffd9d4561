"""Cuts the power at every change that a scenario makes, and starts a node on what may be left.

Whatever was lost, each name has what was there before or what was to come, the user's own files are
as they were, and the node starts and vouches for no bytes that are not there. Once a command has
ended, what it did is there to stay.
"""

from collections.abc import Iterator
from pathlib import Path

from shoal.node.folder.rules import FORGOTTEN as WITHHELD
from shoal.protocol.errors import OperatorError

from tests.disk_faults.failing import differences, is_right
from tests.disk_faults.log import recorded
from tests.disk_faults.losses import Checked, Effort, Recording, checked
from tests.disk_faults.model import Disk, pool_of
from tests.disk_faults.recovery import Node, refusal, started, wrong_bytes
from tests.disk_faults.scenarios import (
    ELSEWHERE,
    LINKED,
    MINE,
    OUTPUT,
    OWN,
    Scenario,
    World,
    folder_on,
    things_on,
)
from tests.unit.node.sample_trees import Items


def after_each_loss(world: World, scenario: Scenario, effort: Effort) -> Checked:
    """Check what may be there after a loss of power at every `effort.step`-th change."""
    made = recording(world, scenario)

    def wrong_in(disk: Path, is_over: bool) -> Iterator[str]:  # noqa: FBT001 (as losses.WrongIn)
        return _wrong_in(disk, scenario, is_over=is_over)

    with pool_of(world.disk, made.disk.nodes) as pool:
        return checked(scenario.name, made, effort, pool, wrong_in)


def recording(world: World, scenario: Scenario) -> Recording:
    """Run a scenario; return what it did, with what a user has just written before it."""
    world.reset(scenario)
    log = world.disk.with_name("log")
    disk = Disk.of(world.disk)
    written = world.write_unsynced(scenario)
    done = world.carry_out(scenario, log=log)
    assert done.ended.exit_code == 0, done
    changes = [*written, *recorded(log)]
    told = len(written) + len(recorded(log, done.told_bytes or None))
    return Recording.of(disk, changes, told)


def _wrong_in(disk: Path, scenario: Scenario, *, is_over: bool) -> Iterator[str]:
    """Yield what is wrong with what is there, and with what a node makes of it."""
    lead_here(disk)
    yield from _wrong_names(things_on(disk), scenario, is_over=is_over)
    try:
        with started(folder_on(disk)) as node:
            yield from _wrong_claims(node, scenario, is_over=is_over)
    except OperatorError as error:
        yield refusal(error)


def lead_here(disk: Path) -> None:
    """Have links lead to what is on this disk, and not to the one that lost power."""
    for path in folder_on(disk).iterdir() if folder_on(disk).exists() else ():
        for place in (OUTPUT, ELSEWHERE):
            if path.is_symlink() and path.readlink().parent.name == place:
                target = disk / place / path.readlink().name
                path.unlink()
                path.symlink_to(target)


def _wrong_names(now: Items, scenario: Scenario, *, is_over: bool) -> Iterator[str]:
    before, after = (
        _without(items, scenario.unsynced) for items in (scenario.before, scenario.after_items)
    )
    now = _without(now, scenario.unsynced)
    if not is_right(now, before, after, in_place=scenario.in_place):
        yield differences(now, before, after)
    if is_over and now != after and not scenario.gone:
        yield f"it was done, and {differences(now, after)}"


def _wrong_claims(node: Node, scenario: Scenario, *, is_over: bool) -> Iterator[str]:
    names = {thing.name for thing in node.inventory.wholes()}
    for thing in node.inventory.wholes():
        if wrong := wrong_bytes(thing):
            yield f"it vouches for chunks {wrong} of {thing.name}, which are not there"
    for name in ({*MINE, *OWN, *LINKED} & {*scenario.before}) - {*scenario.gone} - names:
        yield f"it does not share {name}"
    if is_over and scenario.forgets:
        forgotten = scenario.command[1]
        if forgotten in names:
            yield "what was forgotten is shared again"
        is_there = (node.folder / forgotten).exists()
        if is_there and node.rules.of(forgotten).withheld != WITHHELD:
            yield "what was forgotten is not withheld"


def _without(items: Items, unsynced: Items) -> Items:
    tops = {path.partition("/")[0] for path in unsynced}
    return {path: item for path, item in items.items() if path.partition("/")[0] not in tops}
