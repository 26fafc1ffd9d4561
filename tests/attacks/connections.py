"""Hostile connections by the ten thousand: what they cost in memory, and honest clients."""

import json
import subprocess
import sys
import time
from typing import NamedTuple

from tests.attacks.honest import Honest, Times
from tests.attacks.scene import ROOT, Target

MOST_GROWTH_BYTES = 16 << 20
IDLE_S = 5.0


class Outcome(NamedTuple):
    """What the connections came to."""

    target: str
    growth_bytes: int
    idle: Times
    attacked: Times
    tried: int
    let_in: int  # Past the handshake.
    cut_off: int
    took_s: float

    def __str__(self) -> str:
        return (
            f"{self.target}: {self.tried} connections in {self.took_s:.0f} s, {self.let_in} past "
            f"the handshake, {self.cut_off} cut off; {self.growth_bytes / 2**20:.1f} MiB more; "
            f"honest p50/p99 {self.idle}, attacked {self.attacked}"
        )


def attack(target: Target, count: int, rate: float, idle_s: float = IDLE_S) -> Outcome:
    """Open so many connections, so many in a second; half of them shake hands."""
    with Honest(target.place, target.question) as honest:
        time.sleep(idle_s)
        idle = honest.times()
        target.begin()
        host, port = target.place
        command = [sys.executable, "-m", "tests.attacks.crowd", host, str(port), str(count)]
        done = subprocess.run(
            [*command, str(rate)], cwd=ROOT, capture_output=True, text=True, check=True
        )
        attacked = honest.times()
    assert target.is_alive, target.process
    told = json.loads(done.stdout)
    growth = target.growth_bytes
    ends = told["let_in"], told["cut_off"], told["took_s"]
    return Outcome(target.name, growth, idle, attacked, count, *ends)
