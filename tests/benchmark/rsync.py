"""rsync, from a daemon on this machine: the plain way to fetch a tree, or what has changed."""

import os
import shutil
import socket
from pathlib import Path

from tests.benchmark.processes import Child, wait_until
from tests.benchmark.transfer import Transfer, run_client
from tests.benchmark.workspace import PAYLOAD, Workspace

CONFIG = """
use chroot = no
{user}
[root]
path = {root}
read only = yes
"""


class Rsync:
    """A daemon that serves one folder, and the client's command lines."""

    def __init__(self, workspace: Workspace, root: Path) -> None:
        """Serve `root`, from now on."""
        self._port = workspace.free_port()
        config = workspace.empty_folder("rsync") / "rsyncd.conf"
        user = f"uid = {os.geteuid()}\ngid = {os.getegid()}"
        config.write_text(CONFIG.format(user=user, root=root))
        options = ["--daemon", "--no-detach", f"--port={self._port}", f"--config={config}"]
        self.server: Child = workspace.children.start("rsyncd", ["rsync", *options])
        wait_until(self._answers, "listening rsync", [self.server])

    @property
    def pid(self) -> int:
        return self.server.pid

    def command(self, name: str, target: Path, *options: str) -> list[str]:
        """Return the command that fetches `name` into the folder `target`."""
        source = f"rsync://127.0.0.1:{self._port}/root/{name}"
        return ["rsync", "-a", *options, source, f"{target}/"]

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0


class RsyncCopy:
    """Rsync as a contender on loopback: a whole file, which it does not verify after the copy.

    It reports no time of its own, so the transfer counts as the whole process.
    """

    name = "rsync"

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._daemon: Rsync | None = None

    def version(self) -> str | None:
        if shutil.which("rsync") is None:
            return None
        told = self._workspace.children.run("rsync-version", ["rsync", "--version"])
        return told.split()[2]

    def start(self) -> None:
        self._daemon = Rsync(self._workspace, self._workspace.holder_folder("rsync-root"))

    def transfer(self) -> Transfer:
        assert self._daemon is not None
        folder = self._workspace.empty_folder("rsync-copy")
        argv = self._daemon.command(PAYLOAD, folder, "--whole-file")
        cost, _ = run_client(self._workspace.children, "rsync", argv, [self._daemon.server])
        self._workspace.check_copy(folder / PAYLOAD)
        (folder / PAYLOAD).unlink()
        return Transfer(size_bytes=self._workspace.size_bytes, transfer_s=cost.process_s, cost=cost)
