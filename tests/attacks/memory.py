"""How much memory strangers can make a tracker, a node and a fetch take, and whom that delays."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

from tests.attacks.honest import Honest, Times
from tests.attacks.scene import ROOT, Scene, Target
from tests.attacks.strangers import ATTACKS

MOST_GROWTH_BYTES = 64 << 20
ENDS_WITHIN_S = 30.0


class Outcome(NamedTuple):
    """What one attack came to."""

    kind: str
    target: str
    growth_bytes: int
    idle: Times
    attacked: Times
    connections: int
    sent_bytes: int

    def __str__(self) -> str:
        return (
            f"{self.target}, {self.kind}: {self.growth_bytes / 2**20:.0f} MiB more; honest p50/p99 "
            f"{self.idle}, attacked {self.attacked} ({self.connections} connections, "
            f"{self.sent_bytes / 2**20:.0f} MiB sent)"
        )


def attack(scene: Scene, target: Target, kind: str, seconds: float) -> Outcome:
    """Measure for some seconds without the strangers, then for as long with them."""
    with Honest(target.place, target.question) as honest:
        time.sleep(min(seconds, 5.0))
        idle = honest.times()
        target.begin()
        host, port = target.place
        command = [sys.executable, "-m", "tests.attacks.strangers", kind, host, str(port)]
        done = subprocess.run(
            [*command, str(seconds), scene.content_id],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            timeout=seconds + ENDS_WITHIN_S,
        )
        attacked = honest.times()
    assert target.is_alive, target.process
    told = json.loads(done.stdout)
    growth = target.growth_bytes
    return Outcome(
        kind, target.name, growth, idle, attacked, told["connections"], told["sent_bytes"]
    )


def attacks(scene: Scene, kinds: list[str], seconds: float) -> Iterator[Outcome]:
    """Have the tracker, and the node, attacked in each way."""
    for target in scene.targets.values():
        for kind in kinds or ATTACKS:
            yield attack(scene, target, kind, seconds)
