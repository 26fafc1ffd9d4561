# ruff: noqa: INP001, S603, T201 - beside a script; runs the commands it is told to; talks to people.
"""The way to the hosts: a command on each over ssh, all at the same time, and a line for each."""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from shoal.commands.exit_codes import ExitCode
from shoal.protocol.errors import OperatorError

# No passwords: a hundred cannot be asked for at once.
SSH = "ssh -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=15"
ON_HOST = Path(__file__).with_name("on-host.sh")
MAX_CONNECTIONS = 256  # At a time: each is a process here.


class Role(NamedTuple):
    """The tracker or a node, and the host on which it runs."""

    name: str
    host: str  # as ssh takes it
    words: tuple[str, ...]  # of the shoal command that runs it


class Outcome(NamedTuple):
    """How a command ended on one host."""

    role: Role
    exit_code: int
    stdout: str
    stderr: str


class Hosts:
    """The way to the hosts: ssh, or what stands for it, and what a cluster is called there."""

    def __init__(self, options: argparse.Namespace, cluster: str) -> None:
        self._ssh: list[str] = shlex.split(options.ssh)
        self._shoal: str = options.shoal
        self._cluster = cluster
        self.is_dry_run: bool = options.dry_run

    def on_each(self, roles: Sequence[Role], do: Callable[[Role], Outcome]) -> list[Outcome]:
        """Do it for all at the same time; a dry run keeps the order, for the reader."""
        with ThreadPoolExecutor(1 if self.is_dry_run else MAX_CONNECTIONS) as pool:
            return list(pool.map(do, roles))

    def act(self, role: Role, action: str, *arguments: str) -> Outcome:
        """Do something to the role, or `run` a shoal command where it lives."""
        words = ["sh", "-s", "--", action, self._cluster, self._shoal, *arguments]
        return self.over_ssh(role, shlex.join(words), ON_HOST)

    def send(self, role: Role, source: Path, name: str) -> Outcome:
        target = shlex.quote(f".shoal-hosts/{name}")
        command = f"mkdir -p $(dirname {target}) && cat >{target}"
        return self.over_ssh(role, f"sh -c {shlex.quote(command)}", source)

    def send_cluster_file(self, role: Role, path: Path) -> Outcome:
        return self.send(role, path, f"{self._cluster}/cluster.yaml")

    def over_ssh(self, role: Role, command: str, source: Path) -> Outcome:
        """Run command in the host's login shell with the contents of source as its input."""
        argv = [*self._ssh, role.host, command]
        if self.is_dry_run:
            print(f"{shlex.join(argv)} <{shlex.quote(str(source))}")
            return Outcome(role, ExitCode.DONE, "", "")
        with source.open("rb") as stdin:
            try:
                done = subprocess.run(
                    argv, stdin=stdin, capture_output=True, text=True, check=False
                )
            except OSError as error:
                raise OperatorError(f"cannot run {argv[0]}: {error.strerror}; see --ssh") from error
        return Outcome(role, done.returncode, done.stdout.strip(), done.stderr.strip())


def failures(outcomes: Iterable[Outcome]) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.exit_code != 0]


def report(outcomes: Sequence[Outcome]) -> int:
    """Print a line for each host; return the exit code of all."""
    for role, exit_code, stdout, stderr in outcomes:
        place = f"{role.name} on {role.host}: "
        if stdout:
            print(place + stdout)
        if exit_code != 0:
            reason = stderr or "no reason given"
            print(f"{place}failed (exit code {exit_code}): {reason}", file=sys.stderr)
    return common_code(outcomes)


def common_code(outcomes: Sequence[Outcome]) -> int:
    codes = {outcome.exit_code for outcome in outcomes}
    return codes.pop() if len(codes) == 1 else ExitCode.PARTLY_DONE
