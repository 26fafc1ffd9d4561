"""`python -m tests.benchmark.many_things`: what a node costs whose folder has many small files.

One node in this process, so that each thread's processor time can be read, and a tracker beside it.
Measures the first announcement of everything, and then one change; not fetches.
"""

import argparse
import contextlib
import gc
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml
from shoal.node.agent import Agent
from shoal.node.folder.lock import FolderLock
from shoal.node.orders.identity import Identity
from shoal.protocol.trackers import Trackers

from tests.benchmark.cluster import Cluster
from tests.benchmark.processes import end_when_told
from tests.benchmark.workspace import Workspace, default_folder, open_workspace

CHANGES = 5
PAUSE_S = 0.002  # Between two look-ups.
PATIENCE_S = 1200.0
LOOK_PERIOD_S = 3.0  # Longer than the interval after which a changed file is hashed again.
REST_S = 1.0  # What is still to do after a change counts too.


class Lookups:
    """A thread that asks the inventory for one thing again and again, as a holder's server does."""

    def __init__(self, agent: Agent, name: str) -> None:
        self._inventory, self._name = agent.inventory, name
        self._is_over = False
        self.took_s: list[float] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._is_over:
            began = time.perf_counter()
            self._inventory.find(self._name)
            self.took_s.append(time.perf_counter() - began)
            time.sleep(PAUSE_S)

    def stop(self) -> None:
        self._is_over = True
        self._thread.join()

    def longest_ms(self) -> float:
        return round(1000 * max(self.took_s, default=0.0), 2)


def main() -> int:
    args = _arguments()
    end_when_told()
    gc.set_threshold(50_000)  # As a node's process does.
    with open_workspace(args.folder, 0) as workspace:
        print(json.dumps(measure(workspace, args.things, in_a_tree=args.tree), indent=2))
    return 0


def measure(workspace: Workspace, things: int, *, in_a_tree: bool = False) -> dict[str, float]:
    """Return seconds of processor time by thread, and the longest look-ups in milliseconds."""
    place = workspace.empty_folder("n1")
    _say(f"writing {things} files")
    changed = _write(place / "tree" if in_a_tree else place, things, in_a_tree=in_a_tree)
    with _node(workspace, place) as agent:
        figures = _all_announced(agent, changed.relative_to(place).parts[0])
        _say(json.dumps(figures))
        columns = zip(*(_one_change(agent, place, changed) for _ in range(CHANGES)), strict=True)
        names = "session CPU s", "watcher CPU s", "until the tracker knows, s", "longest find ms"
        medians = map(statistics.median, columns)
        return figures | {
            f"change: {name}": round(median, 4) for name, median in zip(names, medians, strict=True)
        }


def _write(place: Path, things: int, *, in_a_tree: bool) -> Path:
    """Write so many files; return the first."""
    path = place
    for number in reversed(range(things)):
        path = place / (f"{number // 1000:04}/{number:07}" if in_a_tree else f"{number:07}")
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True)
        path.write_bytes(b"%d" % number)
    return path


def _all_announced(agent: Agent, name: str) -> dict[str, float]:
    session, watcher = _clocks(agent)
    lookups, began = Lookups(agent, name), time.monotonic()
    assert agent.wait_for_first_look(PATIENCE_S)
    assert agent._session.flush(PATIENCE_S)
    lookups.stop()
    return {
        "all: wall s": round(time.monotonic() - began, 2),
        "all: session CPU s": round(session(), 2),
        "all: watcher CPU s": round(watcher(), 2),
        "all: longest find ms": lookups.longest_ms(),
    }


def _one_change(agent: Agent, place: Path, changed: Path) -> tuple[float, float, float, float]:
    time.sleep(LOOK_PERIOD_S)
    session, watcher = _clocks(agent)
    lookups = Lookups(agent, changed.relative_to(place).parts[0])
    before = session(), watcher(), time.monotonic()
    _change(agent, place, changed)
    took_s = time.monotonic() - before[2]
    time.sleep(REST_S)
    lookups.stop()
    return session() - before[0], watcher() - before[1], took_s, lookups.longest_ms()


def _change(agent: Agent, place: Path, changed: Path) -> None:
    name = changed.relative_to(place).parts[0]
    thing = agent.inventory.whole(name)
    assert thing is not None
    changed.write_bytes(b"changed at %d" % time.monotonic_ns())
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        now = agent.inventory.whole(name)
        if now is not None and now.id != thing.id:
            break
        time.sleep(0.005)
    assert agent._session.flush(PATIENCE_S)


@contextlib.contextmanager
def _node(workspace: Workspace, place: Path) -> Iterator[Agent]:
    addresses = [f"tcp://127.0.0.1:{workspace.free_port()}" for _ in range(2)]
    config = workspace.folder / "cluster.yaml"
    nodes = {"n1": {"address": addresses[1], "folder": str(place)}}
    config.write_text(yaml.safe_dump({"tracker": {"address": addresses[0]}, "nodes": nodes}))
    Cluster(config, workspace.children).start([])
    agent = Agent(
        Identity("n1", addresses[1], place, Trackers([addresses[0]])), FolderLock.take(place)
    )
    try:
        agent.start()
        yield agent
    finally:
        agent.stop()


def _clocks(agent: Agent) -> tuple[Callable[[], float], Callable[[], float]]:
    """Return what reads how much processor time the session and the watcher have had."""
    threads = agent._session._thread, agent._watcher._thread
    session, watcher = (
        time.pthread_getcpuclockid(thread.ident) for thread in threads if thread.ident is not None
    )
    return lambda: time.clock_gettime(session), lambda: time.clock_gettime(watcher)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark.many_things")
    parser.add_argument("--things", type=int, default=99_000, help="small files (99000)")
    parser.add_argument("--tree", action="store_true", help="all in one directory, as one thing")
    parser.add_argument("--folder", type=Path, default=default_folder(), help="a RAM disk, if any")
    return parser.parse_args()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
