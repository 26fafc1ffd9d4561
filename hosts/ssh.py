"""The way to the hosts: a command on each over ssh, on all at the same time."""

import shlex
import subprocess
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from shoal.hosts.roles import Role
from shoal.protocol.errors import OperatorError

# No passwords: a hundred cannot be asked for at once.
SSH = "ssh -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=15"
ON_HOST = Path(__file__).with_name("on-host.sh")
MAX_CONNECTIONS = 256  # At a time: each is a process here.


class Outcome(NamedTuple):
    """How a command ended on one host."""

    role: Role
    exit_code: int  # The command's, or 255 from ssh.
    stdout: str
    stderr: str


class Hosts:
    """The way to the hosts: ssh, or what is used instead, and what a cluster is called there."""

    def __init__(
        self, cluster: str, ssh: str, shoal: str, show: Callable[[str], None] | None = None
    ) -> None:
        """Remember how to reach the hosts; connect to none.

        Args:
            cluster: the name of the cluster, and of its folder on the hosts.
            ssh: the command that is given a host and a command line, as ssh is.
            shoal: the command for shoal on the hosts, perhaps of several words.
            show: for a dry run: told of each command line, of which none is run.

        Raises:
            OperatorError: `ssh` is no command line.
        """
        self._cluster = cluster
        self._ssh = _words(ssh)
        self._shoal = shoal
        self._show = show

    @property
    def is_dry_run(self) -> bool:
        return self._show is not None

    def on_each(self, roles: Sequence[Role], do: Callable[[Role], Outcome]) -> list[Outcome]:
        """Do it for all at the same time; a dry run keeps the order, for the reader."""
        with ThreadPoolExecutor(1 if self.is_dry_run else MAX_CONNECTIONS) as pool:
            return list(pool.map(do, roles))

    def act(self, role: Role, action: str, *arguments: str) -> Outcome:
        """Do something to the role, or `run` a shoal command on its host."""
        words = ["sh", "-s", "--", action, self._cluster, self._shoal, *arguments]
        return self.over_ssh(role, shlex.join(words), ON_HOST)

    def send(self, role: Role, source: Path, name: str) -> Outcome:
        """Copy a file to the role's host, into ~/.shoal-hosts."""
        target = shlex.quote(f".shoal-hosts/{name}")
        command = f'mkdir -p "$(dirname {target})" && cat >{target}'
        return self.over_ssh(role, f"sh -c {shlex.quote(command)}", source)

    def send_cluster_file(self, role: Role, path: Path) -> Outcome:
        return self.send(role, path, f"{self._cluster}/cluster.yaml")

    def over_ssh(self, role: Role, command: str, source: Path) -> Outcome:
        """Run a command in the host's login shell, with the contents of `source` as its input.

        Raises:
            OperatorError: there is no such ssh.
        """
        argv = [*self._ssh, role.host, command]
        if self._show is not None:
            self._show(f"{shlex.join(argv)} <{shlex.quote(str(source))}")
            return Outcome(role, 0, "", "")
        with source.open("rb") as stdin:
            try:
                done = subprocess.run(  # noqa: S603 (the operator names it)
                    argv, stdin=stdin, capture_output=True, text=True, check=False
                )
            except OSError as error:
                message = f"cannot run {argv[0]}: {error.strerror}"
                raise OperatorError(f"{message}; install it, or name another with --ssh") from None
        return Outcome(role, done.returncode, done.stdout.strip(), done.stderr.strip())


def _words(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise OperatorError(f"--ssh: {command}: {error}; quote it as for a shell") from None
    if not words:
        raise OperatorError("--ssh: found no command; expected one such as ssh")
    return words


def failures(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return those that went wrong."""
    return [outcome for outcome in outcomes if outcome.exit_code != 0]


def reached(outcomes: Iterable[Outcome]) -> list[Role]:
    """Return the roles for which it went well."""
    return [outcome.role for outcome in outcomes if outcome.exit_code == 0]
