"""Each idea can be switched off, makes a difference where it matters, and is on the page."""

import dataclasses
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation import ablation
from tests.simulation.ideas import IDEAS, lines, without
from tests.simulation.swarm import Outcome, Plan, run

PAGE = (Path(__file__).parents[2] / "docs/build/swarm.md").read_text()
SMALL = Plan(hosts=8, size_bytes=4 << 20, rate_mbit=100)
CROWD = Plan(hosts=56, size_bytes=1 << 18, rate_mbit=100)
DYING = dataclasses.replace(SMALL, size_bytes=16 << 20, dying_hosts=4)
SLOW = Plan(hosts=4, size_bytes=16 << 20, rate_mbit=4, chunk_bytes=4 << 20)
LONG_MANIFEST = Plan(12, size_bytes=4 << 20, rate_mbit=10, chunk_bytes=4 << 10, limit_s=1.0)
FAR = Plan(hosts=1, size_bytes=4 << 20, rate_mbit=50, latency_s=0.05)
WHERE = {
    "bounded-circle": CROWD,
    "near-names": CROWD,
    "several-manifests": LONG_MANIFEST,
    "measured-patience": DYING,
    "patience-at-pace": SLOW,
    "slowing-guesses": SLOW,
    "far-windows": FAR,
}


@pytest.mark.parametrize("idea", IDEAS)
def test_each_makes_a_difference_and_is_back_after_it(idea: str) -> None:
    plan = WHERE.get(idea, SMALL)
    plan = dataclasses.replace(plan, limit_s=min(plan.limit_s, 60.0))
    with_all = usual(plan)
    places = [(change.of, change.name) for change in IDEAS[idea].changes]
    before = [getattr(*place) for place in places]
    with without([idea]):
        assert run(plan) != with_all
    assert [getattr(*place) for place in places] == before


@functools.cache
def usual(plan: Plan) -> Outcome:
    return run(plan)


def test_several_can_be_switched_off_together() -> None:
    with without(["hedges"]):
        one = run(SMALL)
        with without(["random-order"]):
            assert run(SMALL) != one


def test_the_page_has_a_row_for_each() -> None:
    rows = re.findall(r"^\| ([\w-]+) \|(?: (?:[\d.]+|never) \|){5}", PAGE, re.MULTILINE)
    assert rows == [ablation.NOTHING, *IDEAS]


def test_the_table_has_a_row_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablation, "SETUPS", {"8 hosts": SMALL, "dead": SMALL})
    monkeypatch.setattr(ablation, "IDEAS", {name: IDEAS[name] for name in ("hedges", "guesses")})
    rows = ablation.table(1).splitlines()
    assert rows[0] == "| without | 8 hosts | dead | sent by the seed | sent twice |"
    assert [row.split(" | ")[0] for row in rows[2:]] == ["| nothing", "| hedges", "| guesses"]
    assert "never" in rows[-1]
    assert "never" not in rows[2]


def test_the_command_takes_and_lists_them() -> None:
    command = [sys.executable, "-m", "tests.simulation", "--hosts", "8", "--size-mib", "4"]
    told = [
        subprocess.run([*command, *more], capture_output=True, text=True, check=True).stdout
        for more in ([], ["--without", "random-order", "--without", "hedges"], ["--ideas"])
    ]
    assert told[0] == run(SMALL).lines() + "\n"
    with without(["random-order", "hedges"]):
        assert told[1] == run(SMALL).lines() + "\n"
    assert told[2] == lines() + "\n"
