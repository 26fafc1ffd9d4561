"""shoal itself: one file from one or several holders. Every chunk is checked."""

import importlib.metadata
import json
import platform
from pathlib import Path

import yaml

from tests.benchmark.cluster import Cluster
from tests.benchmark.transfer import Transfer, run_client
from tests.benchmark.workspace import PAYLOAD, Workspace

FETCHER = "f1"


class Shoal:
    """Timed: the whole `fetch` process, from the interpreter's start to its exit."""

    def __init__(self, workspace: Workspace, holders: int, *, is_secured: bool = False) -> None:
        self.name = f"shoal-curve-{holders}" if is_secured else f"shoal-{holders}"
        self._is_secured = is_secured
        self._workspace = workspace
        self._holders = [f"h{number + 1}" for number in range(holders)]
        self._config = workspace.empty_folder(self.name) / "cluster.yaml"
        self._cluster = self._cluster_at(self._config)

    def _cluster_at(self, config: Path) -> Cluster:
        return Cluster(config, self._workspace.children)

    def version(self) -> str:
        return f"Python {platform.python_version()}, pyzmq {importlib.metadata.version('pyzmq')}"

    def start(self) -> None:
        for holder in self._holders:
            self._workspace.holder_folder(f"{self.name}/{holder}")
        self._config.write_text(yaml.safe_dump(self._cluster_file(), sort_keys=False))
        if self._is_secured:
            self._workspace.children.run(f"{self.name}-keys", self._cluster.command("keys"))
        self._cluster.start(self._running())
        self._cluster.wait_for_holders(PAYLOAD, self._holders)

    def transfer(self) -> Transfer:
        folder = self._workspace.empty_folder(f"{self.name}/{FETCHER}")
        argv = self._cluster.command("fetch", PAYLOAD, "--as", FETCHER, "--quiet", "--json")
        name = f"{self.name}-fetch"
        servers = self._cluster.processes
        cost, output = run_client(self._workspace.children, name, argv, servers)
        report = json.loads(output)
        self._workspace.check_copy(folder / PAYLOAD)
        self._workspace.empty_folder(f"{self.name}/{FETCHER}")
        size_bytes = self._workspace.size_bytes
        assert report["fetched_bytes"] >= size_bytes, report  # nothing reused from a round before
        return Transfer(
            size_bytes=size_bytes,
            transfer_s=report["elapsed_s"],
            cost=cost,
        )

    def _running(self) -> list[str]:
        """Return the nodes that stay up."""
        return self._holders

    def _cluster_file(self) -> dict[str, object]:
        return {
            "tracker": {"address": self._free_address()},
            "nodes": {
                name: {"address": self._free_address(), "folder": name}
                for name in [*self._holders, FETCHER]
            },
        }

    def _free_address(self) -> str:
        return f"tcp://127.0.0.1:{self._workspace.free_port()}"
