"""rsync, from a daemon on this machine: the plain way to fetch a tree, or what has changed."""

import os
import socket
from pathlib import Path

from tests.benchmark.processes import Child, wait_until
from tests.benchmark.workspace import Workspace

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
        self._server: Child = workspace.children.start("rsyncd", ["rsync", *options])
        wait_until(self._answers, "listening rsync", [self._server])

    @property
    def pid(self) -> int:
        return self._server.pid

    def command(self, name: str, target: Path, *options: str) -> list[str]:
        """Return the command that fetches `name` into the folder `target`."""
        source = f"rsync://127.0.0.1:{self._port}/root/{name}"
        return ["rsync", "-a", *options, source, f"{target}/"]

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0
