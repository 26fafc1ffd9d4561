"""Many seeds on all processors, each in a process that simulates nothing else at the time."""

import collections
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec

from tests.simulation.faults import acts, keyed, limits, places, pushing, tracker_acts
from tests.simulation.faults.knocking import SHOWN
from tests.simulation.faults.liars import KINDS
from tests.simulation.faults.story import Outcome

AT_A_TIME = 50  # Seeds for one process: it starts in half a second.
SHOWN_LINES = 40
# Calls that a node or tracker makes in every story, more or less.
USED = {
    *("write", "pwrite", "ftruncate", "open", "mkdir", "rmdir", "unlink", "rename", "renameat2"),
    *("fsync", "fchmod", "syncfs", "symlink"),
}


def command(seed: int, plant: str | None = None) -> str:
    """Return the command that replays a seed."""
    planted = f" --plant '{plant}'" if plant else ""
    return f"python -m tests.simulation --faults --seed {seed}{planted}"


def told(outcome: Outcome, plant: str | None = None, lines: int = SHOWN_LINES) -> str:
    """Return what to say of a seed: what was found, how to see it again, what happened last."""
    if outcome.finding is None:
        return (
            f"seed {outcome.seed}: all went well in {outcome.virtual_s:.0f} virtual seconds, "
            f"{outcome.took_s:.2f} real ones; everybody had everything after "
            f"{outcome.healed_s:.1f} s; trace {outcome.digest}"
        )
    last = "\n".join(outcome.lines[-lines:])
    replay = command(outcome.seed, plant)
    return f"{last}\nseed {outcome.seed}: {outcome.finding}\nreplay it: {replay}"


def expected() -> set[str]:
    """Return what must have been hit: what has not been is not tested."""
    several = {"2 trackers", "3 trackers"}
    drawn = *acts.ACTS, *acts.FAULTS, *pushing.ACTS, *keyed.ACTS, *limits.ACTS
    more = *tracker_acts.ACTS, *places.ACTS
    acts_and_faults = {act.__name__.replace("_", " ") for act in (*drawn, *more)}
    calls = {f"disk: {name} fails" for name in acts.CALLS if name in USED}
    kills = {f"killed at {name}" for name in acts.CALLS if name in USED}
    wishes = {"wish obeyed", "wish failed", "wish over while it is fetched", "node joins"}
    others = {"disk: full", "disk: short write", "disk: slow", "disk: read fails"}
    liars = {f"liar asked: {kind}" for kind in KINDS}
    shown = {f"stranger shows {what}" for what in SHOWN}
    refused = {"keys", "refused by the tracker", "refused by a node"}
    rates = {"limits", "a rate is lent", *(f"bound by a limit: {does}" for does in limits.DOES)}
    outside = {
        *("share by link", "fetch linked", "shared by link", "fetched to a place"),
        *("refused: something is in the way outside", "disk: unreadable"),
        *("folder only read", "state elsewhere"),
        *("reader opened", "reader refused", "reader got bytes", "reader closed"),
    }
    return (
        acts_and_faults
        | calls
        | kills
        | others
        | wishes
        | outside
        | liars
        | shown
        | refused
        | several
        | rates
        | {"messages replayed", "complaints"}
    )


class Summary:
    """What came of many seeds."""

    def __init__(self) -> None:
        self.count = 0
        self.found: list[int] = []
        self.hits: collections.Counter[str] = collections.Counter()
        self.seeds_with: collections.Counter[str] = collections.Counter()
        self.virtual_s = 0.0
        self.took_s = 0.0
        self.longest_s = 0.0

    def add(self, outcome: Outcome) -> None:
        self.count += 1
        if outcome.finding is not None:
            self.found.append(outcome.seed)
        self.hits.update(outcome.hits)
        self.seeds_with.update(outcome.hits.keys())
        self.virtual_s += outcome.virtual_s
        self.took_s += outcome.took_s
        self.longest_s = max(self.longest_s, outcome.healed_s)

    def lines(self) -> str:
        """Return a table of what was hit how often, and the sum of it."""
        rows = [
            f"{count:9} times in {self.seeds_with[what]:6} seeds: {what}"
            for what, count in sorted(self.hits.items())
        ]
        never = sorted(expected() - self.hits.keys())
        if never:
            rows.append(f"never hit: {', '.join(never)}")
        failed = f", found something in {len(self.found)}: {self.found}" if self.found else ""
        rows.append(
            f"{self.count} seeds, {self.virtual_s / 3600:.1f} virtual hours, "
            f"{self.took_s / max(1, self.count):.3f} s each; the longest healing took "
            f"{self.longest_s:.0f} s{failed or '; all is well'}"
        )
        return "\n".join(rows)


def run_many(first: int, count: int, plant: str | None = None) -> Summary:
    """Simulate so many seeds; print each finding at once."""
    summary = Summary()
    starts = range(first, first + count, AT_A_TIME)
    blocks = [(start, min(AT_A_TIME, first + count - start)) for start in starts]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for outcomes in pool.map(lambda block: list(_block(block[0], block[1], plant)), blocks):
            for outcome in outcomes:
                summary.add(outcome)
                if outcome.finding is not None:
                    print(told(outcome, plant), flush=True)
    return summary


def _block(first: int, count: int, plant: str | None) -> Iterator[Outcome]:
    asked = [sys.executable, "-m", "tests.simulation", "--faults", "--json"]
    asked += ["--seed", str(first), "--seeds", str(count)]
    asked += ["--plant", plant] if plant else []
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    for line in lines:
        yield msgspec.convert(json.loads(line), Outcome)
    if len(lines) < count:
        raise RuntimeError(f"seed {first + len(lines)} ended the process:\n{done.stderr[-2000:]}")
