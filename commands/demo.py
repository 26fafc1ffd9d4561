"""`shoal demo`: the real commands, as real processes, on this machine, in a folder of their own."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from blake3 import blake3

from commands import terminal
from config.cluster import SHIPPED_FOLDER, Cluster, load
from protocol.errors import ExitCode, OperatorError

READY_S = 20.0
STOP_S = 5.0
FETCHES = {"seeds.txt": "n1", "network.txt": "n2", "net.txt": "n3"}
FIRST_PORT, LAST_PORT = 20_000, 30_000  # Below those that the kernel gives to clients.


def run_demo(program: Path) -> ExitCode:
    """Start a tracker and three nodes from `program`, fetch, verify, stop.

    Raises:
        OperatorError: one of the steps failed.
    """
    with tempfile.TemporaryDirectory(prefix="shoal-demo-") as folder:
        demo = _Demo(program, _prepare(Path(folder)))
        try:
            demo.start()
            for name, node in FETCHES.items():
                demo.fetch(name, node)
            demo.show()
        finally:
            demo.stop()
    terminal.say(
        "demo: all three files arrived and are right; everything is stopped and cleaned up"
    )
    return ExitCode.DONE


def _prepare(folder: Path) -> Cluster:
    """Copy the built-in example to `folder`, with ports that are free now."""
    text = (SHIPPED_FOLDER / "lan.yaml").read_text()
    taken: set[int] = set()
    for port in ("12000", "11001", "11002", "11003"):
        free = _free_port(taken)
        taken.add(free)
        text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{free}")
    (folder / "lan.yaml").write_text(text)
    shipped = load(SHIPPED_FOLDER / "lan.yaml")
    for name, nodes in shipped.holdings.items():
        for node in nodes:
            (folder / node).mkdir(exist_ok=True)
            shutil.copy(shipped.nodes[node].folder / name, folder / node / name)
    return load(folder / "lan.yaml")


def _free_port(taken: set[int]) -> int:
    for port in range(FIRST_PORT + os.getpid() % 5000, LAST_PORT):
        with socket.socket() as probe:
            if port not in taken and probe.connect_ex(("127.0.0.1", port)) != 0:
                try:
                    probe.close()
                    with socket.socket() as second:
                        second.bind(("127.0.0.1", port))
                except OSError:
                    continue
                return port
    raise OperatorError("no port is free on 127.0.0.1; end some programs and run it again")


class _Demo:
    def __init__(self, program: Path, cluster: Cluster) -> None:
        self._program = program
        self._cluster = cluster
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        count = len(self._cluster.nodes)
        terminal.say(f"demo: a tracker and {count} nodes, each a process, from this cluster file:")
        terminal.say(_without_comments(self._cluster.path.read_text()))
        for arguments in (["tracker"], *(["node", name] for name in self._cluster.nodes)):
            self._processes.append(subprocess.Popen(self._command(*arguments)))  # noqa: S603
        deadline = time.monotonic() + READY_S
        while not self._is_ready():
            if time.monotonic() > deadline or any(
                one.poll() is not None for one in self._processes
            ):
                raise OperatorError("the demo's processes did not start", ExitCode.BUG)
            time.sleep(0.1)

    def fetch(self, name: str, node: str) -> None:
        terminal.say(f"\ndemo: $ shoal fetch {name} --as {node}")
        report = self._json("fetch", name, "--as", node)
        original = self._cluster.nodes[self._cluster.holdings[name][0]].folder / name
        arrived = Path(report["path"])
        if blake3(arrived.read_bytes()).digest() != blake3(original.read_bytes()).digest():
            raise OperatorError(f"{name} arrived, but it is not what was sent", ExitCode.BUG)
        sources = " and ".join(
            f"{count} bytes from {one}" for one, count in report["holders"].items()
        )
        terminal.say(f"demo: {name}: {sources}, right, in {1000 * report['elapsed_s']:.0f} ms")

    def show(self) -> None:
        terminal.say("\ndemo: $ shoal ls")
        subprocess.run(self._command("ls"), check=True)  # noqa: S603 (our own command)

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
            raise OperatorError(done.stderr.decode().strip(), ExitCode.BUG)
        return json.loads(done.stdout)

    def _command(self, *arguments: str) -> list[str]:
        config = str(self._cluster.path)
        return [sys.executable, str(self._program), *arguments, "--config", config]


def _without_comments(text: str) -> str:
    lines = (
        line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")
    )
    return "\n".join(f"    {line}" for line in lines)
