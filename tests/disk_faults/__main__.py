"""The command: says of each scenario how many calls failed, and how many states were looked at."""

import argparse
import collections
import sys
import tempfile
import time
from pathlib import Path

from tests.disk_faults.failing import MODES, Trouble, failing, faults
from tests.disk_faults.losses import Checked, Effort
from tests.disk_faults.power import after_each_loss
from tests.disk_faults.processes import warm_in, why_not
from tests.disk_faults.scenarios import SCENARIOS, Scenario, World, world_in
from tests.disk_faults.tracker import after_each_loss_of_the_tracker, failing_tracker

TRACKER = "tracker"
MEMORY = "/dev/shm"  # noqa: S108 (a scratch folder there; thousands of runs would wear out a disk)


def main() -> int:
    options = _options()
    words = options.scenario
    named = [*(one.name for one in SCENARIOS), TRACKER]
    names = [name for name in named if not words or any(word in name for word in words)]
    if options.list or not names:
        print(*names, sep="\n")
        return 0 if names else 2
    if reason := why_not():
        print(f"error: {reason}; run it where there is one", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        chosen = [one for one in SCENARIOS if one.name in names]
        count = _try_all(Path(folder) / "world", chosen, options) if chosen else 0
        if TRACKER in names:
            count += _try_tracker(Path(folder), options)
    print(f"{count} troubles")
    return 1 if count else 0


def _try_all(folder: Path, chosen: list[Scenario], options: argparse.Namespace) -> int:
    count = 0
    with world_in(folder) as world:
        for scenario in chosen:
            if options.only != "power" and not scenario.unsynced:
                count += sum(_fail(world, scenario, mode, options.step) for mode in options.mode)
            if options.only != "calls":
                count += _cut(world, scenario, _effort(options))
    return count


def _effort(options: argparse.Namespace) -> Effort:
    return Effort(options.seed, options.step, options.states)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.disk_faults", description=__doc__)
    parser.add_argument("scenario", nargs="*", help="only those with one of these in their names")
    parser.add_argument("--list", action="store_true", help="list the scenarios and exit")
    parser.add_argument("--only", choices=("calls", "power"), help="half of the work")
    parser.add_argument("--mode", nargs="*", choices=MODES, default=list(MODES), metavar="MODE")
    parser.add_argument("--step", type=int, default=1, help="only every so many calls")
    parser.add_argument("--states", type=int, default=40, help="the most after each change")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def _fail(world: World, scenario: Scenario, mode: str, step: int) -> int:
    began, calls = time.monotonic(), collections.Counter[str]()
    troubles = failing(world, scenario, mode, faults(mode, 1, step), calls)
    return _told_of_calls(f"{scenario.name}, {mode}", calls, troubles, began)


def _told_of_calls(
    what: str, calls: collections.Counter[str], troubles: list[Trouble], began: float
) -> int:
    print(f"{what}: {calls.total()} calls, {time.monotonic() - began:.0f} s", flush=True)
    print(*troubles, sep="\n", end="\n" if troubles else "", flush=True)
    return len(troubles)


def _cut(world: World, scenario: Scenario, effort: Effort) -> int:
    began = time.monotonic()
    return _told(scenario.name, after_each_loss(world, scenario, effort), began)


def _try_tracker(folder: Path, options: argparse.Namespace) -> int:
    count = 0
    with warm_in(folder / "warm") as warm:
        for mode in options.mode if options.only != "power" else ():
            began, calls = time.monotonic(), collections.Counter[str]()
            some, place = faults(mode, 1, options.step), folder / f"failing {mode}"
            troubles = failing_tracker(place, warm, mode, some, calls)
            count += _told_of_calls(f"{TRACKER}, {mode}", calls, troubles, began)
        if options.only != "calls":
            began = time.monotonic()
            effort = _effort(options)
            checked = after_each_loss_of_the_tracker(folder / "tracker", warm, effort)
            count += _told(TRACKER, checked, began)
    return count


def _told(name: str, checked: Checked, began: float) -> int:
    points, states, troubles = checked
    took_s = time.monotonic() - began
    print(f"{name}, power: {points} points, {states} states, {took_s:.0f} s", flush=True)
    print(*troubles, sep="\n", end="\n" if troubles else "", flush=True)
    return len(troubles)


if __name__ == "__main__":
    sys.exit(main())
