"""nginx and curl: the plain download, from one server, over one connection. Nothing is checked."""

import os
import shutil
import socket
from pathlib import Path

from tests.benchmark.processes import Child, wait_until
from tests.benchmark.transfer import Transfer, run_client
from tests.benchmark.workspace import PAYLOAD, Workspace

# Worker as root too, if we are: the workspace is closed to others.
CONFIG = """
{user}
worker_processes auto;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  client_body_temp_path {folder};
  proxy_temp_path {folder};
  fastcgi_temp_path {folder};
  uwsgi_temp_path {folder};
  scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


class Nginx:
    """The transfer is what curl says: from its first look-up to the last byte written."""

    name = "nginx"

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._port = workspace.free_port()
        self._servers: list[Child] = []

    def version(self) -> str | None:
        if shutil.which("nginx") is None or shutil.which("curl") is None:
            return None
        children = self._workspace.children
        curl = children.run("curl-version", ["curl", "--version"]).split()[1]
        nginx = children.start("nginx-version", ["nginx", "-v"])  # it answers on stderr
        nginx.reap()
        return f"{nginx.tail().rpartition('/')[2]} + curl {curl}"

    def start(self) -> None:
        root = self._workspace.holder_folder("nginx-root")
        folder = self._workspace.empty_folder("nginx")
        config = self._write_config(folder, root)
        argv = ["nginx", "-p", str(folder), "-c", str(config), "-e", str(folder / "error.log")]
        server = self._workspace.children.start("nginx", argv)
        self._servers = [server]
        wait_until(self._answers, "listening nginx", self._servers)

    def transfer(self) -> Transfer:
        copy = self._workspace.empty_folder("curl") / PAYLOAD
        argv = ["curl", "--silent", "--show-error", "--fail", "--noproxy", "*"]
        argv += ["--write-out", "%{time_total}"]
        argv += ["--output", str(copy), f"http://127.0.0.1:{self._port}/{PAYLOAD}"]
        cost, output = run_client(self._workspace.children, "curl", argv, self._servers)
        self._workspace.check_copy(copy)
        copy.unlink()
        return Transfer(
            size_bytes=self._workspace.size_bytes,
            transfer_s=float(output),
            cost=cost,
        )

    def _write_config(self, folder: Path, root: Path) -> Path:
        user = "user root;" if os.geteuid() == 0 else ""
        config = folder / "nginx.conf"
        config.write_text(CONFIG.format(user=user, folder=folder, root=root, port=self._port))
        return config

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0
