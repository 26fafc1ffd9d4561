"""The part of `python -m tests.simulation` that simulates faults."""

import argparse
import faulthandler
import json

import msgspec

from tests.simulation.faults import runs, story
from tests.simulation.faults.plants import PLANTS, planted

STUCK_S = 90.0  # Real ones; no seed takes as long, unless something runs without end.


def simulate(args: argparse.Namespace) -> int:
    """Simulate one seed or many; return 1 if something was found."""
    if args.plant is not None and args.plant not in PLANTS:
        print("faults that can be planted:", *PLANTS, sep="\n  ")
        return 2
    if args.json:
        return _print_json(args)
    if args.seeds:
        summary = runs.run_many(args.seed, args.seeds, args.plant)
        print(summary.lines())
        return 1 if summary.found else 0
    with planted(args.plant):
        outcome = story.run(args.seed)
    print(runs.told(outcome, args.plant, args.lines))
    return 1 if outcome.finding else 0


def _print_json(args: argparse.Namespace) -> int:
    """Print a line for each seed, for the process that sums them up."""
    with planted(args.plant):
        for seed in range(args.seed, args.seed + args.seeds):
            faulthandler.dump_traceback_later(STUCK_S, exit=True)
            outcome = story.run(seed)
            faulthandler.cancel_dump_traceback_later()
            last = outcome.lines[-args.lines :] if outcome.finding else ()
            kept = msgspec.structs.replace(outcome, lines=last)
            print(json.dumps(msgspec.to_builtins(kept)), flush=True)
    return 0
