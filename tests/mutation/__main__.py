"""The command: lays a copy out as mutmut takes it, has it try a sample, and says what survived."""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from random import Random

from tests.planted.__main__ import ROOT, copy_to

PACKAGES = (
    "protocol",
    "broker/tracking",
    "node/fetching",
    "node/scheduling",
    "node/serving",
    "node/trees",
)
PROJECT = "pyproject.toml"
NOTICED, NOT_TRIED = "noticed", "not tried"
# mutmut's exit codes for mutants: pytest's, and its own. All others are ends of a mutant too.
STATES = {0: "survived", 2: NOT_TRIED, 5: "without a test", 33: "without a test", None: NOT_TRIED}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("package", nargs="*", help=f"some of {', '.join(PACKAGES)}")
    parser.add_argument("--count", type=int, default=60, help="mutants of each package")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="so many at a time")
    parser.add_argument("--keep", type=Path, help="a folder to work in, and to go on in later")
    options = parser.parse_args()
    packages = options.package or PACKAGES
    if set(packages) - set(PACKAGES):
        parser.error(f"the packages are {', '.join(PACKAGES)}")
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        place = options.keep or Path(folder)
        if not (place / PROJECT).exists():
            _lay_out(place)
        jobs = ["--max-children", str(options.jobs)]
        _mutmut(place, "run", *jobs, "no-mutant", check=False)  # It makes all, and finds none.
        chosen = sampled(codes_in(place), packages, options.count, options.seed)
        _mutmut(place, "run", *jobs, *chosen)
        found = {name: code for name, code in codes_in(place).items() if name in chosen}
        print(*table(found), sep="\n", flush=True)
        for name in (name for name, code in found.items() if state(code) != NOTICED):
            _mutmut(place, "show", name)
    return 0


def package_of(mutant: str) -> str:
    """Return the package of `shoal.node.trees.part.x_ab__mutmut_3`, as a path."""
    return "/".join(mutant.split(".")[1:-2])


def sampled(
    mutants: Iterable[str], packages: Iterable[str], count: int, seed: int
) -> Sequence[str]:
    """Return up to `count` mutants of each package; the same ones for the same seed."""
    chosen: list[str] = []
    for package in packages:
        every = sorted(one for one in mutants if package_of(one) == package)
        chosen += Random(f"{seed} {package}").sample(every, min(count, len(every)))
    return chosen


def state(code: int | None) -> str:
    return STATES.get(code, NOTICED)


def table(codes: Mapping[str, int | None]) -> Iterable[str]:
    """Yield a table of how many of each package's mutants were noticed."""
    yield "| package | mutants | noticed | survived | without a test | not tried |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for package in sorted(set(map(package_of, codes))):
        of = Counter(state(code) for name, code in codes.items() if package_of(name) == package)
        counts = [of[key] for key in (NOTICED, "survived", "without a test", NOT_TRIED)]
        yield f"| {package} | {of.total()} | {' | '.join(map(str, counts))} |"


def codes_in(place: Path) -> dict[str, int | None]:
    """Return all mutants in a folder, each with what mutmut notes of it."""
    told = (json.loads(path.read_text()) for path in sorted(place.rglob("*.py.meta")))
    return {name: code for one in told for name, code in one["exit_code_by_key"].items()}


def _lay_out(place: Path) -> None:
    """Copy the product to `src/shoal`, where mutmut expects a package, and its tests beside it."""
    copy_to(place / "src/shoal")
    (place / "src/shoal/tests").rename(place / "tests")
    text = (ROOT / PROJECT).read_text()
    sources = [f"src/shoal/{package}/*.py" for package in PACKAGES]
    tests = [f"tests/unit/{package}" for package in PACKAGES]
    text += f"""
[tool.mutmut]
source_paths = ["src"]
only_mutate = {json.dumps(sources)}
pytest_add_cli_args_test_selection = {json.dumps(tests)}
pytest_add_cli_args = ["--timeout=0"]  # mutmut limits the processor time instead.
timeout_multiplier = 2.0  # Of the processor time that a mutant's tests take otherwise.
use_git_change_detection = false
track_dependencies = false
"""
    (place / PROJECT).write_text(text)


def _mutmut(place: Path, *arguments: str, check: bool = True) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mutmut", *arguments],
        cwd=place,
        env=os.environ | {"HYPOTHESIS_PROFILE": "few"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if arguments[0] == "show":
        print(re.sub(r"\A.*?(?=^# )", "", done.stdout, flags=re.DOTALL | re.MULTILINE), flush=True)
    elif check and done.returncode:
        raise RuntimeError(f"mutmut ended with {done.returncode}:\n{done.stdout[-2000:]}")


if __name__ == "__main__":
    sys.exit(main())
