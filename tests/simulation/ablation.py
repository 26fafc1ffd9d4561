"""What each idea of the swarm's policy is worth: swarms without it, as a table for the page."""

import dataclasses
import math
import multiprocessing
import os
import statistics
from typing import NamedTuple

from tests.simulation.ideas import IDEAS, without
from tests.simulation.swarm import Outcome, Plan, run

MEBIBYTE = 1 << 20
NOTHING = "nothing"  # Is switched off.
NEVER = 20  # Times the bound: a host that has not finished by then counts as one that never does.
SETUPS = {
    "16 hosts": Plan(16, 64 * MEBIBYTE, 100),
    "6 of them die": Plan(16, 64 * MEBIBYTE, 100, dying_hosts=6),
    "64 hosts": Plan(64, 8 * MEBIBYTE, 100),
    "slow links": Plan(8, 64 * MEBIBYTE, 4, chunk_bytes=4 * MEBIBYTE),
    "far holder": Plan(1, 16 * MEBIBYTE, 50, latency_s=0.05),
}


class Job(NamedTuple):
    idea: str
    setup: str
    seed: int


class Figures(NamedTuple):
    """Multiples: of the bound, and of the file. Infinite if somebody never finished."""

    last: float
    sent_by_seed: float
    sent_twice: float


def table(seeds: int) -> str:
    """Return the table, the means of so many seeds, in Markdown."""
    jobs = [
        Job(idea, setup, seed)
        for setup in SETUPS
        for idea in (NOTHING, *IDEAS)
        for seed in range(1, seeds + 1)
    ]
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        all_figures = dict(zip(jobs, pool.map(figures, jobs, chunksize=1), strict=True))
    lines = [
        f"| without | {' | '.join(SETUPS)} | sent by the seed | sent twice |",
        f"| --- {'| --- ' * (len(SETUPS) + 2)}|",
    ]
    for idea in (NOTHING, *IDEAS):
        means = [_means(all_figures, idea, setup) for setup in SETUPS]
        cells = [_shown(one.last) for one in means]
        first = means[0]
        cells += [f"{first.sent_by_seed:.2f} x", f"{100 * first.sent_twice:.1f} %"]
        lines.append(f"| {idea} | {' | '.join(cells)} |")
    return "\n".join(lines)


def figures(job: Job) -> Figures:
    """Simulate one swarm without an idea."""
    plan = SETUPS[job.setup]
    plan = dataclasses.replace(plan, seed=job.seed, limit_s=NEVER * plan.bound_s)
    with without([] if job.idea == NOTHING else [job.idea]):
        return _figures(run(plan))


def _figures(outcome: Outcome) -> Figures:
    plan = outcome.plan
    times = [math.inf if one is None else one for one in outcome.finished_s]
    are_all = len(times) == plan.hosts - plan.dying_hosts
    last = outcome.multiple(max(times)) if are_all else math.inf
    twice = outcome.duplicate_bytes / (plan.hosts * plan.size_bytes)
    return Figures(last, outcome.seed_sent_bytes / plan.size_bytes, twice)


def _means(all_figures: dict[Job, Figures], idea: str, setup: str) -> Figures:
    of_seeds = [one for job, one in all_figures.items() if (job.idea, job.setup) == (idea, setup)]
    return Figures(*map(statistics.mean, zip(*of_seeds, strict=True)))


def _shown(multiple: float) -> str:
    return f"{multiple:.2f}" if multiple < math.inf else "never"
