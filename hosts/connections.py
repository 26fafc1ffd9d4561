"""Connections to the hosts: OpenSSH, one for all commands to a host, or what is used instead.

The user's ssh_config counts. Who shares connections there by a ControlPath goes on doing so.
"""

import contextlib
import os
import shlex
import shutil
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from shoal.hosts.processes import Processes
from shoal.protocol.errors import OperatorError

# No passwords: a hundred cannot be asked for at once.
OPTIONS = ("BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=15")
# What a user's ssh_config may have for logins, and would get into the way of commands.
NO_LOGIN = ("RequestTTY=no", "RemoteCommand=none", "ClearAllForwardings=yes")
PREFIX = "shoal-ssh-"
PERSIST_S = 60  # If this process is killed: those that are idle end by themselves.
SOCKETS = "/tmp"  # noqa: S108 - Not TMPDIR: the path of a socket has at most 107 bytes.


class Connections:
    """The way to run a command on a host. A context manager: leaving it closes all connections."""

    def __init__(self, ssh: str = "ssh", *, accepts_new: bool = False) -> None:
        """Connect to none yet.

        Args:
            ssh: the command that is given a host and a command line, as ssh is.
            accepts_new: whether to trust hosts whose keys are not known yet.

        Raises:
            OperatorError: `ssh` is no command line.
        """
        self.processes = Processes()
        words = _words(ssh)
        self._ssh = words
        self._is_openssh = Path(words[0]).name == "ssh"
        options = [*OPTIONS, *NO_LOGIN] if self._is_openssh else []
        if accepts_new:
            options.append("StrictHostKeyChecking=accept-new")
        self._options = [word for option in options for word in ("-o", option)]
        self._folder: Path | None = None
        self._lock = threading.Lock()
        self._hosts: dict[str, _Host] = {}

    def __enter__(self) -> Self:
        if self._is_openssh:
            _sweep()
            prefix = f"{PREFIX}{os.getpid()}-"
            self._folder = Path(tempfile.mkdtemp(prefix=prefix, dir=SOCKETS))  # Mode 0700.
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._folder is None:
            return
        closing = Processes()  # The others may have been ended.
        with contextlib.suppress(OperatorError):
            for socket in self._folder.iterdir():
                argv = [*self._ssh, "-o", f"ControlPath={socket}", "-O", "exit", "shoal"]
                closing.run("", argv)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None

    def argv(self, host: str, command: str) -> list[str]:
        """Return the command that runs `command` there, in the login shell of that host."""
        known = self._hosts.get(host)
        shared = known.options if known else []
        return [*self._ssh, *self._options, *shared, host, command]

    def connect(self, host: str) -> tuple[int, str, str]:
        """Connect to a host, once; return how that ended, as `Processes.run` does.

        Raises:
            OperatorError: there is no such ssh.
            EndedError: the operator has stopped the command.
        """
        with self._lock:
            known = self._hosts.setdefault(host, _Host())
        with known.lock:
            if known.result is None:
                known.result = (0, "", "")
                if self._folder is not None:
                    known.options = self._shared(host, self._folder)
                    known.result = self.processes.run(host, self.argv(host, "true"))
            return known.result

    def _shared(self, host: str, folder: Path) -> list[str]:
        """Return the options for one connection to a host, unless the user's own has them."""
        argv = [self._ssh[0], "-G", *self._ssh[1:], *self._options, host]
        _, told, _ = self.processes.run(host, argv)
        if any(line.lower().startswith("controlpath ") for line in told.splitlines()):
            return []
        options = ("ControlMaster=auto", f"ControlPath={folder}/%C", f"ControlPersist={PERSIST_S}")
        return [word for option in options for word in ("-o", option)]


class _Host:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.options: list[str] = []
        self.result: tuple[int, str, str] | None = None


def _sweep() -> None:
    """Remove the folders of those that were killed, once their connections have ended."""
    for folder in Path(SOCKETS).glob(f"{PREFIX}*-*"):
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdecimal() and not Path("/proc", owner).exists():
            with contextlib.suppress(OSError):  # Not empty, or somebody else's.
                folder.rmdir()


def _words(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise OperatorError(f"--ssh: {command}: {error}; quote it as for a shell") from None
    if not words:
        raise OperatorError("--ssh: found no command; expected one such as ssh")
    return words
