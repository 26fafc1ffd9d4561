"""`python -m tests.benchmark.limits`: how well shoal keeps to a limit, and shares one.

On loopback: one fetch from a node with `--limit`, one with `fetch --limit`; then four nodes that
serve under `cluster_up`, of which two end early. Needs ss, of iproute2.
"""

import argparse
import contextlib
import itertools
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.benchmark.cluster import Cluster
from tests.benchmark.processes import BenchmarkError, Child, end_when_told, wait_until
from tests.benchmark.report import machine
from tests.benchmark.workspace import Workspace, default_folder, open_workspace

MB = 1_000_000
LIMIT_MB = 20
LIMITED_S = 10.0
BUDGET_MB = 30
HOLDERS = 4
TOGETHER_S, ALONE_S = 8.0, 8.0  # How long all serve, and then half of them.
SAMPLE_S = 0.25
WITHIN_S = 2.0  # Within which those that go on have what the others had.
_ACKED = re.compile(r"bytes_acked:(\d+)")


class Lan:
    """Holders with a file each, and as many fetchers, on loopback."""

    def __init__(
        self, workspace: Workspace, name: str, sizes: Sequence[int], **limits: str
    ) -> None:
        """`sizes` are those of the holders' files, in bytes."""
        self._workspace = workspace
        self.holders = [f"h{number}" for number in range(len(sizes))]
        self.ports = {holder: workspace.free_port() for holder in self.holders}
        config = workspace.empty_folder(name) / "cluster.yaml"
        for holder, size in zip(self.holders, sizes, strict=True):
            folder = workspace.empty_folder(f"{name}/{holder}")
            (folder / f"{holder}.bin").write_bytes(os.urandom(size))
        fetchers = [f"f{number}" for number in range(len(sizes))]
        ports = {**self.ports, **{fetcher: workspace.free_port() for fetcher in fetchers}}
        told = {
            "tracker": {"address": f"tcp://127.0.0.1:{workspace.free_port()}"},
            "limits": limits,
            "nodes": {
                node: {"address": f"tcp://127.0.0.1:{port}", "folder": node}
                for node, port in ports.items()
            },
        }
        config.write_text(yaml.safe_dump(told, sort_keys=False))
        self.cluster = Cluster(config, workspace.children)

    def start(self, *words: str) -> None:
        """Start tracker and holders, these with `words` on their command lines."""
        children, command = self._workspace.children, self.cluster.command
        started = [children.start("tracker", command("tracker"))]
        started += [children.start(one, command("node", one, *words)) for one in self.holders]
        self._started = started
        for holder in self.holders:
            self.cluster.wait_for_holders(f"{holder}.bin", [holder])

    def fetch(self, number: int, *words: str) -> Child:
        argv = self.cluster.command("fetch", f"h{number}.bin", "--as", f"f{number}", "--json")
        return self._workspace.children.start(f"fetch-{number}", [*argv, *words])

    def stop(self) -> None:
        self._workspace.children.stop(self._started)

    def sent_bytes(self) -> dict[str, int]:
        """Return how much each holder has sent, by TCP."""
        return {holder: _sent_bytes(port) for holder, port in self.ports.items()}


def _sent_bytes(port: int) -> int:
    argv = ["ss", "-tinH", "state", "established", f"sport = :{port}"]
    told = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return sum(int(count) for count in _ACKED.findall(told))


def one_limit(workspace: Workspace, *, at_holder: bool) -> dict[str, float]:
    """Fetch under a limit of the holder, or of the fetch; return the rate in MB/s."""
    lan = Lan(workspace, "limit", [int(LIMIT_MB * LIMITED_S) * MB])
    words = ("--limit", f"{LIMIT_MB}MB/s")
    lan.start(*(words if at_holder else ()))
    child = lan.fetch(0, *(() if at_holder else words))
    child.reap()
    child.expect_success()
    told = json.loads(child.output())
    lan.stop()
    rate = told["fetched_bytes"] / told["elapsed_s"] / MB
    return {"limit": LIMIT_MB, "rate": round(rate, 3), "off_percent": _off(rate, LIMIT_MB)}


def shared_limit(workspace: Workspace) -> dict[str, Any]:
    """Have four serve, then two of them; return the sums, and when the two had half each."""
    equal, more = BUDGET_MB / HOLDERS, 2 * BUDGET_MB / HOLDERS
    short = int(equal * TOGETHER_S) * MB
    long = short + int(more * ALONE_S) * MB
    lan = Lan(workspace, "shared", [long, long, short, short], cluster_up=f"{BUDGET_MB}MB/s")
    lan.start()
    fetches = [lan.fetch(number) for number in range(HOLDERS)]
    samples = _sampled(lan, fetches)
    for child in fetches:
        child.process.wait()
        child.expect_success()
    lan.stop()
    ended_at = max(at for at, _ in samples if _rose(samples, at, ("h2", "h3")))
    both = [at for at, _ in samples if at > ended_at and _is_at(samples, at, more)]
    first, last = samples[0][0] + WITHIN_S, samples[-1][0] - 2 * SAMPLE_S
    together = _rate(samples, first, ended_at - 1.0, lan.holders)
    alone = _rate(samples, ended_at + WITHIN_S, last, lan.holders)
    return {
        "budget": BUDGET_MB,
        "four_together": round(together, 3),
        "four_off_percent": _off(together, BUDGET_MB),
        "four": [round(_rate(samples, first, ended_at - 1.0, [one]), 2) for one in lan.holders],
        "two_together": round(alone, 3),
        "two_off_percent": _off(alone, BUDGET_MB),
        "two": [round(_rate(samples, ended_at + WITHIN_S, last, [one]), 2) for one in ("h0", "h1")],
        "both_within_s": round(both[0] - ended_at, 2) if both else None,
    }


Samples = list[tuple[float, Mapping[str, int]]]


def _sampled(lan: Lan, fetches: Sequence[Child]) -> Samples:
    """Return what each holder has sent, by the time, from the first byte to the last fetch."""
    samples: Samples = []
    wait_until(lambda: all(lan.sent_bytes().values()), "a byte from everybody", fetches)
    for number in itertools.count():
        if not all(fetches[one].is_running() for one in (0, 1)):
            return samples
        if samples and number * SAMPLE_S > TOGETHER_S * HOLDERS + ALONE_S:
            raise BenchmarkError("the fetches do not end")
        samples.append((time.monotonic(), lan.sent_bytes()))
        time.sleep(SAMPLE_S)
    raise AssertionError


def _rose(samples: Samples, at: float, holders: Sequence[str]) -> bool:
    """Say whether one of them had sent something more than at the sample before."""
    number = next(index for index, one in enumerate(samples) if one[0] == at)
    if not number:
        return False
    before, now = samples[number - 1][1], samples[number][1]
    return any(now[holder] - before[holder] > MB // 10 for holder in holders)


def _is_at(samples: Samples, at: float, rate_mb: float) -> bool:
    """Say whether both that go on have that rate, within 5 %, in the half second from then on."""
    rates = [_rate(samples, at, at + 2 * SAMPLE_S, [holder]) for holder in ("h0", "h1")]
    return all(abs(rate - rate_mb) <= 0.05 * rate_mb for rate in rates)


def _rate(samples: Samples, since: float, until: float, holders: Sequence[str]) -> float:
    """Return what some have sent together in a time, in MB/s."""
    inside = [one for one in samples if since <= one[0] <= until + 0.1]
    if len(inside) < 2:
        return 0.0
    (began, before), (ended, after) = inside[0], inside[-1]
    return sum(after[one] - before[one] for one in holders) / (ended - began) / MB


def _off(rate: float, wanted: float) -> float:
    return round(100 * (rate / wanted - 1), 2)


def main() -> int:
    """Measure, and print one line for each figure, or one object."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark.limits", description=__doc__)
    parser.add_argument("--folder", type=Path, default=default_folder(), help="a RAM disk, if any")
    parser.add_argument("--only", help="one of: node --limit, fetch --limit, cluster_up")
    parser.add_argument("--json", action="store_true", help="one object, in one line, on stdout")
    args = parser.parse_args()
    end_when_told()
    measured: dict[str, Any] = {"machine": machine()}
    try:
        with contextlib.redirect_stdout(sys.stderr if args.json else sys.stdout):
            for name, part in {
                "node --limit": lambda each: one_limit(each, at_holder=True),
                "fetch --limit": lambda each: one_limit(each, at_holder=False),
                "cluster_up": shared_limit,
            }.items():
                if args.only not in {None, name}:
                    continue
                with open_workspace(args.folder, 0) as workspace:
                    measured[name] = part(workspace)
                print(f"{name}: {measured[name]}", flush=True)
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
