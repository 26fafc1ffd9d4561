"""Bringing this shoal to the hosts: a wheel made here, a virtual environment there."""

import shlex
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from shoal.hosts import wheel
from shoal.hosts.roles import Role
from shoal.hosts.ssh import ON_HOST, Hosts, Outcome, failures, reached


def install(
    hosts: Hosts, roles: Sequence[Role], cluster_file: Path, python: str, *, offline: bool
) -> list[Outcome]:
    """Install shoal and the cluster file on each host, once however many roles it has.

    Args:
        hosts: the way to them.
        roles: whose hosts.
        cluster_file: its path here.
        python: the command for Python on the hosts.
        offline: send all dependencies, too: the hosts have no package index.

    Raises:
        OperatorError: the wheel cannot be made.
    """
    one_of_each = list({role.host: role for role in reversed(roles)}.values())
    command = shlex.join(["sh", "-s", "--", "install", python, "offline" if offline else "online"])
    with tempfile.TemporaryDirectory() as folder:
        archive = Path("wheels.tar")
        if not hosts.is_dry_run:
            archive = Path(folder, archive)
            _pack(archive, with_dependencies=offline)
        sent = hosts.on_each(one_of_each, lambda role: hosts.send(role, archive, "wheels.tar"))
    there = reached(sent)
    installed = hosts.on_each(there, lambda role: hosts.over_ssh(role, command, ON_HOST))
    named = hosts.on_each(there, lambda role: hosts.send_cluster_file(role, cluster_file))
    return [*failures(sent), *failures(named), *installed]


def _pack(target: Path, *, with_dependencies: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        wheel.gather(Path(folder), with_dependencies=with_dependencies)
        with tarfile.open(target, "w") as tar:
            for file in sorted(Path(folder).iterdir()):
                tar.add(file, file.name)
