"""docs/use/security.md, to the letter: from a cluster without keys to one that keeps others out."""

import os
import re
import shlex
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cluster import ROOT, Cluster, cluster_in, fails, noise

PAGE = (ROOT / "docs/use/security.md").read_text()
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
NAME, DATA = "some.bin", noise(500_000)
REVOKED_S = 2.0


def commands(heading: str) -> list[list[str]]:
    """Return the words of the commands in the first block under a heading."""
    block = BLOCK.search(PAGE, PAGE.index(f"## {heading}\n"))
    assert block is not None
    return [shlex.split(line, comments=True) for line in block[1].splitlines()]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Cluster]:
    """The cluster file in an office, and a machine each for the tracker and two nodes."""
    with cluster_in(tmp_path, nodes=("n1", "n2")) as lab:
        office = tmp_path / "office"
        office.mkdir()
        lab.file = lab.file.rename(office / "lab.yaml")
        yield lab


def give(lab: Cluster, machine: str) -> Path:
    """Give a machine the cluster file and its own secret; return where its cluster file is."""
    office, there = lab.path / "office", lab.path / "machines" / machine
    (there / "lab.keys").mkdir(parents=True, exist_ok=True)
    shutil.copy(office / "lab.yaml", there)
    shutil.copy(office / "lab.keys" / f"{machine}.key", there / "lab.keys")
    return there / "lab.yaml"


def on(lab: Cluster, machine: str, *command: str) -> None:
    """Start a process on a machine."""
    office, lab.file = lab.file, give(lab, machine)
    lab.launch(*command)
    lab.file = office


def from_(lab: Cluster, machine: str, *command: str) -> list[str]:
    return [*command, "--config", str(lab.path / "machines" / machine / "lab.yaml")]


def alive(lab: Cluster) -> set[str]:
    told = lab.run("status", "--json")
    return (
        {one["node"] for one in told.json["nodes"] if one["alive"]}
        if told.exit_code == 0
        else set()
    )


def test_a_cluster_gets_keys_and_takes_one_back(lab: Cluster) -> None:
    for _, *words in commands("Keys"):
        office = str(lab.file)
        done = lab.run_alone(*(office if word == "lab.yaml" else word for word in words))
        assert done.exit_code == 0, done.stderr
    on(lab, "tracker", "tracker")
    on(lab, "n1", "node", "n1")
    on(lab, "n2", "node", "n2")
    lab.wait(lambda: alive(lab) == {"n1", "n2"}, "both nodes have spoken")

    mine = lab.path / NAME
    mine.write_bytes(DATA)
    shared = lab.run_alone(*from_(lab, "n1", "share", str(mine), "--as", "n1"))
    assert shared.exit_code == 0, shared.stderr
    fetched = lab.run_alone(*from_(lab, "n2", "fetch", NAME, "--as", "n2"))
    assert fetched.exit_code == 0, fetched.stderr
    assert (lab.path / "machines/n2/n2" / NAME).read_bytes() == DATA

    stranger = lab.path / "stranger"
    stranger.mkdir()
    shutil.copy(lab.file, stranger)
    nobody = lab.run_alone("ls", "--config", str(stranger / "lab.yaml"))
    fails(nobody, 2, "has keys, and", "has no secret that you may read")

    lines = lab.file.read_text().splitlines(keepends=True)
    lab.file.write_text("".join(line for line in lines if "n2:" not in line))
    for machine, *process in (("tracker", "tracker"), ("n1", "node", "n1")):
        give(lab, machine)
        os.kill(lab.process(*process).pid, signal.SIGHUP)
    time.sleep(REVOKED_S)
    refused = lab.run_alone(*from_(lab, "n2", "ls"))
    fails(refused, 10, "does not accept the key of n2")
