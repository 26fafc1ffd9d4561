"""The lab's network namespaces by name: batches of commands, who is inside, what a crash left.

Knows nothing of hosts, links or rates.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

DIRECTORY = Path("/var/run/netns")  # Where `ip netns` keeps the names.
OWNED_NAME = re.compile(r"shoal-lab-(?P<pid>\d+)-\d+-\w+")
DEATH_TIMEOUT_S = 10.0  # SIGKILL takes milliseconds unless the process sits in a stuck disk call.


class LabError(Exception):
    """The lab cannot be built or changed here; the message says which command failed, and how."""


def name_prefix(pid: int, count: int) -> str:
    """Begin the names of one lab: its owner's pid tells a lab in use from a crash's leftovers."""
    return f"shoal-lab-{pid}-{count}-"


def existing(prefix: str) -> list[str]:
    if not DIRECTORY.is_dir():
        return []
    return sorted(path.name for path in DIRECTORY.iterdir() if path.name.startswith(prefix))


def run_batches(batches: Iterable[tuple[Sequence[str], Sequence[str]]]) -> None:
    """Run (command, lines for its standard input) pairs side by side; raise LabError on the first.

    One process for each namespace and tool: 35 hosts take 0.2 s, one process for each line 0.7 s.
    """
    try:
        running = [(_start_batch(command), lines) for command, lines in batches]
    except OSError as error:
        raise LabError(
            f"cannot run {error.filename}: {error.strerror}; install iproute2"
        ) from error
    failures = []
    for process, lines in running:
        _, stderr = process.communicate("".join(f"{line}\n" for line in lines))
        if process.returncode != 0:
            failures.append(f"{' '.join(map(str, process.args))}: {stderr.strip()}")  # type: ignore[arg-type]
    if failures:
        raise LabError(failures[0])


def _start_batch(command: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def pids_inside(names: Iterable[str]) -> list[int]:
    """Give every process in these namespaces, however it was detached from whoever started it."""
    inodes = {(DIRECTORY / name).stat().st_ino for name in names}
    pids = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and (entry / "ns/net").stat().st_ino in inodes:
                pids.append(int(entry.name))
        except OSError:  # It has ended, or is a zombie.
            continue
    return pids


def remove(names: Sequence[str]) -> None:
    """Kill what runs in these namespaces of ours, then delete them."""
    give_up_at = time.monotonic() + DEATH_TIMEOUT_S
    while pids := pids_inside(names):
        for pid in pids:
            _kill(pid)
        if time.monotonic() > give_up_at:
            raise LabError(f"processes {pids} outlive SIGKILL; delete {list(names)} by hand")
        time.sleep(0.005)
    run_batches([(["ip", "-force", "-batch", "-"], [f"netns del {name}" for name in names])])


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def remove_leftovers(own_prefix: str) -> None:
    """Remove labs whose owner was killed before it could tear them down.

    A name that already has our own, never yet used prefix is an earlier process's with our pid.
    """
    leftovers = [
        name
        for name in existing("shoal-lab-")
        if name.startswith(own_prefix) or _owner_is_dead(name)
    ]
    if leftovers:
        remove(leftovers)


def _owner_is_dead(name: str) -> bool:
    match = OWNED_NAME.fullmatch(name)
    return match is not None and not Path("/proc", match["pid"]).exists()
