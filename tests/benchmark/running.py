"""A running node that fetches, with metrics that somebody reads each second, or without."""

import json
import sys
from pathlib import Path

from tests.benchmark import scraper
from tests.benchmark.processes import Child, wait_until
from tests.benchmark.shoal import FETCHER, Shoal
from tests.benchmark.transfer import Transfer, run_client
from tests.benchmark.workspace import PAYLOAD, Workspace


class Running(Shoal):
    """Timed: the command `fetch`, which has the node do it. All processes stay up."""

    def __init__(self, workspace: Workspace, holders: int, *, is_watched: bool) -> None:
        super().__init__(workspace, holders)
        self.name = f"shoal-{'watched' if is_watched else 'running'}-{holders}"
        self._places: list[str] = []
        self._is_watched = is_watched
        self._config = workspace.empty_folder(self.name) / "cluster.yaml"
        self._cluster = self._cluster_at(self._config)
        self._scraper: Child | None = None

    def start(self) -> None:
        super().start()
        if not self._is_watched:
            return
        argv = [sys.executable, str(Path(scraper.__file__)), *self._places]
        self._scraper = reading = self._workspace.children.start(f"{self.name}-scraper", argv)
        count = len(self._places)
        wait_until(lambda: f"{count} of {count}" in reading.output(), "all are read", [reading])

    def transfer(self) -> Transfer:
        children, size_bytes = self._workspace.children, self._workspace.size_bytes
        argv = self._cluster.command("fetch", PAYLOAD, "--as", FETCHER, "--quiet", "--json")
        servers = self._cluster.processes
        cost, output = run_client(children, f"{self.name}-fetch", argv, servers)
        report = json.loads(output)
        self._workspace.check_copy(self._config.parent / FETCHER / PAYLOAD)
        children.run(
            f"{self.name}-forget",
            self._cluster.command("forget", PAYLOAD, "--delete", "--as", FETCHER),
        )
        assert report["fetched_bytes"] >= size_bytes, report
        return Transfer(size_bytes=size_bytes, transfer_s=report["elapsed_s"], cost=cost)

    def _running(self) -> list[str]:
        return [*self._holders, FETCHER]

    def _cluster_file(self) -> dict[str, object]:
        told = super()._cluster_file()
        if not self._is_watched:
            return told
        nodes = told["nodes"]
        tracker = told["tracker"]
        assert isinstance(nodes, dict)
        assert isinstance(tracker, dict)
        for process in (tracker, *nodes.values()):
            place = f"127.0.0.1:{self._workspace.free_port()}"
            process["metrics"] = place
            self._places.append(place)
        return told
