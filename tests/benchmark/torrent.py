"""libtorrent: BitTorrent from one or several seeders, each a process. Every piece is checked."""

import importlib.metadata
import json
import sys

from tests.benchmark.processes import Child, wait_until
from tests.benchmark.transfer import Transfer, run_client
from tests.benchmark.workspace import PAYLOAD, Workspace

PEER = [sys.executable, "-m", "tests.benchmark.torrent_peer"]


class Torrent:
    """The transfer is from adding the torrent to the seeding state, in a fresh leecher."""

    def __init__(self, workspace: Workspace, seeders: int) -> None:
        self.name = f"libtorrent-{seeders}"
        self._workspace = workspace
        self._torrent = workspace.folder / f"{self.name}.torrent"
        self._ports = [workspace.free_port() for _ in range(seeders)]
        self._leecher_port = workspace.free_port()
        self._servers: list[Child] = []

    def version(self) -> str | None:
        try:
            return importlib.metadata.version("libtorrent")
        except importlib.metadata.PackageNotFoundError:
            return None

    def start(self) -> None:
        children = self._workspace.children
        payload = self._workspace.payload
        children.run(f"{self.name}-make", [*PEER, "make", str(self._torrent), str(payload)])
        self._servers = [self._start_seeder(port) for port in self._ports]
        for server in self._servers:
            _wait_until_seeding(server)

    def transfer(self) -> Transfer:
        folder = self._workspace.empty_folder(f"{self.name}-leecher")
        argv = [*PEER, "leech", str(self._torrent), str(folder), "--port", str(self._leecher_port)]
        argv += [f"--peer={port}" for port in self._ports]
        name = f"{self.name}-leecher"
        cost, output = run_client(self._workspace.children, name, argv, self._servers)
        self._workspace.check_copy(folder / PAYLOAD)
        (folder / PAYLOAD).unlink()
        return Transfer(
            size_bytes=self._workspace.size_bytes,
            transfer_s=json.loads(output)["elapsed_s"],
            cost=cost,
        )

    def _start_seeder(self, port: int) -> Child:
        name = f"{self.name}-seeder-{port}"
        folder = self._workspace.holder_folder(name)
        argv = [*PEER, "seed", str(self._torrent), str(folder), "--port", str(port)]
        return self._workspace.children.start(name, argv)


def _wait_until_seeding(seeder: Child) -> None:
    wait_until(lambda: bool(seeder.output()), "checked seeder", [seeder])
