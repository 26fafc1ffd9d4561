"""`python -m tests.benchmark.swarm`: N hosts want what one has; shoal and libtorrent in turn.

Every host is a network namespace with a limited link; all share this machine's processors. All are
told to begin at the same moment, with their processes up. Needs root, iproute2 and, if it
is not left out, libtorrent.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tests.benchmark.contenders import LIMIT_S, Outcome, Plan, push, shoal, torrent
from tests.benchmark.processes import end_when_told
from tests.benchmark.report import machine
from tests.benchmark.warm_memory import SPARE_BYTES, keep_warm
from tests.benchmark.workspace import PAYLOAD, default_folder
from tests.multihost.lab import Lab
from tests.multihost.swarm import ROOT
from tests.multihost.wait import wait_until

STREAM = Path(__file__).parents[1] / "multihost" / "tcp_stream.py"
STREAM_S = 3.0
CONTENDERS: dict[str, Callable[[Lab, Path, Path, Plan], Outcome]] = {
    "shoal": shoal,
    "libtorrent": torrent,
}
ALONE = {"push": push}  # Only if it is asked for.


def stream_rate(folder: Path, rate_mbit: float) -> float:
    """Return the bytes per second of payload that one TCP stream reaches on such a link."""
    with Lab(2, rate_mbit, directory=folder) as lab:
        receiver = lab.start(2, [sys.executable, STREAM, "receive", lab.address(2)])
        wait_until(lambda: bool(receiver.stdout), LIMIT_S, "the receiver listens")
        lab.run(1, [sys.executable, STREAM, "send", lab.address(2), str(STREAM_S)], LIMIT_S)
        receiver.wait(LIMIT_S)
        rate: float = json.loads(receiver.stdout.splitlines()[-1])["rate_mbit"]
    return rate * 1e6 / 8


def _variants(plan: Plan, only: str | None) -> dict[str, tuple[str, Plan]]:
    """Return what is run in turn, by its label: also without slow hosts or keys, if any."""
    chosen = CONTENDERS if only is None else {only: None}
    variants = {name: (name, plan) for name in chosen}
    if plan.is_secured:
        in_clear = replace(plan, is_secured=False)
        variants = {"shoal": ("shoal", in_clear), "shoal, keys": ("shoal", plan)}
    if plan.is_watched:
        alone = replace(plan, is_watched=False)
        variants = {"shoal": ("shoal", alone), "shoal, read": ("shoal", plan)}
    if plan.slow:
        without = {
            f"{label}, none slow": (name, replace(variant, slow=0))
            for label, (name, variant) in variants.items()
        }
        return without | variants
    return variants


def _run(label: str, contender: str, plan: Plan, place: Path, bound_s: float) -> Outcome:
    with (
        tempfile.TemporaryDirectory(dir=place) as folder,
        Lab(plan.hosts, plan.rate_mbit, directory=Path(folder)) as lab,
    ):
        payload = place / "seed" / PAYLOAD
        outcome = {**CONTENDERS, **ALONE}[contender](lab, Path(folder), payload, plan)
    print(f"{label:11} {outcome.line(bound_s)}", flush=True)
    if len(plan.checkouts) > 1:
        means = (
            f"{root} {statistics.mean(busy):.3f}" for root, busy in outcome.fetchers_busy_s.items()
        )
        print(f"{'':10} processor seconds of a node: {', '.join(means)}", flush=True)
    return outcome


def _turned(plan: Plan, turn: int) -> Plan:
    """Return the plan with other nodes running each checkout: no place is to favour one."""
    turn %= len(plan.checkouts)
    return replace(plan, checkouts=plan.checkouts[turn:] + plan.checkouts[:turn])


def _compare(busy_s: dict[Path, list[float]]) -> None:
    """Print what a node costs, by the checkout that it runs, as a share of the first one's."""
    first = statistics.mean(next(iter(busy_s.values())))
    for root, seconds in busy_s.items():
        mean, error = statistics.mean(seconds), statistics.stdev(seconds) / len(seconds) ** 0.5
        print(
            f"{root}: {mean:.3f} processor seconds of a node, {100 * mean / first:.1f}"
            f" ± {100 * error / first:.1f} % ({len(seconds)} nodes)"
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark.swarm", description=__doc__)
    parser.add_argument("--hosts", type=int, default=16, help="that fetch (16)")
    parser.add_argument("--rate-mbit", type=float, default=100.0)
    parser.add_argument("--size-mib", type=int, default=64)
    parser.add_argument("--holders", type=int, default=1, help="that have it from the start (1)")
    parser.add_argument("--holder-mbit", type=float, help="else the same rate as all")
    parser.add_argument("--slow", type=int, default=0, help="so many fetchers have --slow-mbit")
    parser.add_argument("--slow-mbit", type=float, default=10.0)
    parser.add_argument("--late", type=int, default=0, help="so many begin at half-time")
    parser.add_argument("--dying", type=int, default=0, help="so many lose their cables midway")
    parser.add_argument(
        "--secured", action="store_true", help="have shoal run with keys, and without, in turn"
    )
    parser.add_argument(
        "--watched", action="store_true", help="the same with metrics that are read each second"
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", choices=[*CONTENDERS, *ALONE])
    parser.add_argument("--folder", type=Path, default=default_folder(), help="a RAM disk, if any")
    parser.add_argument(
        "--beside",
        type=Path,
        action="append",
        default=[],
        metavar="CHECKOUT",
        help="have some of the nodes run that state of shoal, in the same swarm: what each costs",
    )
    parser.add_argument("--json", action="store_true", help="one object, in one line, on stdout")
    args = parser.parse_args()
    _check(parser, args)
    return args


def _check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """End the program if the options do not go together."""
    args.only = "shoal" if args.beside or args.secured or args.watched else args.only
    if args.only in {None, "libtorrent"} and importlib.util.find_spec("libtorrent") is None:
        parser.error("libtorrent is not installed: pip install libtorrent, or --only shoal")
    if strangers := [str(path) for path in args.beside if not (path / "cli.py").is_file()]:
        parser.error(f"--beside: no checkout of shoal: {', '.join(strangers)}")
    if args.beside and args.hosts < 2 * (1 + len(args.beside)):
        parser.error("--beside needs two of --hosts for each state, and for this one")
    if args.slow + args.late + args.dying >= args.hosts:
        parser.error("--slow, --late and --dying leave none of --hosts")


def _plan(args: argparse.Namespace) -> Plan:
    return Plan(
        fetchers=args.hosts,
        rate_mbit=args.rate_mbit,
        size_bytes=args.size_mib << 20,
        holders=args.holders,
        holder_mbit=args.holder_mbit,
        slow=args.slow,
        slow_mbit=args.slow_mbit,
        late=args.late,
        dying=args.dying,
        is_secured=args.secured,
        is_watched=args.watched,
        checkouts=(ROOT, *(path.resolve() for path in args.beside)),
    )


def _measure(plan: Plan, args: argparse.Namespace) -> dict[str, list[tuple[float, Outcome]]]:
    """Return what came of all runs by their labels, each with its bound in seconds."""
    variants = _variants(plan, args.only)
    runs: dict[str, list[tuple[float, Outcome]]] = {label: [] for label in variants}
    with tempfile.TemporaryDirectory(prefix="shoal-swarm-", dir=args.folder) as directory:
        place = Path(directory)
        (place / "seed").mkdir()
        with Path("/dev/urandom").open("rb") as noise:
            (place / "seed" / PAYLOAD).write_bytes(noise.read(plan.size_bytes))
        keep_warm(place / "warm", plan.size_bytes * plan.fetchers + 2 * SPARE_BYTES)
        for turn in range(args.runs):
            bound_s = plan.size_bytes / stream_rate(place, plan.rate_mbit)
            for label, (contender, variant) in variants.items():
                timed = replace(_turned(variant, turn), dying_within_s=bound_s)
                runs[label].append((bound_s, _run(label, contender, timed, place, bound_s)))
    return runs


def as_object(
    facts: Mapping[str, Any], plan: Plan, measured: Mapping[str, Sequence[tuple[float, Outcome]]]
) -> dict[str, Any]:
    """Return all that was measured; the hosts' times are multiples of the bound."""
    numbers = asdict(plan)
    del numbers["checkouts"]
    return {
        "machine": dict(facts),
        "plan": numbers,
        "runs": {
            label: [
                {
                    "bound_s": bound_s,
                    "hosts": [round(seconds / bound_s, 4) for seconds in outcome.times_s],
                    "last": round(max(outcome.early_s) / bound_s, 4),
                    "seed_sent_bytes": outcome.seed_sent_bytes,
                    "duplicate_share": outcome.duplicate_share,
                    "busy_s": outcome.busy_s,
                }
                for bound_s, outcome in runs
            ]
            for label, runs in measured.items()
        },
    }


def main() -> None:
    """Measure, and print a line for each run and each contender's medians, or one object."""
    args = _arguments()
    plan = _plan(args)
    facts = machine()
    end_when_told()
    # Handed down to all hosts: as many processors as hosts would not be fought for either.
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    with contextlib.redirect_stdout(sys.stderr if args.json else sys.stdout):
        measured = _measure(plan, args)
        _show(plan, measured)
    if args.json:
        print(json.dumps(as_object(facts, plan, measured)))


def _show(plan: Plan, measured: Mapping[str, Sequence[tuple[float, Outcome]]]) -> None:
    busy_s: dict[Path, list[float]] = {root: [] for root in plan.checkouts}
    for label, runs in measured.items():
        last = statistics.median(max(one.early_s) / bound_s for bound_s, one in runs)
        late = statistics.median(max(one.late_s, default=0.0) / bound_s for bound_s, one in runs)
        also = f", the late ones {late:.3f} x" if plan.late else ""
        print(f"{label}: last host {last:.3f} x the bound{also} (medians)")
        for _, outcome in runs:
            for root, seconds in outcome.fetchers_busy_s.items():
                busy_s[root] += seconds
    if len(plan.checkouts) > 1:
        _compare(busy_s)


if __name__ == "__main__":
    main()
