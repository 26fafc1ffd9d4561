"""`shoal hosts` on the lab: what stands for ssh enters the host's namespace, and its home."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from shoal.api.keys import KeyWishes, make_keys
from shoal.config.cluster import load
from shoal.protocol.keys import public_text

from tests.multihost import namespaces
from tests.multihost.conftest import MakeLab
from tests.multihost.lab import Lab
from tests.multihost.swarm import ROOT

SEEDS = ROOT / "config" / "n2" / "seeds.txt"
TIMEOUT_S = 60.0
FAKE_SSH = """\
#!/bin/sh
host=${{1##*.}}
[ -e {namespaces}/{prefix}"$host" ] || {{ echo "no route to host" >&2; exit 255; }}
export HOME={homes}/"$host"
cd "$HOME" || exit
exec nsenter --net={namespaces}/{prefix}"$host" sh -c "$2"
"""


def write_cluster(path: Path, hosts: Sequence[str]) -> Path:
    """Write a cluster file: the tracker on the first host, node n1 on the first, n2 on the next."""
    nodes = {
        f"n{index}": {"address": f"tcp://{host}:11001", "folder": "~/files"}
        for index, host in enumerate(hosts, start=1)
    }
    tracker = {"address": f"tcp://{hosts[0]}:12000"}
    path.write_text(yaml.safe_dump({"tracker": tracker, "nodes": nodes}))
    return path


def make_homes(lab: Lab, directory: Path) -> Path:
    """Give each host a home with a folder `files`; return what stands for ssh."""
    for host in lab.hosts:
        (directory / str(host) / "files").mkdir(parents=True)
    ssh = directory / "fake-ssh"
    prefix = lab.namespace(1).removesuffix("1")
    ssh.write_text(FAKE_SSH.format(namespaces=namespaces.DIRECTORY, prefix=prefix, homes=directory))
    ssh.chmod(0o755)
    return ssh


def shoal_hosts(*arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("SHOAL_")}
    return subprocess.run(
        [sys.executable, ROOT / "cli.py", "hosts", *arguments],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )


def test_a_cluster_is_started_used_and_stopped(make_lab: MakeLab, tmp_path: Path) -> None:
    lab = make_lab(4)
    homes = tmp_path / "homes"
    options = [
        f"--ssh={make_homes(lab, homes)}",
        f"--shoal={sys.executable} {ROOT / 'cli.py'}",
        f"--config={write_cluster(tmp_path / 'four.yaml', [*map(lab.address, lab.hosts)])}",
    ]
    for holder in (2, 3):
        (homes / str(holder) / "files" / "seeds.txt").write_bytes(SEEDS.read_bytes())

    started = shoal_hosts("start", *options)
    assert started.returncode == 0, started
    again = shoal_hosts("start", "--on=n2", *options)
    assert "n2 on 10.77.0.2: already running" in again.stdout, again

    fetched = shoal_hosts("fetch", "seeds.txt", "--on=n1,n4", "--json", *options)
    assert fetched.returncode == 0, fetched
    assert [answer["node"] for answer in json.loads(fetched.stdout)] == ["n1", "n4"]
    for host in ("1", "4"):
        assert (homes / host / "files" / "seeds.txt").read_bytes() == SEEDS.read_bytes()
    assert shoal_hosts("fetch", "nothing.txt", *options).returncode == 3
    assert shoal_hosts("status", *options).returncode == 0

    stopped = shoal_hosts("stop", *options)
    assert stopped.returncode == 0, stopped
    assert namespaces.pids_inside(map(lab.namespace, lab.hosts)) == []
    assert shoal_hosts("status", "--on=n1", *options).returncode == 4


def test_a_cluster_with_keys_is_started_and_each_host_has_its_own_secrets(
    make_lab: MakeLab, tmp_path: Path
) -> None:
    lab = make_lab(3)
    homes = tmp_path / "homes"
    config = write_cluster(tmp_path / "three.yaml", [*map(lab.address, lab.hosts)])
    make_keys(config, KeyWishes())
    options = [
        f"--ssh={make_homes(lab, homes)}",
        f"--shoal={sys.executable} {ROOT / 'cli.py'}",
        f"--config={config}",
    ]
    (homes / "2" / "files" / "seeds.txt").write_bytes(SEEDS.read_bytes())

    started = shoal_hosts("start", *options)
    assert started.returncode == 0, started
    fetched = shoal_hosts("fetch", "seeds.txt", "--on=n1,n3", *options)
    assert fetched.returncode == 0, fetched
    assert (homes / "3" / "files" / "seeds.txt").read_bytes() == SEEDS.read_bytes()
    status = shoal_hosts("status", *options)
    assert (status.returncode, status.stdout.count("alive")) == (0, 3), status
    for host, names in {1: {"tracker", "n1"}, 2: {"n2"}, 3: {"n3"}}.items():
        folder = homes / str(host) / ".shoal-hosts" / "three" / "cluster.keys"
        assert {path.name for path in folder.iterdir()} == {f"{name}.key" for name in names}

    keys = load(config).keys
    assert keys is not None
    theirs = f"    key: {public_text(keys.nodes['n3'])}\n"
    assert theirs in config.read_text()
    config.write_text(config.read_text().replace(theirs, ""))
    (homes / "2" / "files" / "later.txt").write_bytes(b"not for n3")
    again = shoal_hosts("start", "--on=tracker,n1,n2", *options)
    assert again.stdout.count("; reads the cluster file again") == 3, again
    refused = shoal_hosts("fetch", "later.txt", "--on=n3", *options)
    assert refused.returncode == 10, refused
    assert shoal_hosts("fetch", "later.txt", "--on=n1", *options).returncode == 0
    assert shoal_hosts("stop", *options).returncode == 0


def test_one_host_that_cannot_be_reached_does_not_keep_the_others(
    make_lab: MakeLab, tmp_path: Path
) -> None:
    lab = make_lab(1)
    options = [
        f"--ssh={make_homes(lab, tmp_path)}",
        f"--shoal={sys.executable} {ROOT / 'cli.py'}",
        f"--config={write_cluster(tmp_path / 'two.yaml', [lab.address(1), lab.address(99)])}",
    ]
    started = shoal_hosts("start", *options)
    assert started.returncode == 6, started
    assert "n1 on 10.77.0.1: started" in started.stdout
    assert "n2 on 10.77.0.99: failed (exit code 255): no route to host\n" in started.stderr


def test_a_node_that_ends_at_once_is_reported_with_its_log(
    make_lab: MakeLab, tmp_path: Path
) -> None:
    lab = make_lab(1)
    config = write_cluster(tmp_path / "one.yaml", [lab.address(1)])
    broken = tmp_path / "broken-shoal"
    broken.write_text("#!/bin/sh\necho the disk is on fire >&2\nexit 8\n")
    broken.chmod(0o755)
    options = [f"--ssh={make_homes(lab, tmp_path)}", f"--shoal={broken}", f"--config={config}"]
    started = shoal_hosts("start", "--on=n1", *options)
    assert started.returncode == 8, started
    assert "n1 on 10.77.0.1: failed (exit code 8): the disk is on fire; it" in started.stderr


@pytest.mark.parametrize("command", ["up", "start", "status", "stop"])
def test_a_dry_run_prints_what_it_would_run(tmp_path: Path, command: str) -> None:
    config = write_cluster(tmp_path / "two.yaml", ["10.77.0.1", "10.77.0.2"])
    printed = shoal_hosts(command, "--dry-run", f"--config={config}", "--host=n2=ann@lab-7")
    assert printed.returncode == 0, printed
    lines = printed.stdout.splitlines()
    assert all(" | ssh -o BatchMode=yes " in line for line in lines)
    assert any(" ann@lab-7 " in line for line in lines)
    assert any(" 10.77.0.1 " in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--on=n3"], "no node n3"),
        (["--ssh=/no/ssh"], "cannot run /no/ssh: No such file"),
        (["--host=n3=lab-7"], "no node n3"),
        (["--host=n1"], "expected NAME=HOST"),
        (["--on=,"], "--on names nobody; expected one of tracker, n1, n2"),
        (["--ssh=ssh 'x"], "No closing quotation; quote it as for a shell"),
        (["--ssh= "], "found no command"),
        (["--config=/nowhere.yaml"], "/nowhere.yaml"),
    ],
)
def test_a_wrong_option_is_named(tmp_path: Path, arguments: list[str], message: str) -> None:
    config = write_cluster(tmp_path / "two.yaml", ["10.77.0.1", "10.77.0.2"])
    refused = shoal_hosts("status", f"--config={config}", *arguments)
    assert refused.returncode == 2, refused
    assert message in refused.stderr
