"""The command: the same seed tells the same story; findings can be replayed; many are summed."""

from tests.simulation.faults.asked import ask, outcomes

PLANT = ("--plant", "nothing is due in a fetch")  # Any seed finds it.


def test_the_same_seed_gives_the_same_trace_under_any_hash_seed() -> None:
    one, other = (outcomes(1, 4, hash_seed=seed) for seed in ("1", "2"))
    assert [seed.digest for seed in one] == [seed.digest for seed in other]
    assert len({seed.digest for seed in one}) == len(one)
    assert [seed.hits for seed in one] == [seed.hits for seed in other]
    (alone,) = outcomes(4, 1)
    assert alone.digest == one[-1].digest


def test_a_finding_says_what_happened_and_how_to_replay_it() -> None:
    told = ask("--seed", "1", *PLANT)
    lines = told.stdout.splitlines()
    assert told.returncode == 1, told.stderr
    assert lines[-1] == (
        "replay it: python -m tests.simulation --faults --seed 1"
        " --plant 'nothing is due in a fetch'"
    )
    assert lines[-2].startswith("seed 1: deadlock: ")
    assert 10 < len(lines) <= 42
    assert told.stdout == ask("--seed", "1", *PLANT).stdout


def test_many_seeds_are_summed_up() -> None:
    told = ask("--seed", "1", "--seeds", "2")
    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stdout.splitlines()[-1].startswith("2 seeds, ")
    assert "fetched" in told.stdout
    assert "replay it" not in told.stdout
    found = ask("--seed", "1", "--seeds", "2", *PLANT)
    assert found.returncode == 1
    assert "replay it" in found.stdout


def test_an_unknown_fault_is_refused() -> None:
    told = ask("--plant", "none")
    assert told.returncode == 2
    assert "a failed write is published" in told.stdout
