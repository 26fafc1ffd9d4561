"""A cluster that changes each second stays as it is, and has everything at the end."""

from pathlib import Path

from tests.faults.soak import Sample, per_hour, soak

SECONDS = 8.0


def test_all_is_complete_after_nodes_came_and_went(tmp_path: Path) -> None:
    with soak(tmp_path / "cluster", seed=1) as made:
        made.run(SECONDS)
        made.finish()
        assert made.events["published"] > 0
        assert made.events["fetched"] > 0


def test_growth_is_told_from_noise() -> None:
    flat = [Sample(float(at), 10 + at % 2, 5, 1000) for at in range(300)]
    growing = [Sample(float(at), 10, 5, 1000 + at) for at in range(300)]
    assert abs(per_hour(flat, "descriptors")) < 5
    assert round(per_hour(growing, "memory_kib")) == 3600
