"""`python -m tests.benchmark.trees`: trees of small files, and new versions of large ones.

Whole processes, in turn with rsync from a daemon and with b3sum, on loopback and a RAM disk. What
was fetched is compared with what was shared, outside the time.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.benchmark.cluster import Cluster
from tests.benchmark.processes import BenchmarkError, end_when_told
from tests.benchmark.rsync import Rsync
from tests.benchmark.warm_memory import keep_warm
from tests.benchmark.workspace import Workspace, default_folder, open_workspace

MIB = 1 << 20
PLACES, CHANGED_SHARE = 10, 0.01
INSERTED_BYTES = 1024


class Bench:
    """A cluster with a holder and a fetcher, and a rsync daemon that serves the holder's folder."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        folder = workspace.empty_folder("shoal")
        addresses = [f"tcp://127.0.0.1:{workspace.free_port()}" for _ in range(3)]
        self.held, self.fetched = folder / "h", folder / "f"
        self.copied = workspace.empty_folder("copied")
        nodes = {
            name: {"address": at, "folder": name} for name, at in zip("hf", addresses, strict=False)
        }
        config = folder / "cluster.yaml"
        config.write_text(yaml.safe_dump({"tracker": {"address": addresses[2]}, "nodes": nodes}))
        self.held.mkdir()
        self._cluster = Cluster(config, workspace.children)
        self._cluster.start(["h"])
        self.rsync = Rsync(workspace, self.held)
        self.peaks: dict[str, float] = {}

    def shoal(self, *words: str) -> tuple[float, Any]:
        """Return how long a command took as a whole process, and what it said."""
        took_s, output = self.run([*self._cluster.command(*words), "--json"], words[0])
        return took_s, json.loads(output)

    def run(self, argv: list[str], name: str) -> tuple[float, str]:
        child = self.workspace.children.start(name, argv)
        began = time.perf_counter()
        usage = child.reap()
        took_s = time.perf_counter() - began
        child.expect_success()
        self.peaks[name] = max(self.peaks.get(name, 0), usage.ru_maxrss / 1024)
        return took_s, child.output()

    def share(self, name: str, *options: str) -> float:
        took_s, _ = self.shoal("share", str(self.held / name), "--as", "h", *options)
        return took_s

    def fetch(self, name: str) -> tuple[float, Any]:
        return self.shoal("fetch", name, "--as", "f")

    def copy(self, name: str, *options: str) -> float:
        return self.run(self.rsync.command(name, self.copied, *options), "rsync")[0]

    def clear(self, *folders: Path) -> None:
        for folder in folders or (self.fetched, self.copied):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()

    def holder_mib(self) -> float:
        status = Path(f"/proc/{self._cluster.processes[1].pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024


def make_tree(root: Path, files: int, directories: int, size_bytes: int) -> None:
    for directory in range(directories):
        place = root / f"d{directory:04}"
        place.mkdir(parents=True)
        for file in range(files // directories):
            (place / f"f{file:05}.bin").write_bytes(os.urandom(size_bytes))


def compare(one: Path, two: Path) -> None:
    done = subprocess.run(["diff", "-r", one, two], capture_output=True, check=False)
    if done.returncode != 0:
        raise BenchmarkError(f"{two} is not {one}: {done.stdout[:200]!r}")


def small_files(bench: Bench, runs: int) -> Iterator[str]:
    """Fetch 20,000 files of 4 KiB in 200 directories; share them, never seen before."""
    times: dict[str, list[float]] = {"share": [], "fetch": [], "rsync": []}
    for number in range(runs):
        name = f"tree{number}"
        make_tree(bench.workspace.folder / name, 20_000, 200, 4096)
        (bench.workspace.folder / name).rename(bench.workspace.folder / "made")
        outside = bench.workspace.folder / name
        (bench.workspace.folder / "made").rename(outside)
        took_s, _ = bench.shoal("share", str(outside), "--as", "h")
        times["share"].append(took_s)
        bench.clear()
        times["fetch"].append(bench.fetch(name)[0])
        times["rsync"].append(bench.copy(name, "-W"))
        compare(bench.held / name, bench.fetched / name)
        compare(bench.held / name, bench.copied / name)
        bench.clear()
        shutil.rmtree(outside)
        bench.shoal("forget", name, "--delete", "--as", "h")
    yield told("20,000 files of 4 KiB", times)
    yield ratio("fetch", "rsync", times)


def overwrite(path: Path) -> None:
    size_bytes = path.stat().st_size
    length = int(size_bytes * CHANGED_SHARE / PLACES)
    with path.open("r+b") as file:
        for _ in range(PLACES):
            file.seek(random.randrange(size_bytes - length))
            file.write(os.urandom(length))


def insert(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(os.urandom(INSERTED_BYTES) + data)


def versions(
    change: Callable[[Path], None], chunking: str, size_mib: int
) -> Callable[[Bench, int], Iterator[str]]:
    def measure(bench: Bench, runs: int) -> Iterator[str]:
        times: dict[str, list[float]] = {"share": [], "fetch": [], "rsync": []}
        shares: list[float] = []
        path = bench.held / "file.bin"
        with path.open("wb") as file:
            for _ in range(size_mib):
                file.write(os.urandom(MIB))
        bench.share(path.name, "--chunking", chunking)
        bench.fetch(path.name)
        bench.copy(path.name)
        for _ in range(runs):
            change(path)
            times["share"].append(bench.share(path.name))
            took_s, said = bench.fetch(path.name)
            times["fetch"].append(took_s)
            shares.append(said["fetched_bytes"] / said["size_bytes"])
            times["rsync"].append(bench.copy(path.name, "--no-whole-file"))
            compare(path, bench.fetched / path.name)
            compare(path, bench.copied / path.name)
        bench.clear()
        bench.shoal("forget", path.name, "--delete", "--as", "h")
        yield told(f"{size_mib} MiB, {change.__name__}, chunks by {chunking}", times)
        yield f"  moved {100 * statistics.median(shares):.2f} % of the bytes"
        yield ratio("fetch", "rsync", times)
        sums = {"share+fetch": [a + b for a, b in zip(times["share"], times["fetch"], strict=True)]}
        yield ratio("share+fetch", "rsync", times | sums)

    return measure


def huge(size_gib: int) -> Callable[[Bench, int], Iterator[str]]:
    def measure(bench: Bench, runs: int) -> Iterator[str]:
        path = bench.held / "huge.bin"
        times: dict[str, list[float]] = {"share": [], "b3sum": []}
        block = os.urandom(64 * MIB)
        with path.open("wb") as file:
            for number in range(size_gib * 16):
                file.write(number.to_bytes(8, "big") + block[8:])
        for _ in range(runs):
            os.utime(path)  # It is taken to be another.
            times["share"].append(bench.share(path.name))
            argv = ["b3sum", "--num-threads", "2", str(path)]
            times["b3sum"].append(bench.run(argv, "b3sum")[0])
        bench.shoal("forget", path.name, "--delete", "--as", "h")
        yield told(f"{size_gib} GiB", times)
        yield ratio("share", "b3sum", times)

    return measure


def many(files: int) -> Callable[[Bench, int], Iterator[str]]:
    def measure(bench: Bench, _: int) -> Iterator[str]:
        make_tree(bench.workspace.folder / "made", files, max(1, files // 1000), 1)
        (bench.workspace.folder / "made").rename(bench.held / "many")
        share_s = bench.share("many")
        fetch_s, _ = bench.fetch("many")
        count = sum(len(names) for _, _, names in os.walk(bench.fetched / "many"))
        if count != files:
            raise BenchmarkError(f"{count} of {files} files arrived")
        yield f"{files} files of 1 byte: share {share_s:.1f} s, fetch {fetch_s:.1f} s"
        peaks = ", ".join(f"{name} {mib:.0f} MiB" for name, mib in bench.peaks.items())
        yield f"  most memory: the holder's node {bench.holder_mib():.0f} MiB, {peaks}"
        bench.clear()

    return measure


def told(what: str, times: dict[str, list[float]]) -> str:
    medians = (f"{name} {statistics.median(all_s):.2f} s" for name, all_s in times.items())
    each = "; ".join(
        f"{name} {' '.join(f'{one_s:.2f}' for one_s in all_s)}" for name, all_s in times.items()
    )
    return f"{what}: {', '.join(medians)} (medians)\n  {each}"


def ratio(one: str, other: str, times: dict[str, list[float]]) -> str:
    value = statistics.median(times[one]) / statistics.median(times[other])
    return f"  {one} takes {value:.2f} x the time of {other}"


@contextmanager
def bench_in(folder: Path) -> Iterator[Bench]:
    with open_workspace(folder, 0) as workspace:
        keep_warm(workspace.folder / "warm", 4 << 30)
        yield Bench(workspace)


def main() -> None:
    """Measure what is asked for, each with processes of its own."""
    parts: dict[str, Callable[[Bench, int], Iterator[str]]] = {
        "small": small_files,
        "changed": versions(overwrite, "fixed", 1024),
        "inserted": versions(insert, "content", 1024),
        "huge": huge(10),
        "many": many(1_000_000),
    }
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark.trees", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*parts, []], help="all, if none is named")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=default_folder())
    args = parser.parse_args()
    end_when_told()
    for name in args.parts or parts:
        with bench_in(args.folder) as bench:
            for line in parts[name](bench, args.runs):
                print(line, flush=True)


if __name__ == "__main__":
    main()
