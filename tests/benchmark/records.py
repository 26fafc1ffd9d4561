"""What is on record in docs/measurements, as the charts and docs/use/performance.md show it.

Draws nothing. Swarms are JSON lines (`python -m tests.benchmark.swarm --json`; lines with
`"simulated": true` come from the simulator), loopback is one object (`python -m tests.benchmark
--json`). Newer files win.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

FOLDER = Path(__file__).parents[2] / "docs" / "measurements"
LABELS = {
    "iperf3": "iperf3 (one TCP stream, nothing written)",
    "shoal-1": "shoal, 1 holder",
    "shoal-3": "shoal, 3 holders",
    "nginx": "nginx and curl",
    "rsync": "rsync daemon, whole file",
    "libtorrent-1": "libtorrent, 1 seeder",
    "libtorrent-3": "libtorrent, 3 seeders",
}
USUAL_BYTES = 64 << 20  # Of several sizes on record for one number of hosts, this one is shown.


@dataclass(frozen=True)
class Swarm:
    """The last host's time, as a multiple of the bound, for one number of hosts."""

    hosts: int
    rate_mbit: float
    size_bytes: int
    is_simulated: bool
    last: dict[str, list[float]]  # By contender, one for each run.

    def median(self, contender: str) -> float | None:
        runs = self.last.get(contender)
        return median(runs) if runs else None


@dataclass(frozen=True)
class Speed:
    """One contender on loopback, whole processes, in bytes per second."""

    contender: str
    rate_bytes_per_s: float

    @property
    def label(self) -> str:
        return LABELS[self.contender]


def swarms(folder: Path = FOLDER) -> list[Swarm]:
    """Return one swarm for each number of hosts, measured and simulated, in that order."""
    found: dict[tuple[bool, int], Swarm] = {}
    for path in sorted(folder.glob("*-swarms.jsonl")):
        for line in path.read_text().splitlines():
            swarm = _swarm(json.loads(line))
            key = swarm.is_simulated, swarm.hosts
            was_usual = key in found and found[key].size_bytes == USUAL_BYTES
            if swarm.size_bytes == USUAL_BYTES or not was_usual:
                found[key] = swarm
    return [found[key] for key in sorted(found)]


def loopback(folder: Path = FOLDER) -> list[Speed]:
    """Return the contenders of the newest loopback benchmark, the fastest first."""
    newest = max(folder.glob("*-loopback.json"))
    contenders = json.loads(newest.read_text())["loopback"]
    speeds = [Speed(name, one["rate_bytes_per_s"]) for name, one in contenders.items()]
    return sorted(speeds, key=lambda speed: -speed.rate_bytes_per_s)


def _swarm(record: dict[str, Any]) -> Swarm:
    plan = record["plan"]
    return Swarm(
        plan["fetchers"],
        plan["rate_mbit"],
        plan["size_bytes"],
        record.get("simulated", False),
        {name: [run["last"] for run in runs] for name, runs in record["runs"].items()},
    )
