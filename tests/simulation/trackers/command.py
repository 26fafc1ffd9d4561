"""The part of `python -m tests.simulation` that simulates several trackers."""

import argparse
import functools
import logging
import multiprocessing

from tests.simulation.trackers.history import Outcome, run
from tests.simulation.trackers.plants import PLANTS, planted

MOST_SHOWN = 10  # Seeds with findings.


def simulate(args: argparse.Namespace) -> int:
    """Simulate one seed or many; return 1 if something was found."""
    logging.getLogger("shoal.tracker").setLevel(logging.CRITICAL)
    if args.plant is not None and args.plant not in PLANTS:
        print("faults that can be planted:", *PLANTS, sep="\n  ")
        return 2
    if not args.seeds:
        outcome = simulated(args.seed, args.trackers, args.plant)
        print(*outcome.lines[-args.lines :], outcome.finding or "all is well", sep="\n")
        return 1 if outcome.finding else 0
    seeds = range(args.seed, args.seed + args.seeds)
    one = functools.partial(_finding, trackers=args.trackers, plant=args.plant)
    with multiprocessing.Pool() as pool:
        results = enumerate(pool.imap(one, seeds, chunksize=50), start=args.seed)
        found = [(seed, finding) for seed, finding in results if finding]
    for seed, finding in found[:MOST_SHOWN]:
        print(f"seed {seed}: {finding}")
    print(f"{args.seeds} seeds with {args.trackers} trackers: {len(found)} findings")
    return 1 if found else 0


def simulated(seed: int, trackers: int, plant: str | None = None) -> Outcome:
    """Simulate one seed, with a fault in the product if one is named."""
    with planted(plant):
        return run(seed, trackers)


def _finding(seed: int, trackers: int, plant: str | None) -> str:
    try:
        return simulated(seed, trackers, plant).finding
    except Exception as error:  # noqa: BLE001 (that is a finding, too)
        return repr(error)
