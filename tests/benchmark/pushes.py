"""`python -m tests.benchmark.pushes`: a push to many, of whom some are off, full or late.

One host has a file; all others shall have it. When does the last of those that are there have it,
is the verdict right for each, who serves the late one, and have all of them got it in the end?
Every host is a network namespace with a limited link. Needs root and iproute2.
"""

import argparse
import contextlib
import itertools
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

from tests.benchmark.contenders import LIMIT_S, SETTLE_S
from tests.benchmark.processes import end_when_told
from tests.benchmark.report import machine
from tests.benchmark.swarm import stream_rate
from tests.benchmark.warm_memory import SPARE_BYTES, keep_warm
from tests.benchmark.workspace import PAYLOAD, default_folder
from tests.multihost.lab import Lab
from tests.multihost.swarm import Setup, Swarm
from tests.multihost.wait import wait_until

LOOK_S = 0.02
TRACKER_AWAY_S = 2.0


class Cast(NamedTuple):
    """The names of the nodes, by what becomes of them."""

    source: str
    prompt: list[str]
    off: list[str]
    full: list[str]
    late: list[str]

    @property
    def at_start(self) -> list[str]:
        return [self.source, *self.prompt, *self.full]

    def states(self) -> dict[str, str]:
        """Return the verdict that is right at first."""
        done = dict.fromkeys([self.source, *self.prompt], "done")
        return (
            done
            | dict.fromkeys(self.off + self.late, "offline")
            | dict.fromkeys(self.full, "failed")
        )


class Watch:
    """Notes when each node has begun and when it has all, from its folder."""

    def __init__(self, swarm: Swarm, nodes: list[str]) -> None:
        self.begun: dict[str, float] = {}
        self.done: dict[str, float] = {}
        self._swarm = swarm
        self._nodes = nodes
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_over.wait(LOOK_S):
            now = time.monotonic()
            for node in self._nodes:
                folder = self._swarm.folder(node)
                if node not in self.begun and any(folder.glob(".shoal/partial/*/data")):
                    self.begun[node] = now
                if node not in self.done and (folder / PAYLOAD).exists():
                    self.done[node] = now


@contextlib.contextmanager
def small_disks(swarm: Swarm, nodes: list[str], size_bytes: int) -> Iterator[None]:
    """Have the folders of nodes be on disks of half that size."""
    folders = [swarm.folder(node) for node in nodes]
    for folder in folders:
        size = f"size={size_bytes // 2}"
        subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder], check=True)
    try:
        yield
    finally:
        for folder in folders:
            subprocess.run(["umount", "--lazy", folder], check=True)


def pushed(swarm: Swarm, cast: Cast, args: argparse.Namespace, bound_s: float) -> None:
    """Push, and print what came of it."""
    lab, size_bytes = swarm.lab, args.size_mib << 20
    sent_before = lab.sent_bytes(1)
    with Watch(swarm, cast.prompt) as watch:
        began = time.monotonic()
        pushing = swarm.spawn(1, "push", PAYLOAD, "--wait", "--json")
        if args.kill or args.hang:
            time.sleep(bound_s / 2)
            _disturb(swarm, args)
        exit_code = pushing.wait(LIMIT_S)
        wait_until(lambda: len(watch.done) == len(cast.prompt), LIMIT_S, "all have it")
    sent = (lab.sent_bytes(1) - sent_before) / size_bytes
    first_s = max(at - began for at in watch.begun.values())
    last_s = max(at - began for at in watch.done.values())
    print(f"the last to begin: {first_s:.2f} s after the command was started")
    print(
        f"the last of {len(cast.prompt)}: {last_s:.2f} s, {last_s / bound_s:.3f} x the bound of"
        f" {bound_s:.2f} s ({(last_s - 3) / bound_s:.3f} x less 3 s); the source sent {sent:.2f} x"
        " the file"
    )
    told = {one["node"]: one["state"] for one in json.loads(pushing.stdout)["nodes"]}
    is_right = told == cast.states()
    print(
        f"exit code {exit_code}; the verdict is {'right for each' if is_right else told}",
        flush=True,
    )
    expected = 6 if cast.off or cast.full or cast.late else 0
    assert (exit_code, is_right) == (expected, True), pushing


def _disturb(swarm: Swarm, args: argparse.Namespace) -> None:
    """End or freeze some of the trackers; the only one is started again."""
    names = [*swarm.trackers][-max(args.kill, args.hang) :]
    for name in names:
        swarm.process(name).send_signal(signal.SIGKILL if args.kill else signal.SIGSTOP)
    if len(swarm.trackers) == 1:
        time.sleep(TRACKER_AWAY_S)
        swarm.start_tracker()


def came_late(swarm: Swarm, cast: Cast, bound_s: float, size_bytes: int) -> None:
    """Have the late ones start, and print how long they took, and who served them."""
    sent_before = swarm.lab.sent_bytes(1)
    began = time.monotonic()
    for node in cast.late:
        swarm.restart(node)
    waited = swarm.spawn(1, "wait", PAYLOAD, "--on", ",".join(cast.late), "--timeout", "600")
    assert waited.wait(LIMIT_S) == 0, waited
    took_s = time.monotonic() - began
    share = (swarm.lab.sent_bytes(1) - sent_before) / size_bytes / len(cast.late)
    print(
        f"late: {took_s:.2f} s from the start of its process, {took_s / bound_s:.3f} x the bound;"
        f" {100 * share:.0f} % of it from the source",
        flush=True,
    )


def came_back(swarm: Swarm, cast: Cast, size_bytes: int) -> None:
    """Have all be there and have room; print whether they have it in the end."""
    for node in cast.full:
        size = f"remount,size={4 * size_bytes}"
        subprocess.run(["mount", "-o", size, swarm.folder(node)], check=True)
    for node in cast.off:
        swarm.restart(node)
    waited = swarm.spawn(1, "wait", PAYLOAD, "--on", "all", "--timeout", "600")
    code = waited.wait(LIMIT_S)
    print(f"when they are back: exit code {code}; {waited.stdout.strip()}", flush=True)
    assert code == 0, waited


def _run(args: argparse.Namespace, place: Path) -> None:
    size_bytes = args.size_mib << 20
    bound_s = size_bytes / stream_rate(place, args.rate_mbit)
    counts = 1, args.hosts, args.off, args.full, args.late
    names = (f"n{number}" for number in itertools.count(1))
    (source,), *others = [list(itertools.islice(names, count)) for count in counts]
    cast = Cast(source, *others)
    with (
        tempfile.TemporaryDirectory(dir=place) as folder,
        Lab(sum(counts), args.rate_mbit, directory=Path(folder)) as lab,
    ):
        swarm = Swarm(lab, Path(folder), setup=Setup(args.trackers))
        with small_disks(swarm, cast.full, size_bytes):
            with Path("/dev/urandom").open("rb") as noise:
                (swarm.folder(source) / PAYLOAD).write_bytes(noise.read(size_bytes))
            swarm.start({PAYLOAD: [source]}, cast.at_start)
            time.sleep(SETTLE_S)
            pushed(swarm, cast, args, bound_s)
            if cast.late:
                time.sleep(args.late_after_s)
                came_late(swarm, cast, bound_s, size_bytes)
            if cast.off or cast.full:
                came_back(swarm, cast, size_bytes)


def main() -> None:
    """Measure once, and print what came of it; fail if a verdict is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark.pushes", description=__doc__)
    parser.add_argument("--hosts", type=int, default=12, help="that run from the start (12)")
    parser.add_argument("--off", type=int, default=3, help="so many more are off (3)")
    parser.add_argument("--full", type=int, default=1, help="so many have no room (1)")
    parser.add_argument("--late", type=int, default=1, help="so many join later (1)")
    parser.add_argument("--late-after-s", type=float, default=60.0, help="so much later (60)")
    parser.add_argument("--rate-mbit", type=float, default=100.0)
    parser.add_argument("--size-mib", type=int, default=256)
    parser.add_argument("--trackers", type=int, default=1, help="several share a Redis (1)")
    parser.add_argument("--kill", type=int, default=0, help="so many trackers midway")
    parser.add_argument("--hang", type=int, default=0, help="so many trackers from midway on")
    parser.add_argument("--folder", type=Path, default=default_folder(), help="a RAM disk, if any")
    args = parser.parse_args()
    end_when_told()
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    print(*(f"{name}: {value}" for name, value in machine().items()), sep=", ")
    with tempfile.TemporaryDirectory(prefix="shoal-push-", dir=args.folder) as directory:
        everyone = args.hosts + args.off + args.late + 1
        keep_warm(Path(directory) / "warm", (args.size_mib << 20) * everyone + 2 * SPARE_BYTES)
        _run(args, Path(directory))


if __name__ == "__main__":
    main()
