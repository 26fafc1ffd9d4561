"""iperf3: what one TCP stream carries between two processes. Neither disk nor checks."""

import json
import shutil

from tests.benchmark.processes import Child, wait_until
from tests.benchmark.transfer import Transfer, run_client
from tests.benchmark.workspace import Workspace


class Iperf:
    """Timed: iperf3's own report of the receiving side, without start-up and control talk."""

    name = "iperf3"

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._port = workspace.free_port()
        self._servers: list[Child] = []

    def version(self) -> str | None:
        if shutil.which("iperf3") is None:
            return None
        return self._workspace.children.run("iperf3-version", ["iperf3", "--version"]).split()[1]

    def start(self) -> None:
        argv = ["iperf3", "--server", "--port", str(self._port), "--forceflush"]
        server = self._workspace.children.start("iperf3-server", argv)
        self._servers = [server]
        wait_until(lambda: "listening" in server.output(), "listening iperf3", self._servers)

    def transfer(self) -> Transfer:
        size_bytes = self._workspace.size_bytes
        argv = ["iperf3", "--client", "127.0.0.1", "--port", str(self._port)]
        argv += ["--bytes", str(size_bytes), "--json"]
        cost, output = run_client(self._workspace.children, "iperf3-client", argv, self._servers)
        received = json.loads(output)["end"]["sum_received"]
        # It sends whole blocks, up to 128 KiB too much: count the time for our bytes.
        transfer_s = received["seconds"] * size_bytes / received["bytes"]
        return Transfer(size_bytes=size_bytes, transfer_s=transfer_s, cost=cost)
