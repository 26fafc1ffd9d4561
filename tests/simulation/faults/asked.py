"""The command, as tests use it: in processes of its own, which nothing else slows down."""

import json
import os
import subprocess
import sys

import msgspec

from tests.simulation.faults.story import Outcome

LIMIT_S = 110


def ask(*arguments: str, hash_seed: str = "0") -> "subprocess.CompletedProcess[str]":
    """Run the command with these arguments; coverage would only slow it down."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--faults", *arguments],
        env=kept | {"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )


def outcomes(first: int, count: int, *more: str, hash_seed: str = "0") -> list[Outcome]:
    """Return what becomes of some seeds."""
    seeds = ("--json", "--seed", str(first), "--seeds", str(count))
    done = ask(*seeds, *more, hash_seed=hash_seed)
    found = [msgspec.convert(json.loads(line), Outcome) for line in done.stdout.splitlines()]
    assert len(found) == count, done.stderr
    return found


def require_all_well(first: int, count: int) -> None:
    """Require that nothing is found in some seeds; say how to replay those that failed."""
    from tests.simulation.faults.runs import told  # noqa: PLC0415 (for the message alone)

    failed = [one for one in outcomes(first, count) if one.finding is not None]
    assert not failed, "\n".join(map(told, failed))
