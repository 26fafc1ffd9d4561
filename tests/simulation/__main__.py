"""python -m tests.simulation: how long a swarm takes, or whether it withstands all faults."""

import argparse
import gc
import os
import sys

from tests.simulation import ablation, ideas
from tests.simulation.swarm import Plan, run

MANY_HOSTS = 300  # From here on several processes and large pages pay.
LARGE_PAGES = {"PYTHONMALLOC": "malloc", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


def _have_large_pages() -> None:
    """Start again with memory in pages of 2 MiB, for 300 MB of state in random order.

    With 700 hosts this saves a seventh of the time, which page look-ups take. C libraries that do
    not know the variable (glibc knows it from 2.35 on) ignore it.
    """
    if sys.platform == "linux" and not LARGE_PAGES.keys() <= os.environ.keys():
        command = [sys.executable, "-m", "tests.simulation", *sys.argv[1:]]
        os.execve(sys.executable, command, os.environ | LARGE_PAGES)  # noqa: S606 (it is ourselves)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--hosts", type=int, default=16)
    parser.add_argument("--size-mib", type=float, default=64)
    parser.add_argument("--rate-mbit", type=float, default=100)
    parser.add_argument("--up-mbit", type=float, help="default: as --rate-mbit")
    parser.add_argument("--chunk-kib", type=int, help="default: that of a file of this size")
    parser.add_argument("--slow", type=int, default=0, help="number of hosts with --slow-mbit")
    parser.add_argument("--slow-mbit", type=float, default=10)
    parser.add_argument(
        "--late", type=int, default=0, help="number of hosts that join at --late-at"
    )
    parser.add_argument("--late-at", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument(
        "--dying", type=int, default=0, help="number of hosts that die during the transfer"
    )
    parser.add_argument(
        "--push", action="store_true", help="by a push to running nodes; counts the tracker's work"
    )
    parser.add_argument("--latency-ms", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--workers",
        type=int,
        help=f"processes; they change the time only (1; from {MANY_HOSTS} hosts on all cores)",
    )
    _add_ideas(parser)
    _add_faults(parser)
    args = parser.parse_args()
    if args.late + args.dying > args.hosts or args.dying == args.hosts:
        parser.error("--late and --dying leave too few of --hosts")
    if args.push and (args.late or args.dying):
        parser.error("--push is without --late and --dying")
    return args


def _add_ideas(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        choices=ideas.IDEAS,
        metavar="IDEA",
        help="switch off an idea of the swarm's policy; may be repeated",
    )
    parser.add_argument("--ideas", action="store_true", help="list the ideas and exit")
    parser.add_argument(
        "--ablation",
        type=int,
        metavar="SEEDS",
        help="print what each idea is worth, as a table of the means of so many seeds, and exit",
    )


def _add_faults(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--faults",
        action="store_true",
        help="simulate whole nodes under faults, all drawn from --seed, and check everything",
    )
    parser.add_argument(
        "--seeds",
        type=int,
        metavar="COUNT",
        help="the same for so many seeds from --seed on, on all processors",
    )
    parser.add_argument(
        "--trackers",
        type=int,
        metavar="COUNT",
        help="simulate so many trackers on one store instead, and nodes that move between them",
    )
    parser.add_argument("--lines", type=int, default=40, help="so many of what happened last")
    parser.add_argument("--plant", metavar="FAULT", help="with this fault in the product")
    parser.add_argument("--json", action="store_true", help=argparse.SUPPRESS)


def main() -> int:
    """Simulate what the options say, and print one line; or list the ideas, or their worth."""
    args = _arguments()
    if args.trackers:
        from tests.simulation.trackers import command  # noqa: PLC0415 (half the product)

        return command.simulate(args)
    if args.faults or args.seeds:
        from tests.simulation.faults.command import simulate  # noqa: PLC0415 (half the product)

        return simulate(args)
    if args.ideas:
        print(ideas.lines())
    elif args.ablation:
        print(ablation.table(args.ablation))
    else:
        _simulate(args)
    return 0


def _simulate(args: argparse.Namespace) -> None:
    is_large = args.hosts >= MANY_HOSTS
    if is_large:
        _have_large_pages()
    workers = args.workers or (os.cpu_count() if is_large else 1) or 1
    plan = Plan(
        hosts=args.hosts,
        size_bytes=int(args.size_mib * (1 << 20)),
        rate_mbit=args.rate_mbit,
        seed=args.seed,
        latency_s=args.latency_ms / 1000,
        chunk_bytes=args.chunk_kib * 1024 if args.chunk_kib else None,
        slow_hosts=args.slow,
        slow_rate_mbit=args.slow_mbit,
        late_hosts=args.late,
        late_at_s=args.late_at,
        up_mbit=args.up_mbit,
        dying_hosts=args.dying,
        pushed=args.push,
    )
    gc.disable()  # Everything lives to the end: looking for cycles takes 6 % of the time.
    with ideas.without(args.without):
        print(run(plan, workers).lines())


if __name__ == "__main__":
    sys.exit(main())
