# ruff: noqa: INP001, S603 - beside a script; runs pip on this checkout.
"""Bringing this checkout to the hosts: a wheel made here, a virtual environment there."""

import argparse
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from over_ssh import ON_HOST, Hosts, Role, failures, report
from shoal.config.cluster import Cluster
from shoal.protocol.errors import OperatorError

ROOT = Path(__file__).resolve().parents[1]
PINS = ROOT / "constraints.txt"  # The hosts get the versions that the checks ran with.


def up(hosts: Hosts, cluster: Cluster, roles: list[Role], options: argparse.Namespace) -> int:
    """Install this checkout on each host, once however many roles it has, and the cluster file."""
    one_of_each = list({role.host: role for role in reversed(roles)}.values())
    source = "offline" if options.offline else "online"
    install = shlex.join(["sh", "-s", "--", "install", options.python, source])
    with tempfile.TemporaryDirectory() as folder:
        wheels = Path("wheels.tar")
        if not hosts.is_dry_run:
            wheels = Path(folder, wheels)
            build_wheels(wheels, with_dependencies=options.offline)
        sent = hosts.on_each(one_of_each, lambda role: hosts.send(role, wheels, "wheels.tar"))
    reached = [outcome.role for outcome in sent if outcome.exit_code == 0]
    installed = hosts.on_each(reached, lambda role: hosts.over_ssh(role, install, ON_HOST))
    named = hosts.on_each(reached, lambda role: hosts.send_cluster_file(role, cluster.path))
    return report([*failures(sent), *failures(named), *installed])


def build_wheels(target: Path, *, with_dependencies: bool) -> None:
    """Write a tar file: this checkout's wheel, its pins and, if asked, all that it depends on."""
    with tempfile.TemporaryDirectory() as folder:
        source, wheels = Path(folder, "source"), Path(folder, "wheels")
        # A copy: `build/` in the checkout would keep modules that are long gone.
        skipped = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__")
        shutil.copytree(ROOT, source, ignore=skipped)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
        extent = ["--constraint", PINS] if with_dependencies else ["--no-deps"]
        if subprocess.run([*pip, *extent, "--wheel-dir", wheels, source], check=False).returncode:
            raise OperatorError("cannot build shoal's wheel: pip has said why, above")
        with tarfile.open(target, "w") as tar:
            tar.add(PINS, PINS.name)
            for wheel in sorted(wheels.iterdir()):
                tar.add(wheel, wheel.name)
