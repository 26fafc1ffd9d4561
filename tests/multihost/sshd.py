"""Hosts behind a real sshd, with a home each, and keys of the test's own.

One for each loopback address, or the hosts of a lab. Nothing of the machine's own ssh is read or
written. Needs root and openssh-server.
"""

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.integration.cluster import free_address, port_of
from tests.multihost.lab import Lab
from tests.multihost.wait import wait_until

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
READY_TIMEOUT_S = 20.0
LAB_PORT = 2222
SERVER = """\
Port {port}
ListenAddress {address}
HostKey {folder}/host-{number}
AuthorizedKeysFile {folder}/user.pub
PidFile none
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
SetEnv HOME={home}{environ}
LogLevel ERROR
"""
CLIENT = """\
Host *
Port {port}
User root
IdentityFile {folder}/user
IdentitiesOnly yes
UserKnownHostsFile {folder}/known_hosts
GlobalKnownHostsFile /dev/null
LogLevel INFO
# As people have it for their logins.
RequestTTY force
RemoteCommand tmux attach
LocalForward {forwarded} 127.0.0.1:1
ExitOnForwardFailure yes
"""


class SshHosts(NamedTuple):
    """Some hosts, numbered from 1."""

    folder: Path
    port: int
    homes: Mapping[int, Path]
    address: Callable[[int], str]

    @property
    def ssh(self) -> str:
        """The command that reaches them."""
        return f"ssh -F {self.folder}/config"

    def forget_keys(self) -> None:
        """Have ssh know none of them."""
        (self.folder / "known_hosts").write_text("")

    def known(self, number: int, key_of: int) -> str:
        kind, key, *_ = (self.folder / f"host-{key_of}.pub").read_text().split()
        return f"[{self.address(number)}]:{self.port} {kind} {key}\n"

    def know_keys(self) -> None:
        """Have ssh know all of them."""
        lines = [self.known(number, number) for number in self.homes]
        (self.folder / "known_hosts").write_text("".join(lines))

    def clients(self) -> list[str]:
        """Return the command lines of all ssh that were started for them, masters too."""
        return [line for line in command_lines() if f"{self.folder}/config" in line]


def _loopback(number: int) -> str:
    return f"127.0.1.{number}"


def command_lines() -> list[str]:
    """Return the command lines of all processes."""
    lines = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                lines.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return lines


def free_port(hosts: int) -> int:
    """Return a port that is free on all the addresses."""
    while True:
        port = port_of(free_address())
        with contextlib.ExitStack() as sockets, contextlib.suppress(OSError):
            for number in range(1, hosts + 1):
                sockets.enter_context(socket.socket()).bind((_loopback(number), port))
            return port


def _make_keys(folder: Path, numbers: Iterable[int]) -> None:
    for key in ("user", *(f"host-{number}" for number in numbers)):
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)]
        subprocess.run(make, check=True)


def _server(hosts: SshHosts, number: int, environ: Mapping[str, str]) -> str:
    return SERVER.format(
        number=number,
        port=hosts.port,
        address=hosts.address(number),
        folder=hosts.folder,
        home=hosts.homes[number],
        environ="".join(f" {name}={value}" for name, value in environ.items()),
    )


@contextlib.contextmanager
def running(
    folder: Path,
    homes: Mapping[int, Path],
    lab: Lab | None = None,
    environ: Mapping[str, str] | None = None,
    inside: Sequence[str] = (),
) -> Iterator[SshHosts]:
    """Run an sshd for each home, and end them all. Those of a `lab` are its hosts.

    What runs there gets `environ`, too. `inside` is a command that runs each sshd.
    """
    assert SSHD is not None
    Path("/run/sshd").mkdir(exist_ok=True)
    folder.mkdir()
    _make_keys(folder, homes)
    port = free_port(max(homes)) if lab is None else LAB_PORT
    address = _loopback if lab is None else lab.address
    (folder / "config").write_text(CLIENT.format(port=port, folder=folder, forwarded=free_port(1)))
    hosts = SshHosts(folder, port, homes, address)
    hosts.know_keys()
    servers = []
    try:
        for number, home in homes.items():
            home.mkdir(parents=True, exist_ok=True)
            config = folder / f"sshd-{number}"
            config.write_text(_server(hosts, number, environ or {}))
            enter = [] if lab is None else lab.entering(number)
            with (folder / f"sshd-{number}.log").open("wb") as log:
                argv: list[str | Path] = [*enter, *inside, SSHD, "-D", "-e", "-f", config]
                servers.append(subprocess.Popen(argv, stderr=log))
        for number in homes:
            enter = [] if lab is None else lab.entering(number)
            ask = [*enter, "bash", "-c", f"</dev/tcp/{address(number)}/{port}"]
            wait_until(lambda ask=ask: _succeeds(ask), READY_TIMEOUT_S, "sshd")  # type: ignore[misc]
        yield hosts
    finally:
        for server in servers:
            server.terminate()
            server.wait()


def _succeeds(argv: Sequence[str]) -> bool:
    return subprocess.run(argv, check=False, capture_output=True).returncode == 0
