"""The command: each fault in a copy of the code, on all processors; says which test sees it."""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.planted.fault import Fault
from tests.planted.faults import FAULTS

ROOT = Path(__file__).parents[2]
LIMIT_S = 300.0  # A fault that makes its tests hang has been seen, too.
FAILED = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.planted", description=__doc__)
    parser.add_argument("word", nargs="*", help="only faults whose names contain one of these")
    parser.add_argument("--list", action="store_true", help="list the faults and exit")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="so many at a time")
    options = parser.parse_args()
    chosen = [one for one in FAULTS if not options.word or any(w in one.name for w in options.word)]
    if options.list or not chosen:
        print(*(one.name for one in chosen), sep="\n")
        return 0 if chosen else 2
    with ThreadPoolExecutor(options.jobs) as pool:
        survivors = sum(pool.map(_survives, chosen))
    print(f"{len(chosen) - survivors} of {len(chosen)} planted faults were found")
    return 1 if survivors else 0


def planted(fault: Fault, text: str) -> str:
    """Return the text of the fault's file with the fault in it.

    Raises:
        ValueError: the code is not, or not once, as the fault takes it to be.
    """
    for right, wrong in fault.edits:
        if text.count(right) != 1:
            raise ValueError(f"{fault.name}: {fault.path} does not have its line once")
        text = text.replace(right, wrong)
    return text


def _survives(fault: Fault) -> bool:
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        copy = Path(folder) / "shoal"
        copy_to(copy)
        path = copy / fault.path
        path.write_text(planted(fault, path.read_text()))
        seen = _tests_that_fail(fault, copy)
    print(f"{'survived' if seen is None else 'found'}: {fault.name}", end="")
    print(f" ({seen})" if seen else "", flush=True)
    return seen is None


def copy_to(copy: Path) -> None:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)


def _tests_that_fail(fault: Fault, copy: Path) -> str | None:
    """Return which test sees the fault first, or how it was seen; None if none does."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *fault.tests]
    environment = os.environ | {"PYTHONPATH": str(copy.parent)}  # There the copy is `shoal`.
    tests = subprocess.Popen(
        command,
        cwd=copy,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = tests.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(tests.pid, signal.SIGKILL)  # With the trackers and nodes that they started.
        tests.communicate()
        return "its tests hang"
    if tests.returncode == 0:
        return None
    if tests.returncode < 0:  # libzmq aborts a process in which it finds the impossible.
        return f"its tests are ended by {signal.Signals(-tests.returncode).name}"
    failed = FAILED.search(output)
    if tests.returncode == 1 and failed:
        return failed[1]
    raise RuntimeError(f"{fault.name}: pytest ended with {tests.returncode}:\n{output[-2000:]}")


if __name__ == "__main__":
    sys.exit(main())
