"""`python -m tests.benchmark.reading`: a file that is read while it comes, next to a fetch of it.

One holder, one node that runs, and a reader in a process of its own, all on this machine. Fetches
and reads take turns, so that noise affects both alike. What is read is compared outside the time.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

import yaml
from shoal.api.local_node import LocalNode
from shoal.api.reading import Reader, open_reading
from shoal.config.cluster import load

from tests.benchmark.cluster import Cluster
from tests.benchmark.processes import end_when_told, wait_until
from tests.benchmark.workspace import PAYLOAD, Workspace, default_folder, open_workspace

READ_BYTES = 1 << 20
PLACES = 4  # Of the reads that jump, spread over the file.


def main() -> int:
    args = _arguments()
    end_when_told()
    with open_workspace(args.folder, args.size_mib << 20) as workspace:
        workspace.make_payload()
        load_before = os.getloadavg()[0]
        figures = Scene(workspace).measure(args.runs)
    print(json.dumps({"load before": load_before, **figures}, indent=2))
    return 0


class Scene:
    """The cluster, and the folder that is fetched into."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        folders = {"n1": workspace.holder_folder("n1"), "n2": workspace.empty_folder("n2")}
        nodes = {
            name: {"address": f"tcp://127.0.0.1:{workspace.free_port()}", "folder": str(folder)}
            for name, folder in folders.items()
        }
        address = f"tcp://127.0.0.1:{workspace.free_port()}"
        self._config = workspace.folder / "cluster.yaml"
        document = {"tracker": {"address": address}, "nodes": nodes}
        self._config.write_text(yaml.safe_dump(document))
        self._cluster = Cluster(self._config, workspace.children)
        self._cluster.start(["n1", "n2"])
        self._cluster.wait_for_holders(PAYLOAD, ["n1"])

    def measure(self, runs: int) -> dict[str, float]:
        """Return medians over so many runs, after one that does not count."""
        fetches, reads, firsts, jumps = [], [], [], []
        for run in range(runs + 1):
            fetched_s = self._fetch()
            first_s, read_s = self._read()
            jump_s = self._jump()
            if run:
                fetches.append(fetched_s)
                reads.append(read_s)
                firsts.append(first_s)
                jumps.append(jump_s)
        ratios = [fetch / read for fetch, read in zip(fetches, reads, strict=True)]
        return {
            "fetch s": round(statistics.median(fetches), 3),
            "read(1 MiB) to the end s": round(statistics.median(reads), 3),
            "read as a share of the fetch's rate": round(statistics.median(ratios), 3),
            "first byte after open ms": round(1000 * statistics.median(firsts), 1),
            "a jump to bytes that are not here ms": round(1000 * statistics.median(jumps), 1),
        }

    def _fetch(self) -> float:
        """Return how long a fetch takes, as it says itself."""
        command = self._cluster.command("fetch", PAYLOAD, "--as", "n2", "--quiet", "--json")
        took_s = float(json.loads(self._workspace.children.run("fetch", command))["elapsed_s"])
        self._end()
        return took_s

    def _read(self) -> tuple[float, float]:
        """Return when the first byte was there, and when all were, in seconds from the opening."""
        cluster = load(self._config)
        with LocalNode(cluster, cluster.nodes["n2"]) as node:
            began = time.perf_counter()
            with open_reading(node, PAYLOAD) as file:
                file.read(1)
                first_s = time.perf_counter() - began
                size_bytes = 1
                while block := file.read(READ_BYTES):
                    size_bytes += len(block)
                took_s = time.perf_counter() - began
                assert size_bytes == self._workspace.size_bytes
                self._compare(file)
        self._end()
        return first_s, took_s

    def _jump(self) -> float:
        """Return the longest of some reads here and there, while all is being fetched."""
        cluster, longest_s = load(self._config), 0.0
        with (
            LocalNode(cluster, cluster.nodes["n2"]) as node,
            open_reading(node, PAYLOAD) as file,
        ):
            for place in range(PLACES, 0, -1):
                began = time.perf_counter()
                file.seek(file.size * place // PLACES - READ_BYTES)
                file.read(1)
                longest_s = max(longest_s, time.perf_counter() - began)
        self._end()
        return longest_s

    def _compare(self, file: Reader) -> None:
        with self._workspace.payload.open("rb") as expected:
            file.seek(0)
            while block := expected.read(READ_BYTES):
                assert file.read(len(block)) == block

    def _end(self) -> None:
        """Have nothing of it left on n2."""
        self._succeeds("forget", "--delete")  # Unless only a part of it came.
        processes = self._cluster.processes
        wait_until(lambda: self._succeeds("fetch", "--discard"), "nothing is left", processes)

    def _succeeds(self, name: str, option: str) -> bool:
        command = self._cluster.command(name, PAYLOAD, option, "--as", "n2")
        child = self._workspace.children.start(name, command)
        child.reap()
        return child.process.returncode == 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark.reading")
    parser.add_argument("--size-mib", type=int, default=1024, help="of the file (1024)")
    parser.add_argument("--runs", type=int, default=5, help="of each kind (5)")
    parser.add_argument("--folder", type=Path, default=default_folder(), help="a RAM disk, if any")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
