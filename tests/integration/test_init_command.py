"""`shoal init`: what it writes, what it says, and what it refuses."""

import subprocess
import sys
from pathlib import Path

import pytest
from shoal.config.cluster import load

from tests.integration.cluster import CLI, Result, fails


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("SHOAL_CONFIG", "SHOAL_AS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def shoal(place: Path, *words: str) -> Result:
    done = subprocess.run(
        [*CLI, *words], cwd=place, capture_output=True, text=True, check=False, timeout=60
    )
    return Result(done.returncode, done.stdout, done.stderr, 0)


def test_hosts_become_nodes_and_the_first_runs_the_tracker(place: Path) -> None:
    zone = ("--zone", "rack-1=10.7.0.[1-2]")
    done = shoal(place, "init", "10.7.0.[1-9]", "--net", "10.7.0.0/24", "--folder", "/srv/s", *zone)
    assert done.exit_code == 0, done
    assert done.stdout == "lan.yaml: 9 nodes, 10.7.0.1 to 10.7.0.9; the tracker on 10.7.0.1\n"
    steps = [line.split("#")[0].strip() for line in done.stderr.splitlines()]
    assert steps == ["next:", "shoal keys", "shoal hosts up", "shoal hosts start"]
    made = load(place / "lan.yaml")
    assert made.trackers[0].address == "tcp://10.7.0.1:12000"
    assert [node.zone for node in made.nodes.values()] == ["rack-1"] * 2 + [None] * 7
    assert str(made.nodes["10.7.0.9"].folder) == "/srv/s"
    assert shoal(place, "keys").exit_code == 0
    assert load(place / "lan.yaml").keys is not None


def test_one_machine_works_as_it_is(place: Path) -> None:
    done = shoal(place, "init", "--here", "--nodes", "2", "--output", "try.yaml", "--json")
    assert [node["name"] for node in done.json["nodes"]] == ["n1", "n2"]
    assert done.json["cluster_file"] == str(place / "try.yaml")
    made = load(place / "try.yaml")
    assert made.nodes["n2"].folder == place / "n2"
    assert made.accepts_pushes
    (place / "some.txt").write_text("some")
    shared = shoal(place, "share", "some.txt", "--as", "n1", "--config", "try.yaml")
    assert (place / "n1" / "some.txt").read_text() == "some"
    assert shared.exit_code == 9  # Its tracker does not run.


def test_an_existing_file_is_kept_unless_forced(place: Path) -> None:
    (place / "lan.yaml").write_text("mine")
    fails(shoal(place, "init", "--here"), 2, "lan.yaml already exists", "--force", "--output")
    assert (place / "lan.yaml").read_text() == "mine"
    assert shoal(place, "init", "--here", "--force").exit_code == 0
    assert load(place / "lan.yaml").nodes


def test_a_host_that_nobody_knows_is_written_by_name(place: Path) -> None:
    done = shoal(place, "init", "10.7.0.1,no-such.invalid")
    assert done.exit_code == 0
    assert "does not know no-such.invalid" in done.stderr.splitlines()[0]
    assert "its name is written instead" in done.stderr.splitlines()[0]
    assert (
        load(place / "lan.yaml").nodes["no-such.invalid"].address == "tcp://no-such.invalid:11001"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("pc[1-", ["is not a host list", "expected one, as in pc[01-40]"]),
        ("pc[1-5000]", ["more than 800 hosts"]),
        ("", ["no hosts; name them", "shoal init --here"]),
        ("10.7.0.[1-2] --net 10.8.0.0/24", ["2 of 2 hosts", "no address in 10.8.0.0/24", "--net"]),
        ("no-such.invalid --net 10.8.0.0/24", ["does not know no-such.invalid", "/etc/hosts"]),
        ("tracker,10.7.0.1", ["a node cannot be called tracker", "use another name"]),
        ("10.7.0.1 --net ten", ["--net ten is not a network", "192.168.1.0/24"]),
        ("10.7.0.1 --zone r1", ["--zone r1", "ZONE=HOSTS"]),
        ("10.7.0.1 --zone r1=10.7.0.2", ["10.7.0.2 is not one of the hosts"]),
        ("10.7.0.1 --zone a=10.7.0.1 --zone b=10.7.0.1", ["is in a already", "one zone at most"]),
        ("10.7.0.1 --tracker 10.7.0.[1-2]", ["--tracker", "names 2 hosts"]),
        ("10.7.0.1 --port 12000", ["port 12000 of 10.7.0.1", "--port"]),
        ("10.7.0.1 --port 80", ["--port"]),
        ("10.7.0.1 --here", ["--here is for this machine alone"]),
        ("--here --nodes 0", ["--nodes"]),
        ("--here --port 11999", ["port 12000", "--port"]),
        ("224.0.0.1", ["nothing was written", "will not connect"]),
        ("10.7.0.1 --output no/such/file.yaml", ["no/such"]),
        ("10.7.0.1 --output . --force", ["is a directory", "--output"]),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_written(
    place: Path, words: str, said: list[str]
) -> None:
    done = shoal(place, "init", *words.split())
    assert done.exit_code in (2, 8), done
    fails(done, done.exit_code, *said)
    assert not list(place.iterdir())


def test_the_library_of_host_lists_is_loaded_by_init_alone() -> None:
    code = "import sys, shoal.cli, shoal.commands.fetch; print('ClusterShell' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
