"""The command: faults of one kind, drawn from a seed, as often or as long as is wanted."""

import argparse
import contextlib
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tests.benchmark.processes import end_when_told
from tests.faults import holders, kills, liars, network, soak

NOTICED_S = 3.0  # By then a fetch goes on without one holder that is cut off.
MOST_CHARACTERS = 4000
MOST_STALL_S = 1.0  # What is promised when half of the holders are lost.


class Failed(Exception):  # noqa: N818 (it is no error of the command)
    """What was promised did not hold."""


def of_networks(options: argparse.Namespace) -> Iterator[str]:
    """Fetch a file and a directory under each fault of the network, so many times."""
    for count in range(options.runs):
        with network.network(options.seed + count) as made:
            for name in _chosen(network.CASES, options):
                for thing in (network.FILE, network.TREE):
                    case = network.CASES[name]
                    done = made.run(case, thing)
                    yield (
                        f"{name}, {thing}: {done.elapsed_s:.1f} s, longest stall "
                        f"{done.stall_s:.2f} s, {len(done.dropped)} dropped"
                    )
                    if not case.is_slow and done.stall_s > NOTICED_S:
                        raise Failed(f"one holder lost, and nothing came for {done.stall_s:.1f} s")


def of_holders(options: argparse.Namespace) -> Iterator[str]:
    """Lose half of the holders, so many times."""
    rng, stalls = random.Random(options.seed), []
    with holders.pairs(holders.LONG_BYTES) as made:
        for _ in range(options.runs):
            run = holders.run(made, holders.drawn(rng))
            stalls.append(run.stall_s)
            yield str(run)
    median, longest = sorted(stalls)[len(stalls) // 2], max(stalls)
    yield f"{len(stalls)} runs, all complete; stalls: median {median:.2f} s, most {longest:.2f} s"
    if longest > MOST_STALL_S:
        raise Failed(f"a stall of {longest:.2f} s; at most {MOST_STALL_S:.0f} s are promised")


def of_liars(options: argparse.Namespace) -> Iterator[str]:
    """Fetch among nine bad holders and an honest one, so many times for each kind."""
    rng = random.Random(options.seed)
    for kind in _chosen((*liars.KINDS, liars.MIXED), options):
        with _folder() as folder, liars.ten_holders(folder / "cluster") as cluster:
            runs = [
                liars.run(cluster, liars.drawn(kind, rng), number) for number in range(options.runs)
            ]
        longest_s, wrong = max(run.elapsed_s for run in runs), max(run.wrong_chunks for run in runs)
        yield (
            f"{kind}: {len(runs)} runs, all complete, the honest one never dropped; "
            f"at most {longest_s:.1f} s and {wrong} wrong chunks"
        )


def of_kills(options: argparse.Namespace) -> Iterator[str]:
    """Kill a fetch so many times, and let each be resumed."""
    rng, lives = random.Random(options.seed), list[kills.Life]()
    with _folder() as folder, kills.lab(folder / "cluster") as lab:
        while sum(life.kills for life in lives) < options.runs:
            way = rng.choice(kills.WAYS)
            lives.append(lab.live(way[0], rng, *way[1:]))
            told = f"{lives[-1].kills} kills, {lives[-1].twice_bytes} bytes sent twice"
            yield f"{' '.join(way)}: {told}"
    killed, twice = sum(life.kills for life in lives), sum(life.twice_bytes for life in lives)
    yield f"{killed} kills in {len(lives)} fetches, all of them resumed; {twice} bytes sent twice"


def of_a_soak(options: argparse.Namespace) -> Iterator[str]:
    """Let a cluster run for so many minutes, with something happening in each second."""
    with _folder() as folder, soak.soak(folder / "cluster", options.seed) as made:
        made.run(60 * options.minutes)
        yield ", ".join(f"{count} {event}" for event, count in made.events.items())
        for name, samples in made.samples.items():
            growth = {
                field: soak.per_hour(samples, field)
                for field in ("descriptors", "threads", "memory_kib")
            }
            last = samples[-1]
            yield (
                f"{name}: {last.descriptors} descriptors ({growth['descriptors']:+.1f}/h), "
                f"{last.threads} threads ({growth['threads']:+.1f}/h), "
                f"{last.memory_kib / 1024:.1f} MiB ({growth['memory_kib'] / 1024:+.1f} MiB/h)"
            )
        made.finish()
        yield "everything is everywhere; descriptors and threads are as before"


KINDS: dict[str, Callable[[argparse.Namespace], Iterator[str]]] = {
    "network": of_networks,
    "holders": of_holders,
    "liars": of_liars,
    "kills": of_kills,
    "soak": of_a_soak,
}


def _chosen(names: Iterable[str], options: argparse.Namespace) -> list[str]:
    return [name for name in names if any(word in name for word in options.only or [""])]


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="shoal-faults-") as made:
        yield Path(made)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--runs", type=int, default=1, help="of each fault; kills in all")
    parser.add_argument("--minutes", type=float, default=1.0, help="of a soak")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", metavar="WORD", help="of network and liars")
    options = parser.parse_args()
    end_when_told()
    began = time.monotonic()
    try:
        for line in KINDS[options.kind](options):
            print(f"{time.monotonic() - began:6.0f} s  {line}", flush=True)
    except (AssertionError, TimeoutError, Failed) as error:
        told = str(error)[:MOST_CHARACTERS]  # Some have all logs.
        print(f"failed, with --seed {options.seed}: {told}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
