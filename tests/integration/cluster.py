"""A cluster of real processes, each a `python cli.py …`, in a folder of its own. For tests."""

import contextlib
import dataclasses
import functools
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from shoal.api.asking import ask, trackers_of
from shoal.api.security import towards_tracker
from shoal.config.cluster import load
from shoal.protocol.errors import OperatorError
from shoal.protocol.keyring import Towards
from shoal.protocol.messages import Files, List, Status, TrackerStatus

from tests.multihost.host_process import HostProcess, launch
from tests.multihost.wait import wait_until

ROOT = Path(__file__).parents[2]
CLI = (sys.executable, str(ROOT / "cli.py"))
LIMIT_S = 30.0  # For anything to come about, on a busy machine.
STOP_S = 5.0  # What the first signal is allowed to take.
FIRST_PORT, LAST_PORT = 20_000, 32_000  # Below those that the kernel gives to clients.
BIG_BYTES = 256 << 20  # Takes 0.3 s at the least: there is a middle to catch.
_given_ports: set[int] = set()
SIGNS_OF_A_BUG = re.compile(r"Traceback|is a bug|into a bug|Assertion|a bug in")


@dataclasses.dataclass(frozen=True)
class Result:
    """What a command did."""

    exit_code: int
    stdout: str
    stderr: str
    elapsed_s: float

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def errors(self) -> list[str]:
        return [line for line in self.stderr.splitlines() if line.startswith("error: ")]


def fails(done: Result, exit_code: int, *words: str) -> None:
    """Assert that a command said one line of error with these words, and how it ended."""
    assert done.exit_code == exit_code, done
    assert len(done.errors) == 1, done.stderr
    for word in words:
        assert word in done.errors[0]


class Cluster:
    """One cluster file and what runs by it; `close` ends all of it."""

    def __init__(
        self,
        folder: Path,
        nodes: Sequence[str] = ("n1", "n2", "n3"),
        holdings: Mapping[str, Sequence[str]] | None = None,
        hosts: Mapping[str, str] | None = None,
        quotas_gb: Mapping[str, float] | None = None,
    ) -> None:
        """Write the cluster file. `hosts` gives single nodes another address than 127.0.0.1."""
        self.path = folder
        self.file = folder / "cluster.yaml"
        self.tracker_address = free_address()
        self.addresses = {node: free_address((hosts or {}).get(node)) for node in nodes}
        self._running: dict[str, HostProcess] = {}
        self._ended: list[HostProcess] = []
        quotas = quotas_gb or {}
        lines = ["tracker:", f"  address: {self.tracker_address}", "nodes:"]
        for node, address in self.addresses.items():
            quota = f", quota_gb: {quotas[node]}" if node in quotas else ""
            lines.append(f"  {node}: {{address: '{address}', folder: {node}{quota}}}")
            self.folder(node).mkdir(parents=True)
        for name, holders in (holdings or {}).items():
            lines += [] if "holdings:" in lines else ["holdings:"]
            lines.append(f"  {name}: [{', '.join(holders)}]")
        self.file.write_text("\n".join(lines) + "\n")

    # Files.

    def folder(self, node: str) -> Path:
        return self.path / node

    def put(self, name: str, data: bytes, *nodes: str) -> None:
        """Lay a file into the folders of nodes; it appears whole."""
        for node in nodes:
            target = self.folder(node) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            aside = self.path / "aside"
            aside.write_bytes(data)
            aside.rename(target)

    def files(self, node: str) -> dict[str, bytes]:
        """Return what lies in a node's folder under names of its own."""
        return {name: (self.folder(node) / name).read_bytes() for name in self.names(node)}

    def names(self, node: str) -> list[str]:
        found = self.folder(node).rglob("*")
        names = (str(path.relative_to(self.folder(node))) for path in found if path.is_file())
        return sorted(name for name in names if not name.startswith(".shoal/"))

    def things(self, node: str) -> list[str]:
        """Return the files and directories in a node's folder, each of which is one thing."""
        return sorted(path.name for path in self.folder(node).iterdir() if path.name != ".shoal")

    def forget_all(self, *nodes: str) -> None:
        """Have these nodes delete all they hold, and see that nothing is left aside."""
        for node in nodes:
            for name in self.things(node):
                done = self.run("forget", name, "--delete", "--as", node)
                assert done.exit_code == 0, done.stderr
            assert [*(self.folder(node) / ".shoal").glob("[di]*-*")] == []  # deleted, incoming

    def secure(self) -> None:
        """Give keys to all that have none."""
        done = self.run("keys")
        assert done.exit_code == 0, done.stderr

    def _towards(self) -> Towards | None:
        return towards_tracker(load(self.file))

    # Processes that stay.

    def start(self, *nodes: str) -> None:
        """Start the tracker and nodes, and wait until everybody is ready."""
        self.start_tracker()
        for node in nodes:
            self.launch("node", node)
        for node in nodes:
            self.wait_for_node(node)

    def start_tracker(self) -> None:
        tracker = self.launch("tracker")

        def listens() -> bool:
            assert tracker.exit_code is None, tracker.stderr
            return "tracker at" in tracker.stderr

        self.wait(listens, "the tracker listens")

    def start_node(self, node: str) -> None:
        process = self.launch("node", node)
        # After a kill the tracker counts on the one that died, for a while.
        self.wait(lambda: "ready to serve" in process.stderr, f"{node} is ready")
        self.wait_for_node(node)

    def launch(self, *command: str) -> HostProcess:
        """Start a process that stays, and do not wait for it."""
        name = "-".join(command).replace("/", "_")
        assert name not in self._running
        output = self.path / f"{name}.{len(self._ended)}"
        process = launch(self._line(command), output, cwd=self.path, env=environment())
        self._running[name] = process
        return process

    def launch_fetch(self, name: str, node: str, *options: str) -> HostProcess:
        """Start a fetch, which prints JSON, and do not wait for it."""
        return self.launch("fetch", name, "--as", node, "--json", *options)

    def process(self, *command: str) -> HostProcess:
        return self._running["-".join(command).replace("/", "_")]

    def finish(self, process: HostProcess, limit_s: float = LIMIT_S) -> Result:
        """Wait for a launched process to end by itself."""
        started = time.monotonic()
        code = process.wait(limit_s)
        self._forget(process)
        return Result(code, process.stdout, process.stderr, time.monotonic() - started)

    def stop(self, *command: str, number: signal.Signals = signal.SIGTERM) -> Result:
        """Signal a process, and wait until it has ended, within the promised time."""
        process = self.process(*command)
        os.kill(process.pid, number)
        return self.finish(process, STOP_S)

    def kill(self, *command: str) -> None:
        process = self.process(*command)
        process.kill()
        self._forget(process)

    def wait_for_node(self, node: str) -> None:
        """Wait until the tracker knows a started node, and all that is in its folder."""
        count = len(self.things(node))

        def is_ready() -> bool:
            assert self.process("node", node).exit_code is None, self.log("node", node)
            return self.alive().get(node) == count

        self.wait(is_ready, f"{node} has announced {count} things")

    def alive(self) -> dict[str, int]:
        """Return the live nodes with how many things they announced, as the tracker tells it."""
        with contextlib.suppress(OperatorError):
            status = ask(trackers_of(load(self.file)), Status(), TrackerStatus, self._towards())
            return {node.node: node.files for node in status.nodes if node.alive}
        return {}

    def announced(self, node: str) -> set[str]:
        """Return what a node holds, whole or in part, as the tracker tells it."""
        files = ask(trackers_of(load(self.file)), List(), Files, self._towards())
        return {file.name for file in files.files if node in {one.node for one in file.holders}}

    # Commands that end.

    def run(
        self,
        *command: str,
        env: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        limit_s: float = LIMIT_S,
    ) -> Result:
        """Run a command by this cluster's file; `prefix` is a command that runs it."""
        return self.run_alone(
            *command, "--config", str(self.file), env=env, prefix=prefix, limit_s=limit_s
        )

    def run_alone(
        self,
        *command: str,
        env: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        limit_s: float = LIMIT_S,
    ) -> Result:
        """Run a command as it stands, to its end."""
        started = time.monotonic()
        done = subprocess.run(
            [*prefix, *CLI, *command],
            cwd=self.path,
            env={**environment(), **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit_s,
            check=False,
        )
        elapsed_s = time.monotonic() - started
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode(), elapsed_s)

    def fetch(self, *what: str, node: str, options: Sequence[str] = ("--json",)) -> Result:
        return self.run("fetch", *what, "--as", node, *options)

    def fetch_from(self, *holders: str, name: str, node: str) -> Result:
        """Fetch until all these have sent some of it: one may send it all before others do."""
        done = self.fetch(name, node=node)
        for _ in range(2):
            if {*holders} <= set(done.json["holders"]):
                break
            (self.folder(node) / name).unlink()
            if node in self.alive():
                self.wait(lambda: not self.holders(name).get(node), f"{node} has noticed")
            done = self.fetch(name, node=node)
        return done

    def holders(self, name: str) -> dict[str, bool]:
        """Return who has a thing according to `where`, and whether all of it."""
        told = self.run("where", name, "--json").json
        return {one["node"]: one["complete"] for one in told.get("holders", ())}

    # Waiting, and looking back.

    def wait(self, condition: Callable[[], bool], what: str, limit_s: float = LIMIT_S) -> None:
        try:
            wait_until(condition, limit_s, what)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.logs()}") from None

    def log(self, *command: str) -> str:
        """Return what all processes of that command have said so far, the earlier ones first."""
        pattern = "-".join(command).replace("/", "_")
        return "".join(path.read_text() for path in sorted(self.path.glob(f"{pattern}.*.stderr")))

    def logs(self) -> str:
        paths = sorted(self.path.glob("*.std*"))
        return "\n".join(f"== {path.name}\n{path.read_text(errors='replace')}" for path in paths)

    def close(self) -> None:
        """End everything, and remove the files.

        Raises AssertionError if any process said that it has a bug.
        """
        tracker = [process for name, process in self._running.items() if name == "tracker"]
        others = [process for name, process in self._running.items() if name != "tracker"]
        for group in (others, tracker):  # Or the nodes would wait for it when they say goodbye.
            for process in group:
                process.send_signal(signal.SIGTERM)
                process.send_signal(signal.SIGCONT)
            for process in group:
                with contextlib.suppress(TimeoutError):
                    process.wait(STOP_S)
                process.kill()
                self._forget(process)
        for node in self.addresses:  # Gigabytes, of which pytest would keep those of three runs.
            shutil.rmtree(self.folder(node), ignore_errors=True)
        assert not SIGNS_OF_A_BUG.search(self.logs()), self.logs()

    def _forget(self, process: HostProcess) -> None:
        self._running = {name: one for name, one in self._running.items() if one is not process}
        self._ended.append(process)

    def _line(self, command: Sequence[str]) -> list[str]:
        return [*CLI, *command, "--config", str(self.file)]


@contextlib.contextmanager
def cluster_in(folder: Path, **options: Any) -> Iterator[Cluster]:
    """Give a cluster (see Cluster for the options), and end it."""
    cluster = Cluster(folder, **options)
    try:
        yield cluster
    finally:
        cluster.close()


@contextlib.contextmanager
def frozen(*processes: HostProcess) -> Iterator[None]:
    """Stop processes for a while, as a hung machine does."""
    for process in processes:
        os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            if process.exit_code is None:
                os.kill(process.pid, signal.SIGCONT)


@contextlib.contextmanager
def frozen_in_the_middle(
    cluster: Cluster,
    name: str,
    asker: str,
    *holders: str,
    is_enough: Callable[[], bool] = lambda: True,
) -> Iterator[None]:
    """Freeze the holders of a big file once each has sent some of it to `asker`, and `is_enough`.

    To be used once for an asker: a node says only at first each part that it uploads.
    """
    pattern = re.compile(rf"Uploading {re.escape(name)} .* to {asker}\n")
    for holder in holders:
        log = functools.partial(cluster.log, "node", holder)
        cluster.wait(
            lambda log=log: len(pattern.findall(log())) > 1,  # type: ignore[misc]
            f"{holder} is in the middle of sending {name} to {asker}",
        )
    while True:
        with frozen(*(cluster.process("node", holder) for holder in holders)):
            if is_enough():
                yield
                return
        time.sleep(0.005)


def environment() -> dict[str, str]:
    """Return the environment without what would change the commands' defaults."""
    return {key: value for key, value in os.environ.items() if not key.startswith("SHOAL_")}


def free_address(host: str | None = None) -> str:
    """Return an address that is free now, and was not given before."""
    host = host or "127.0.0.1"
    while True:
        port = random.randrange(FIRST_PORT, LAST_PORT)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((host, port))
            if port not in _given_ports:
                _given_ports.add(port)
                return f"tcp://{host}:{port}"


def port_of(address: str) -> int:
    return int(address.rsplit(":", 1)[1])


def noise(size_bytes: int, seed: int = 1) -> bytes:
    """Return bytes of which no chunk equals another. Quick for hundreds of megabytes."""
    rng = random.Random(seed)
    if size_bytes <= 16 << 20:
        return rng.randbytes(size_bytes)
    block = rng.randbytes((32 << 10) - 8)  # Shorter than any chunk of so many bytes.
    return b"".join(block + index.to_bytes(8) for index in range(-(-size_bytes // (32 << 10))))[
        :size_bytes
    ]
