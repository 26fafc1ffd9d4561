"""One planted fault: what the code says, what is put there instead, and the tests that see it."""

from typing import NamedTuple

UNIT = "tests/unit/"
NODE = UNIT + "node/"
CALLS = "tests/disk_faults/test_calls.py"  # Real processes, of which calls fail, …
POWER = "tests/disk_faults/test_power.py"  # … or whose disk loses its power.


class Fault(NamedTuple):
    """One planted fault: edits of the file at `path`, and the tests, for pytest, that see it.

    An edit is what occurs once in the file, and what comes instead. Where one line stands behind
    another, so that neither alone keeps the promise, there are several.
    """

    name: str
    path: str
    edits: tuple[tuple[str, str], ...]
    tests: tuple[str, ...]


def fault(name: str, path: str, right: str, wrong: str, *tests: str) -> Fault:
    return Fault(name, path, ((right, wrong),), tests)
