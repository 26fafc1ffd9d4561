"""Which mutants are tried, and how they are counted; `python -m tests.mutation` tries them."""

import json
from pathlib import Path

from tests.mutation.__main__ import PACKAGES, codes_in, package_of, sampled, table

ROOT = Path(__file__).parents[2]
PARTS = [f"shoal.node.trees.part.x_ab__mutmut_{number}" for number in range(100)]
NAMES = [f"shoal.protocol.names.xǁNameǁ_ab__mutmut_{number}" for number in range(3)]


def test_a_mutant_belongs_to_its_package() -> None:
    assert package_of(PARTS[0]) == "node/trees"
    assert package_of(NAMES[0]) == "protocol"


def test_a_sample_is_drawn_from_the_seed() -> None:
    drawn = sampled([*PARTS, *NAMES], ["node/trees", "protocol"], 10, 1)
    assert len(set(drawn)) == 13
    assert set(NAMES) < set(drawn)
    assert drawn == sampled([*NAMES, *PARTS[::-1]], ["node/trees", "protocol"], 10, 1)
    assert drawn != sampled([*PARTS, *NAMES], ["node/trees", "protocol"], 10, 2)


def test_what_no_test_noticed_is_counted(tmp_path: Path) -> None:
    codes = dict(zip(NAMES, (1, 0, None), strict=True)) | {PARTS[0]: 36, PARTS[1]: 33}
    (tmp_path / "a").mkdir()
    (tmp_path / "a/names.py.meta").write_text(json.dumps({"exit_code_by_key": codes}))
    assert codes_in(tmp_path) == codes
    assert list(table(codes))[2:] == [
        "| node/trees | 2 | 1 | 0 | 1 | 0 |",
        "| protocol | 3 | 1 | 1 | 0 | 1 |",
    ]


def test_the_packages_and_their_tests_are_there() -> None:
    for package in PACKAGES:
        assert (ROOT / package).is_dir()
        assert (ROOT / "tests/unit" / package).is_dir()
