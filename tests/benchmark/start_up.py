"""Part 2: what a short command costs as a whole process, from the interpreter's start to exit."""

import shutil
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from tests.benchmark.cluster import SHOAL, Cluster
from tests.benchmark.processes import ROOT, BenchmarkError
from tests.benchmark.workspace import Workspace

EXAMPLE = "lan.yaml"  # the built-in cluster: three nodes, seeds.txt on n2 and n3
WHAT, FETCHER, HOLDERS = "seeds.txt", "n1", ["n2", "n3"]


def measure(workspace: Workspace, runs: int) -> dict[str, list[float]]:
    """Seconds of each run of three commands, taken in turn; a first turn does not count.

    The bare interpreter is there to show what no command can save.
    """
    config = _copy_example(workspace)
    cluster = Cluster(config, workspace.children)
    cluster.start(HOLDERS)
    cluster.wait_for_holders(WHAT, HOLDERS)
    copy = config.parent / FETCHER / WHAT
    fetch = cluster.command("fetch", WHAT, "--as", FETCHER, "--quiet")
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "cli.py --help": [*SHOAL, "--help"],
        f"cli.py fetch {WHAT}": fetch,
    }
    walls_s: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs + 1):
        copy.unlink(missing_ok=True)
        for name, argv in commands.items():
            started = time.monotonic()
            workspace.children.run("start-up", argv)
            walls_s[name].append(time.monotonic() - started)
        if not copy.is_file():
            raise BenchmarkError(f"the fetch succeeded, but left no {copy}")
    return {name: walls[1:] for name, walls in walls_s.items()}


def _copy_example(workspace: Workspace) -> Path:
    """Copy the built-in cluster, on ports of its own: the usual ones may be in use here."""
    folder = workspace.folder / "start-up"
    shutil.copytree(
        ROOT / "config", folder, ignore=shutil.ignore_patterns(".shoal", "*.py", "__pycache__")
    )
    config = folder / EXAMPLE
    if not config.is_file():
        raise BenchmarkError(f"config/{EXAMPLE} is not there")
    cluster: Any = yaml.safe_load(config.read_text())
    for member in [cluster["tracker"], *cluster["nodes"].values()]:
        member["address"] = f"tcp://127.0.0.1:{workspace.free_port()}"
    config.write_text(yaml.safe_dump(cluster, sort_keys=False))
    return config
