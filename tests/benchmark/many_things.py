"""`python -m tests.benchmark.many_things`: what a node costs whose folder has many small files.

One node in this process, so that each thread's processor time can be read, and a tracker beside it.
Measures the first announcement of everything, and then one change; not fetches.
"""

import argparse
import contextlib
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
from shoal.node.orders.home import Identity

from tests.benchmark.cluster import Cluster
from tests.benchmark.processes import end_when_told
from tests.benchmark.workspace import Workspace, default_folder, open_workspace

CHANGES = 5
PAUSE_S = 0.002  # Between two look-ups.
PATIENCE_S = 1200.0
LOOK_PERIOD_S = 3.0  # Longer than the interval after which a changed file is hashed again.


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
    with open_workspace(args.folder, 0) as workspace:
        print(json.dumps(measure(workspace, args.things, in_a_tree=args.tree), indent=2))
    return 0


def measure(workspace: Workspace, things: int, *, in_a_tree: bool = False) -> dict[str, float]:
    """Return seconds of processor time by thread, and the longest look-ups in milliseconds."""
    place = workspace.empty_folder("n1")
    _say(f"writing {things} files")
    files = place / "tree" if in_a_tree else place
    for number in range(things):
        path = (
            files / f"{number // 1000:04}" / f"{number:07}" if in_a_tree else files / _name(number)
        )
        if number % 1000 == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d" % number)
    changed = files / ("0000/0000000" if in_a_tree else _name(0))
    with _node(workspace, place) as agent:
        session, watcher = _threads(agent)
        lookups, began = Lookups(agent, _name(0)), time.monotonic()
        assert agent.wait_for_first_look(PATIENCE_S)
        assert agent._session.flush(PATIENCE_S)
        lookups.stop()
        figures = {
            "all: wall s": round(time.monotonic() - began, 2),
            "all: session CPU s": round(session(), 2),
            "all: watcher CPU s": round(watcher(), 2),
            "all: longest find ms": lookups.longest_ms(),
        }
        _say(json.dumps(figures))
        each: list[tuple[float, float, float, float]] = []
        for number in range(CHANGES):
            time.sleep(LOOK_PERIOD_S)
            lookups = Lookups(agent, _name(0))
            before = session(), watcher(), time.monotonic()
            _change(agent, place, changed, number)
            took_s = time.monotonic() - before[2]
            time.sleep(1.0)
            lookups.stop()
            each.append(
                (session() - before[0], watcher() - before[1], took_s, lookups.longest_ms())
            )
        names = "session CPU s", "watcher CPU s", "until the tracker knows, s", "longest find ms"
        columns = zip(names, zip(*each, strict=True), strict=True)
        figures |= {f"change: {name}": round(statistics.median(of), 4) for name, of in columns}
    return figures


def _change(agent: Agent, place: Path, changed: Path, number: int) -> None:
    name = changed.relative_to(place).parts[0]
    thing = agent.inventory.whole(name)
    assert thing is not None
    changed.write_bytes(b"changed %d" % number)
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
    agent = Agent(Identity("n1", addresses[1], place, addresses[0]), FolderLock.take(place))
    try:
        agent.start()
        yield agent
    finally:
        agent.stop()


def _threads(agent: Agent) -> tuple[Callable[[], float], Callable[[], float]]:
    """Return what reads how much processor time the session and the watcher have had."""
    threads = agent._session._thread, agent._watcher._thread
    session, watcher = (
        time.pthread_getcpuclockid(thread.ident) for thread in threads if thread.ident is not None
    )
    return lambda: time.clock_gettime(session), lambda: time.clock_gettime(watcher)


def _name(number: int) -> str:
    return f"{number:07}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark.many_things")
    parser.add_argument("--things", type=int, default=100_000, help="small files (100000)")
    parser.add_argument("--tree", action="store_true", help="all in one directory, as one thing")
    parser.add_argument("--folder", type=Path, default=default_folder(), help="a RAM disk, if any")
    return parser.parse_args()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
