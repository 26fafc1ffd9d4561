"""The example for Slurm: a job that starts when all of its nodes have the data."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.integration.cluster import CLI, ROOT, Cluster, cluster_in, noise
from tests.multihost.slurm import Slurm, obstacle, slurm
from tests.unit.test_pages import commands, is_option, options

SCRIPT = ROOT / "examples/slurm/with-data.sbatch"
NODES = ("n1", "n2", "n3")
NAME, DATA = "set.bin", noise(3_000_000)
JOB = (  # What srun runs on each node.
    'cmp "$LAB/$SLURMD_NODENAME/set.bin" "$LAB/n1/set.bin" &&'
    ' echo "$SLURMD_NODENAME" > "$LAB/ran-$SLURMD_NODENAME"'
)


def test_the_script_is_valid() -> None:
    subprocess.run(["bash", "-n", SCRIPT], check=True)
    bare = subprocess.run(["bash", SCRIPT], capture_output=True, text=True, check=False)
    assert (bare.returncode, bare.stderr.partition(":")[0]) == (2, "usage")


def test_its_commands_exist_and_have_the_options() -> None:
    lines = [line.split() for line in SCRIPT.read_text().splitlines()]
    told = [words[1:] for words in lines if words[:1] == ["shoal"]]
    assert [words[0] for words in told] == ["push", "wait"]
    for words in told:
        assert {word for word in words if is_option(word)} <= options(commands()[words[0]])


@pytest.fixture
def queue() -> Iterator[Slurm]:
    reason = obstacle()
    if reason is not None:
        assert os.environ.get("CI") != "true", reason
        pytest.skip(reason)
    with slurm(NODES) as running:
        yield running


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Cluster]:
    """n1 has the data. The tracker, n1 and n2 run; n3 does not."""
    with cluster_in(tmp_path / "lab") as lab:
        lab.file.write_text(f"accept_pushes: true\n{lab.file.read_text()}")
        lab.put(NAME, DATA, "n1")
        lab.start("n1", "n2")
        yield lab


def environment(lab: Cluster) -> Mapping[str, str]:
    """Return what the script needs; `shoal` is the one of this clone."""
    programs = lab.path / "bin"
    programs.mkdir()
    shoal = programs / "shoal"
    shoal.write_text(f'#!/bin/sh\nexec {" ".join(CLI)} "$@"\n')
    shoal.chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    return {"PATH": path, "SHOAL_CONFIG": str(lab.file), "LAB": str(lab.path)}


def ran_on(lab: Cluster) -> set[str]:
    return {path.read_text().strip() for path in lab.path.glob("ran-*")}


def test_a_job_starts_when_all_its_nodes_have_the_data(queue: Slurm, lab: Cluster) -> None:
    env = environment(lab)
    command = ("sbatch", "--wait", "--output=job.txt", str(SCRIPT), NAME, "sh", "-c", JOB)
    lab.launch("node", "n3")
    done = queue.run(command[0], "--nodes=3", *command[1:], env={**env, "DATA_TIMEOUT": "50s"})
    assert done.returncode == 0, (done, queue.output("job.txt"))
    assert ran_on(lab) == {*NODES}
    assert "3 of 3 have it" in queue.output("job.txt")


def test_a_job_does_not_start_without_the_data(queue: Slurm, lab: Cluster) -> None:
    command = ("sbatch", "--wait", "--output=job.txt", str(SCRIPT), NAME, "sh", "-c", JOB)
    env = {**environment(lab), "DATA_TIMEOUT": "5s"}
    done = queue.run(command[0], "--nodes=3", *command[1:], env=env)
    assert done.returncode == 7, (done, queue.output("job.txt"))
    assert ran_on(lab) == set()
    assert "n3" in queue.output("job.txt")
    fewer = queue.run(command[0], "--nodes=2", "--nodelist=n1,n2", *command[1:], env=env)
    assert fewer.returncode == 0, (fewer, queue.output("job.txt"))
    assert ran_on(lab) == {"n1", "n2"}
