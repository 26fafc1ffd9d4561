"""A cluster on a lab: the real commands, the tracker on host 1 and node n1 on host 1, n2 on 2, …

Several trackers are on the first hosts, and the store that they share on host 1. Knows the command
line and the cluster file, nothing of what is behind them.
"""

import itertools
import json
import os
import shutil
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.multihost.host_process import HostProcess
from tests.multihost.lab import Lab
from tests.multihost.wait import wait_until

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 20.0  # Takes 1 to 2 s; two busy cores start five interpreters slowly.
COMMAND_TIMEOUT_S = 30.0
TRACKER_PORT = 12000
NODE_PORT = 11001
STORE_PORT = 6379
METRICS_PORT = 9109  # The tracker's, and each host's; n1 has the next one, beside the tracker.

Holdings = Mapping[str, Sequence[str]]


class Setup(NamedTuple):
    """How a cluster is run."""

    trackers: int = 1
    is_secured: bool = False  # With keys.
    is_watched: bool = False  # All serve their metrics.


class Swarm:
    """Every host's node has a folder of its own, made by the caller before the start."""

    def __init__(
        self,
        lab: Lab,
        directory: Path,
        *,
        declare: Holdings | None = None,
        checkouts: Sequence[Path] = (ROOT,),
        setup: Setup = Setup(),  # noqa: B008 (immutable)
    ) -> None:
        """Write the cluster file; `declare` are the holdings that it states.

        `checkouts` are the states of shoal that the nodes run, in turn; all else is this one.
        """
        self.lab = lab
        self.nodes = {f"n{host}": host for host in lab.hosts}
        self.trackers = {
            "tracker" if setup.trackers == 1 else f"t{host}": host for host in lab.hosts
        }
        self.trackers = dict(itertools.islice(self.trackers.items(), setup.trackers))
        self.checkouts = dict(zip(self.nodes, itertools.cycle(checkouts), strict=False))
        self.config = directory / "lab.yaml"
        self._processes: dict[str, HostProcess] = {}
        for name in self.nodes:
            self.folder(name).mkdir(parents=True)
        watched = {"metrics": f"0.0.0.0:{METRICS_PORT}"} if setup.is_watched else {}
        self.config.write_text(yaml.safe_dump(self._cluster(declare or {}) | watched))
        if setup.is_secured:
            assert self.spawn(1, "keys").wait(COMMAND_TIMEOUT_S) == 0

    def metrics(self) -> list[str]:
        """Return where metrics are served."""
        nodes = [
            f"{self.lab.address(host)}:{METRICS_PORT + (host == 1)}" for host in self.nodes.values()
        ]
        return [f"{self.lab.address(1)}:{METRICS_PORT}", *nodes]

    def folder(self, node: str) -> Path:
        return self.config.parent / node

    def start(self, expected: Holdings, nodes: Collection[str] | None = None) -> None:
        """Start all trackers and those nodes, or all.

        Returns when each of them is alive and `ls` shows the expected whole holders.
        """
        if len(self.trackers) > 1:
            self._start_store()
        for name in self.trackers:
            self.start_tracker(name)
        for node in self.nodes if nodes is None else nodes:
            self.restart(node)
        self.wait_for(expected)

    def start_tracker(self, name: str = "tracker") -> None:
        """Start the process of a tracker, which does not run; do not wait for it."""
        self._processes[name] = self.spawn(self.trackers[name], "tracker")

    def _start_store(self) -> None:
        server = shutil.which("redis-server")
        assert server is not None, "redis-server is not installed"
        at = "--bind", self.lab.address(1), "--port", str(STORE_PORT)
        command = server, *at, "--save", "", "--protected-mode", "no"
        self._processes["store"] = self.lab.start(1, command, cwd=self.config.parent)

    def restart(self, node: str) -> None:
        """Start the process of a node, which does not run; do not wait for it."""
        root = self.checkouts[node]
        self._processes[node] = self.spawn(self.nodes[node], "node", node, root=root)

    def wait_for(self, expected: Holdings) -> None:
        """Return when every node that was started is alive, and `ls` shows those whole holders."""
        try:
            wait_until(lambda: self._is_ready(expected), START_TIMEOUT_S, "the cluster is ready")
        except TimeoutError as error:
            error.add_note(str(self))
            raise

    def process(self, name: str) -> HostProcess:
        return self._processes[name]

    def fetch(self, node: str, *names: str) -> HostProcess:
        """Start to fetch; the answer is `result(process)` once it has ended."""
        return self.spawn(self.nodes[node], "fetch", *names, "--as", node, "--json")

    def whole_holders(self) -> dict[str, set[str]]:
        """Give `ls`, cut down to the nodes that hold all of each file."""
        listing = self._ask("ls") or []
        return {
            file["name"]: {each["node"] for each in file["holders"] if each["complete"]}
            for file in listing
            if file["id"]
        }

    def spawn(self, host: int, *arguments: str, root: Path = ROOT) -> HostProcess:
        environ = {key: value for key, value in os.environ.items() if not key.startswith("SHOAL_")}
        command = [sys.executable, str(root / "cli.py"), *arguments, "--config", str(self.config)]
        return self.lab.start(host, command, cwd=self.config.parent, env=environ)

    def _is_ready(self, expected: Holdings) -> bool:
        for name, process in self._processes.items():
            assert process.exit_code is None, f"{name} has ended: {process}"
        status = self._ask("status")
        if status is None:
            return False
        if not all(node["alive"] for node in status["nodes"] if node["node"] in self._processes):
            return False
        holders = self.whole_holders()
        return all(holders.get(name) == set(nodes) for name, nodes in expected.items())

    def _ask(self, command: str) -> Any:
        """Return the command's JSON, None if it failed."""
        process = self.spawn(1, command, "--json")
        return json.loads(process.stdout) if process.wait(COMMAND_TIMEOUT_S) == 0 else None

    def _cluster(self, holdings: Holdings) -> dict[str, Any]:
        nodes = {
            name: {"address": f"tcp://{self.lab.address(host)}:{NODE_PORT}", "folder": name}
            for name, host in self.nodes.items()
        }
        where = [
            {"address": f"tcp://{self.lab.address(host)}:{TRACKER_PORT}"}
            for host in self.trackers.values()
        ]
        store = f"redis://{self.lab.address(1)}:{STORE_PORT}/0"
        tracking = {"trackers": where, "store": store} if where[1:] else {"tracker": where[0]}
        declared = {name: list(holders) for name, holders in holdings.items()}
        return {**tracking, "nodes": nodes, "holdings": declared, "accept_pushes": True}

    def __str__(self) -> str:
        return "\n\n".join(f"{name}: {process}" for name, process in self._processes.items())


def result(fetching: HostProcess, timeout_s: float = COMMAND_TIMEOUT_S) -> Any:
    """Wait for a fetch that must succeed, return its JSON."""
    assert fetching.wait(timeout_s) == 0, fetching
    return json.loads(fetching.stdout)
