"""The result for people, as tables, and for scripts, as one object. Measures nothing."""

import datetime as dt
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmark.loopback import Loopback
from tests.benchmark.summary import CLOCKS, Summary, ratios

ROOT = Path(__file__).parents[2]
MB = 1e6
MIB = 1 << 20
MIN_WIDTH = 120  # columns when there is no terminal: rich would squeeze the table into 80


def machine() -> dict[str, Any]:
    """Where it is measured, as far as it bears on the numbers; ask before the measuring starts."""
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in cpuinfo if line.startswith("model name")]
    return {
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "commit": _commit(),
        "processor": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),  # others' work: near 0, or do not compare
    }


def _commit() -> str:
    """Return what is measured, as git names it; `-dirty` if files were changed since."""
    argv = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def as_object(
    facts: Mapping[str, Any],
    size_bytes: int,
    loopback: Loopback,
    start_up_s: Mapping[str, Sequence[float]],
) -> dict[str, Any]:
    return {
        "machine": dict(facts),
        "size_bytes": size_bytes,
        "loopback": {
            name: {
                "version": loopback.versions[name],
                **asdict(Summary.of(transfers)),
                "transfers": [asdict(transfer) for transfer in transfers],
            }
            for name, transfers in loopback.transfers.items()
        },
        "ratios": {clock: ratios(loopback.transfers, clock) for clock in CLOCKS},
        "start_up_s": dict(start_up_s),
        "left_out": loopback.left_out,
        "failed": loopback.failed,
    }


def show(
    facts: Mapping[str, Any],
    size_bytes: int,
    loopback: Loopback,
    start_up_s: Mapping[str, Sequence[float]],
) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=MIN_WIDTH)
    console.print(
        f"{facts['processor']}, {facts['cores']} cores, Linux {facts['kernel']}, "
        f"Python {facts['python']}, load before {facts['load_before']}; "
        f"{size_bytes // MIB} MiB of random bytes",
        highlight=False,
    )
    if loopback.transfers:
        console.print(_speeds(loopback), *(_comparison(loopback, clock) for clock in CLOCKS))
    if start_up_s:
        console.print(_start_up(start_up_s))
    for title, names in (("left out", loopback.left_out), ("FAILED", loopback.failed)):
        for name, reason in names.items():
            console.print(f"{title}: {name}: {reason}", highlight=False, markup=False)


def _speeds(loopback: Loopback) -> Table:
    rounds = max(map(len, loopback.transfers.values()))
    table = Table(title=f"Loopback, medians of {rounds} rounds", title_justify="left")
    table.add_column("contender", no_wrap=True)
    headings = [
        "MB/s",
        "slowest-fastest",
        "process\nseconds",
        "transfer\nseconds",
    ]
    headings += ["CPU s/GiB\nfetching"]
    headings += ["CPU s/GiB\nserving", "peak MiB\nfetching", "peak MiB\nserving"]
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for name, transfers in loopback.transfers.items():
        summary = Summary.of(transfers)
        table.add_row(
            name,
            f"{summary.rate_bytes_per_s / MB:.0f}",
            f"{summary.slowest_bytes_per_s / MB:.0f}-{summary.fastest_bytes_per_s / MB:.0f}",
            f"{summary.process_s:.2f}",
            f"{summary.transfer_s:.2f}",
            f"{summary.client_cpu_s_per_gib:.2f}",
            f"{summary.server_cpu_s_per_gib:.2f}",
            f"{summary.client_peak_bytes / MIB:.0f}",
            f"{summary.server_peak_bytes / MIB:.0f}",
        )
    return table


def _comparison(loopback: Loopback, clock: str) -> Table:
    title = f"Times as fast by {clock} seconds (median of each round's ratio)"
    table = Table(title=title, title_justify="left")
    table.add_column("", no_wrap=True)
    for name in loopback.transfers:
        table.add_column(f"vs {name}", justify="right", no_wrap=True)
    for name, row in ratios(loopback.transfers, clock).items():
        cells = [f"{row[rival]:.2f}" if rival in row else "" for rival in loopback.transfers]
        table.add_row(name, *cells)
    return table


def _start_up(start_up_s: Mapping[str, Sequence[float]]) -> Table:
    table = Table(title="Start-up, whole processes", title_justify="left")
    for heading in ("command", "median ms", "fastest ms", "slowest ms"):
        table.add_column(heading, justify="left" if heading == "command" else "right")
    for name, walls_s in start_up_s.items():
        figures = (median(walls_s), min(walls_s), max(walls_s))
        table.add_row(name, *(f"{seconds * 1e3:.0f}" for seconds in figures))
    return table
