"""Slurm on this machine: a controller and several nodes, each with ports of its own. For tests."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.multihost.host_process import HostProcess, launch
from tests.multihost.wait import wait_until

PROGRAMS = ("slurmctld", "slurmd", "munged", "setpriv", "sbatch", "srun", "scontrol", "sinfo")
LIMIT_S = 60.0  # For it to start, or a job to end, on a busy machine.
CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
AuthType=auth/munge
AuthInfo=socket={place}/munge/socket
SlurmUser=root
SlurmdUser=root
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool-%n
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
ReturnToService=2
MailProg=/bin/true
PartitionName=all Nodes=ALL Default=YES State=UP
"""


def obstacle() -> str | None:
    """Return why Slurm cannot run here; None if it may."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        return f"needs Slurm and munge: there is no {', '.join(missing)}"
    return None if os.geteuid() == 0 else "needs root, which Slurm's nodes run as"


class Slurm:
    """What runs, and the environment in which Slurm's commands find it."""

    def __init__(self, place: Path, nodes: Sequence[str]) -> None:
        self._place = place
        self._nodes = nodes
        self._running: list[HostProcess] = []
        self.env = {**os.environ, "SLURM_CONF": f"{place}/slurm.conf"}

    def start(self) -> None:
        """Start everything, and wait until all nodes are idle."""
        host = socket.gethostname().partition(".")[0]
        ports = _free_ports(1 + len(self._nodes))
        conf = CONF.format(host=host, port=ports[0], place=self._place)
        for node, port in zip(self._nodes, ports[1:], strict=True):
            conf += f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=1\n"
        (self._place / "slurm.conf").write_text(conf)
        self._start_munge()
        self._launch("slurmctld", "-D")
        for node in self._nodes:
            self._launch("slurmd", "-D", "-N", node)
        wait_until(self._are_idle, LIMIT_S, "Slurm's nodes are idle")

    def run(self, *argv: str, env: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
        """Run one of Slurm's commands to its end."""
        return subprocess.run(
            argv,
            env={**self.env, **env},
            cwd=self._place,
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )

    def output(self, name: str) -> str:
        """Return what a job has written to a file; nothing if it has not begun."""
        path = self._place / name
        return path.read_text() if path.exists() else ""

    def close(self) -> None:
        for process in reversed(self._running):
            process.send_signal(signal.SIGTERM)
        for process in reversed(self._running):
            try:
                process.wait(10)
            except TimeoutError:
                process.kill()

    def _start_munge(self) -> None:
        folder = self._place / "munge"
        folder.mkdir(mode=0o755)
        (folder / "key").write_bytes(os.urandom(1024))
        (folder / "key").chmod(0o400)
        for path in (folder / "key", folder):
            shutil.chown(path, "munge", "munge")
        user = ("--reuid=munge", "--regid=munge", "--clear-groups")
        files = [f"--{one}-file={folder}/{one}" for one in ("key", "pid", "log", "seed")]
        self._launch("setpriv", *user, "munged", "-F", f"--socket={folder}/socket", *files)
        wait_until((folder / "socket").exists, LIMIT_S, "munged listens")

    def _launch(self, *argv: str) -> None:
        output = self._place / f"{len(self._running)}-{argv[0]}"
        self._running.append(launch(argv, output, cwd=self._place, env=self.env))

    def _are_idle(self) -> bool:
        told = self.run("sinfo", "-h", "-N", "-o", "%t", env={}).stdout.split()
        return told == ["idle"] * len(self._nodes)


@contextmanager
def slurm(nodes: Sequence[str]) -> Iterator[Slurm]:
    """Give a running Slurm, and end it. Its folder is one that munge's user may enter."""
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:
        place = Path(folder)
        place.chmod(0o755)
        running = Slurm(place, nodes)
        try:
            running.start()
            yield running
        finally:
            running.close()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()
