"""The examples for Docker, as far as they can be checked without it.

Containers are stood for by namespaces: each service of compose.yaml runs on a host of its own, with
its own /srv and the others' names, by the cluster file as it is.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from shoal.cli import app
from shoal.config.cluster import load

from tests.multihost.conftest import MakeLab
from tests.multihost.host_process import HostProcess
from tests.multihost.swarm import ROOT, START_TIMEOUT_S
from tests.multihost.wait import wait_until

EXAMPLE = ROOT / "examples" / "docker"
INSTRUCTIONS = {
    *("FROM", "COPY", "RUN", "ENV", "USER", "VOLUME"),
    *("STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"),
}
IN_CONTAINER = """
mount --bind "$HOSTS" /etc/hosts && mount -t tmpfs tmpfs /srv && mkdir /srv/shoal && exec "$@"
"""
DATA = os.urandom(300_000)


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions and what follows them."""
    text = re.sub(r"\\\n\s*", "", (EXAMPLE / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines]


def services() -> dict[str, dict[str, Any]]:
    compose = yaml.safe_load((EXAMPLE / "compose.yaml").read_text())
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


def require_command(words: list[str]) -> None:
    """Fail unless the command line takes such a command."""
    command: Any = typer.main.get_command(app)
    name, *rest = words
    assert name in command.commands
    command.commands[name].make_context(name, rest, resilient_parsing=False)


def health_command() -> list[str]:
    (check,) = [rest for name, rest in instructions() if name == "HEALTHCHECK"]
    program, *words = json.loads(check.partition("CMD ")[2])
    assert program == "shoal"
    return [str(word) for word in words]


def test_the_dockerfile_says_what_docker_understands() -> None:
    found = instructions()
    assert {name for name, _ in found} <= INSTRUCTIONS
    assert ("ENTRYPOINT", '["shoal"]') in found
    require_command(health_command())
    (variables,) = [rest for name, rest in found if name == "ENV"]
    assert dict(one.split("=") for one in variables.split())["SHOAL_CONFIG"] == (
        "/etc/shoal/lab.yaml"
    )


def test_the_services_are_those_of_the_cluster_file() -> None:
    cluster = load(EXAMPLE / "lab.yaml")
    assert set(services()) == {"tracker", *cluster.nodes}
    folders = {name: entry.folder for name, entry in cluster.nodes.items()}
    folders["tracker"] = cluster.trackers[0].state_folder
    compose = yaml.safe_load((EXAMPLE / "compose.yaml").read_text())
    for name, service in services().items():
        require_command(service["command"])
        assert service["environment"]["SHOAL_AS"] == name
        file, volume = (one.split(":") for one in service["volumes"])
        assert (EXAMPLE / file[0]).resolve() == EXAMPLE / "lab.yaml"
        assert file[1:] == ["/etc/shoal/lab.yaml", "ro"]
        assert volume == [name, str(folders[name])]
        assert name in compose["volumes"]
        build = service["build"]
        assert (EXAMPLE / build["context"] / build["dockerfile"]).resolve() == (
            EXAMPLE / "Dockerfile"
        )


def test_the_image_can_be_made(tmp_path: Path) -> None:
    source, target = tmp_path / "src", tmp_path / "opt"
    source.mkdir()
    ignored = (EXAMPLE / "Dockerfile.dockerignore").read_text().splitlines()
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    taken = [
        name
        for name in names.stdout.decode().split("\0")
        if name and name.split("/")[0] not in ignored and (ROOT / name).exists()
    ]
    subprocess.run(["cp", "--parents", *taken, source], cwd=ROOT, check=True)
    steps = [rest for name, rest in instructions() if name == "RUN" and "/opt/shoal" in rest]
    assert len(steps) == 2
    for step in steps:
        words = shlex.split(step.replace("/src", str(source)).replace("/opt/shoal", str(target)))
        words[0] = (
            words[0].replace("python", sys.executable, 1) if words[0] == "python" else words[0]
        )
        subprocess.run(words, check=True, capture_output=True, timeout=300)
    for words in (["--version"], ["health", "--help"]):
        said = subprocess.run(
            [target / "bin" / "shoal", *words], capture_output=True, text=True, check=True
        )
        assert "shoal" in said.stdout


class Containers:
    """The services of compose.yaml, on hosts of a lab."""

    def __init__(self, make_lab: MakeLab, folder: Path) -> None:
        self._lab = make_lab(len(services()))
        self._hosts = dict(zip(services(), self._lab.hosts, strict=True))
        names = [f"{self._lab.address(host)} {name}\n" for name, host in self._hosts.items()]
        place = folder / "hosts"
        place.write_text("".join(["127.0.0.1 localhost\n", *names]))
        self._environ = {
            **os.environ,
            "HOSTS": str(place),
            "SHOAL_CONFIG": str(EXAMPLE / "lab.yaml"),
        }
        self._running: dict[str, HostProcess] = {}

    def up(self) -> None:
        for name, service in services().items():
            inside = ["unshare", "--mount", "sh", "-c", IN_CONTAINER, "sh"]
            command = [*inside, sys.executable, str(ROOT / "cli.py"), *service["command"]]
            environ = {**self._environ, **service["environment"]}
            self._running[name] = self._lab.start(self._hosts[name], command, env=environ)

    def execute(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a shoal command in a container."""
        enter = ["nsenter", f"--target={self._running[name].pid}", "--mount", "--net", "--"]
        environ = {**self._environ, **services()[name]["environment"]}
        return subprocess.run(
            [*enter, sys.executable, str(ROOT / "cli.py"), *words],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def folder(self, name: str) -> Path:
        return Path(f"/proc/{self._running[name].pid}/root/srv/shoal")


@pytest.mark.timeout(120)
def test_containers_are_healthy_and_fetch_from_each_other(
    make_lab: MakeLab, tmp_path: Path
) -> None:
    containers = Containers(make_lab, tmp_path)
    containers.up()
    for name in services():
        wait_until(
            lambda name=name: containers.execute(name, *health_command()).returncode == 0,  # type: ignore[misc]
            START_TIMEOUT_S,
            f"{name} is healthy",
        )
    (containers.folder("n1") / "a.bin").write_bytes(DATA)
    wait_until(
        lambda: "a.bin" in containers.execute("n2", "ls").stdout, START_TIMEOUT_S, "a.bin is listed"
    )
    fetched = containers.execute("n2", "fetch", "a.bin")
    assert fetched.returncode == 0, fetched
    assert (containers.folder("n2") / "a.bin").read_bytes() == DATA
