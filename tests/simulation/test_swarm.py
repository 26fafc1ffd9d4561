"""Whole swarms in virtual time: all hosts finish, and the same seed gives the same outcome."""

import dataclasses
import functools
import operator
import statistics
import subprocess
import sys

import pytest

from tests.simulation import crew
from tests.simulation.host import Host
from tests.simulation.swarm import Outcome, Part, Plan, bytes_per_s, run

SMALL = Plan(hosts=8, size_bytes=16 << 20, rate_mbit=100)


def everybody_is_done(outcome: Outcome) -> bool:
    return len(outcome.all_s) == outcome.plan.hosts


@pytest.mark.parametrize("seed", range(10))
def test_everybody_finishes(seed: int) -> None:
    assert everybody_is_done(run(dataclasses.replace(SMALL, seed=seed)))


def test_the_same_seed_gives_the_same_outcome_under_any_hash_seed() -> None:
    command = [sys.executable, "-m", "tests.simulation", "--hosts", "6", "--size-mib", "8"]
    told = {
        subprocess.run(
            command, env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1


@pytest.mark.parametrize("workers", [2, 3])
def test_any_number_of_processes_tells_the_same_story(workers: int) -> None:
    """To the last bit: whoever is with whom, all happens in the same order."""
    plan = dataclasses.replace(SMALL, dying_hosts=2, late_hosts=2, late_at_s=0.5)
    assert run(plan, workers) == run(plan)


def test_the_command_simulates_large_swarms_too() -> None:
    """With processes and pages of their own, and the same outcome."""
    command = [sys.executable, "-m", "tests.simulation", "--hosts", "300", "--size-mib", "0.01"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert told.strip() == run(Plan(hosts=300, size_bytes=10_485, rate_mbit=100)).lines()


def test_more_than_all_cannot_die() -> None:
    command = [sys.executable, "-m", "tests.simulation", "--hosts", "4", "--dying", "5"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stderr.splitlines()[-1].split(": ")[-1]) == (
        2,
        "--late and --dying leave too few of --hosts",
    )


def test_all_get_what_is_pushed_and_who_pushes_hears_of_it() -> None:
    plan = Plan(hosts=6, size_bytes=1 << 18, rate_mbit=100, pushed=True)
    outcome = run(plan)
    assert outcome == run(plan, workers=2)
    assert len(outcome.all_s) == plan.hosts
    assert outcome.tracker is not None
    assert {"push", "query", "renew", "update", "verdicts", "wishes"} == set(
        outcome.tracker.received
    )


def test_a_push_costs_the_tracker_no_more_per_node_in_a_larger_swarm() -> None:
    """Of what it is told and tells; the sizes of its answers are bounded from 50 holders on."""
    costs = []
    for hosts in (50, 100):
        outcome = run(Plan(hosts=hosts, size_bytes=1 << 18, rate_mbit=50, pushed=True))
        assert outcome.tracker is not None
        costs.append(outcome.tracker.per_node(hosts))
    assert all(large < 1.2 * small for small, large in zip(*costs, strict=True)), costs


def test_other_seeds_tell_other_stories() -> None:
    assert run(SMALL) != run(dataclasses.replace(SMALL, seed=2))


@pytest.mark.parametrize("seed", range(1, 5))
@pytest.mark.parametrize("size_mib", [8, 16])
def test_little_is_sent_twice_of_small_files_too(size_mib: int, seed: int) -> None:
    """Of 64 chunks four could be asked of two holders, besides the last two: 5 % came twice."""
    outcome = run(Plan(hosts=16, size_bytes=size_mib << 20, rate_mbit=100, seed=seed))
    assert outcome.duplicate_bytes <= 0.02 * outcome.plan.hosts * outcome.plan.size_bytes


@pytest.mark.parametrize("seed", [1, 4])
def test_those_who_die_hold_nobody_up(seed: int) -> None:
    """Without power, so that no connection ends: everybody waited 5 s once, and somebody 60."""
    plan = Plan(hosts=16, size_bytes=64 << 20, rate_mbit=100, dying_hosts=6, seed=seed)
    outcome = run(plan)
    assert len(outcome.all_s) == plan.hosts - plan.dying_hosts
    assert max(outcome.all_s) < 1.5 * plan.bound_s


@pytest.mark.parametrize("seed", range(1, 4))
def test_the_only_seed_may_die_once_the_others_have_it_all_together(seed: int) -> None:
    """Fault 55: nobody has all of it then, and each chunk may be at one host alone."""
    plan = dataclasses.replace(SMALL, seed=seed)
    part = Part(plan, 0, 1)
    first, *others = (one for one in part._stations.values() if isinstance(one, Host))

    def look() -> None:
        together = functools.reduce(operator.or_, (one.shelf.have for one in others))
        if together == first.shelf.have:
            first.place.dies_at = part.world.now
            assert not any(one.is_over for one in others)
        else:
            first.at(part.world.now + 0.001, look)

    first.at(0.0, look)
    crew.together(
        1, lambda _: part, lambda one, it: one.run(it, 2 * plan.latency_s, plan.limit_s), Part.tell
    )
    assert not first.is_alive
    assert all(one.finished_at for one in others)


def test_an_uplink_can_be_slower_than_the_way_back() -> None:
    plan = dataclasses.replace(SMALL, up_mbit=50)
    assert plan.bound_s == 2 * SMALL.bound_s
    assert min(run(plan).all_s) > plan.bound_s


def test_a_swarm_is_far_quicker_than_one_after_the_other() -> None:
    outcome = run(SMALL)
    assert max(outcome.all_s) < 0.5 * SMALL.hosts * SMALL.bound_s


def test_a_hundred_hosts_get_in_nobody_s_way() -> None:
    """When each asked all others in turn, half of them needed 2.3 x the bound, or more."""
    plan = Plan(hosts=100, size_bytes=8 << 20, rate_mbit=100)
    assert statistics.median(run(plan).all_s) < 2.0 * plan.bound_s


def test_those_who_come_late_finish_too() -> None:
    assert everybody_is_done(run(dataclasses.replace(SMALL, late_hosts=4, late_at_s=1.0)))


@pytest.mark.parametrize(("slow_hosts", "rate_mbit"), [(1, 5.0), (4, 1.0)])
def test_a_slow_host_holds_nobody_up(slow_hosts: int, rate_mbit: float) -> None:
    """Also if it is half of them: fault 108."""
    outcome = run(dataclasses.replace(SMALL, slow_hosts=slow_hosts, slow_rate_mbit=rate_mbit))
    slow, others = outcome.all_s[:slow_hosts], outcome.all_s[slow_hosts:]
    assert max(others) < 0.5 * min(slow)
    assert outcome.lost_holders == 0


@pytest.mark.parametrize("seed", range(5))
def test_a_disk_that_refuses_anything_costs_its_own_host_alone(seed: int) -> None:
    """It publishes nothing; the others, each of which asserts that it has all, finish."""
    plan = dataclasses.replace(SMALL, bad_disks=4, seed=seed)
    assert len(run(plan).all_s) == plan.hosts - plan.bad_disks


@pytest.mark.parametrize("round_trip_s", [0.05, 0.1, 0.2])
def test_a_far_holder_s_link_is_used(round_trip_s: float) -> None:
    """The window stayed at one chunk from 100 ms on: 10 times the bound."""
    plan = Plan(hosts=1, size_bytes=16 << 20, rate_mbit=50, latency_s=round_trip_s / 4)
    assert max(run(plan).all_s) < 1.3 * plan.bound_s


@pytest.mark.parametrize("hosts", [16, 56])
def test_a_host_with_a_very_slow_link_finishes_when_that_is_full(hosts: int) -> None:
    """It waited 60 s for each of the others, and parted with all of them as silent."""
    plan = Plan(hosts=hosts, size_bytes=1 << 20, rate_mbit=1000, slow_hosts=1, slow_rate_mbit=0.064)
    outcome = run(plan)
    assert outcome.lost_holders == 0
    assert max(outcome.all_s) < 1.3 * plan.size_bytes / bytes_per_s(plan.slow_rate_mbit)
    assert outcome.duplicate_bytes <= 0.05 * hosts * plan.size_bytes


def test_long_chunks_over_slow_links_come_once() -> None:
    """Each took longer than the 5 s and 30 s that were waited: 98 % came twice."""
    plan = Plan(hosts=8, size_bytes=64 << 20, rate_mbit=4, chunk_bytes=4 << 20)
    outcome = run(plan)
    assert outcome.lost_holders == 0
    assert outcome.duplicate_bytes <= 0.05 * plan.hosts * plan.size_bytes
