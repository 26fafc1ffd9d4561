"""`shoal demo`: the real commands as real processes on this machine, in a temporary folder."""

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from blake3 import blake3
from shoal.commands import terminal
from shoal.commands.exit_codes import ExitCode
from shoal.config.cluster import SHIPPED_FOLDER, Cluster, load
from shoal.protocol.errors import BugError, OperatorError

READY_S = 20.0
STOP_S = 5.0
FETCHES = {"seeds.txt": "n1", "network.txt": "n2", "net.txt": "n3"}
FIRST_PORT, LAST_PORT = 20_000, 30_000  # Below the ephemeral ports.
PORTS = 4  # A tracker and three nodes. The port before them is kept bound, as a lock.


def run_demo(program: Path, *, is_verbose: bool = False) -> ExitCode:
    """Start a tracker and three nodes from `program`, fetch, verify, stop.

    Raises:
        OperatorError: a step failed.
    """
    with tempfile.TemporaryDirectory(prefix="shoal-demo-") as folder, _ports() as first:
        demo = _Demo(program, _prepare(Path(folder), first), is_verbose=is_verbose)
        try:
            demo.start()
            for name, node in FETCHES.items():
                demo.fetch(name, node)
            demo.show()
        finally:
            demo.stop()
    terminal.say(
        "demo: all three files arrived and are verified; everything is stopped and cleaned up"
    )
    return ExitCode.DONE


def _prepare(folder: Path, first: int) -> Cluster:
    """Copy the built-in example to `folder`, with the ports after `first`."""
    text = (SHIPPED_FOLDER / "lan.yaml").read_text()
    for number, port in enumerate(("12000", "11001", "11002", "11003"), start=1):
        text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{first + number}")
    (folder / "lan.yaml").write_text(text)
    shipped = load(SHIPPED_FOLDER / "lan.yaml")
    for name, nodes in shipped.holdings.items():
        for node in nodes:
            (folder / node).mkdir(exist_ok=True)
            shutil.copy(shipped.nodes[node].folder / name, folder / node / name)
    return load(folder / "lan.yaml")


@contextlib.contextmanager
def _ports() -> Iterator[int]:
    """Give the port before four free ones; it is kept bound, so that two demos do not collide.

    Raises:
        OperatorError: there are not enough.
    """
    for first in range(FIRST_PORT, LAST_PORT, PORTS + 1):
        with socket.socket() as guard:
            if _is_bound(guard, first) and all(map(_is_free, range(first + 1, first + 1 + PORTS))):
                yield first
                return
    raise OperatorError("no ports are free on 127.0.0.1; stop some programs and run it again")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return _is_bound(probe, port)


def _is_bound(probe: socket.socket, port: int) -> bool:
    try:
        probe.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


class _Demo:
    def __init__(self, program: Path, cluster: Cluster, *, is_verbose: bool) -> None:
        self._program = program
        self._cluster = cluster
        self._log = None if is_verbose else cluster.path.with_name("log")
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        nodes, (tracker,) = self._cluster.nodes, self._cluster.trackers
        terminal.say(f"demo: a tracker and {len(nodes)} nodes, each a process on this machine")
        terminal.say(f"  tracker at {tracker.address}")
        for name, node in nodes.items():
            has = ", ".join(sorted(path.name for path in node.folder.iterdir()))
            terminal.say(f"  {name} at {node.address} has {has}")
        for arguments in (["tracker"], *(["node", name] for name in nodes)):
            self._launch(self._command(*arguments))
        deadline = time.monotonic() + READY_S
        while not self._is_ready():
            if time.monotonic() > deadline or any(
                one.poll() is not None for one in self._processes
            ):
                raise OperatorError(f"the demo's processes did not start{self._reason()}")
            time.sleep(0.1)

    def fetch(self, name: str, node: str) -> None:
        terminal.say(f"$ shoal fetch {name} --as {node}")
        report = self._json("fetch", name, "--as", node)
        original = self._cluster.nodes[self._cluster.holdings[name][0]].folder / name
        arrived = Path(report["path"])
        if blake3(arrived.read_bytes()).digest() != blake3(original.read_bytes()).digest():
            raise BugError(f"{name} arrived, but it is not what was sent; please report this")
        sources = " and ".join(
            f"{count} bytes from {one}" for one, count in sorted(report["holders"].items())
        )
        took = f"in {1000 * report['elapsed_s']:.0f} ms"
        terminal.say(f"  {sources}, {took}; verified")

    def show(self) -> None:
        terminal.say("$ shoal ls")
        subprocess.run(self._command("ls"), check=True)  # noqa: S603 (our own command)

    def _launch(self, command: list[str]) -> None:
        with contextlib.ExitStack() as files:
            log = files.enter_context(self._log.open("ab")) if self._log is not None else None
            self._processes.append(subprocess.Popen(command, stderr=log))  # noqa: S603

    def _reason(self) -> str:
        """Return the first error in the log; without a log it is on the terminal already."""
        said = self._log.read_text(errors="replace") if self._log is not None else ""
        errors = [line for line in said.splitlines() if line.startswith("error: ")]
        return f": {errors[0].removeprefix('error: ')}" if errors else "; --verbose shows why"

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _is_ready(self) -> bool:
        try:
            nodes = self._json("status")["nodes"]
        except OperatorError:
            return False
        return all(node["alive"] and node["files"] for node in nodes)

    def _json(self, *arguments: str) -> Any:
        command = self._command(*arguments, "--json")
        done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603
        if done.returncode != 0:
            raise BugError(done.stderr.decode().strip())
        return json.loads(done.stdout)

    def _command(self, *arguments: str) -> list[str]:
        config = str(self._cluster.path)
        return [sys.executable, str(self._program), *arguments, "--config", config]
