"""Nodes behind a router: they are reached at its address, and speak from their own."""

import random
import sys
from pathlib import Path

import pytest
import yaml
from shoal.api.keys import KeyWishes, make_keys

from tests.multihost import port_forward
from tests.multihost.conftest import MakeLab
from tests.multihost.host_process import HostProcess
from tests.multihost.lab import Lab
from tests.multihost.swarm import COMMAND_TIMEOUT_S, ROOT, START_TIMEOUT_S, result
from tests.multihost.wait import wait_until

DATA = random.Random(27).randbytes(2_560_000)
ROUTER = "10.77.0.2"  # Host 2; n2 is on host 3, behind it.


class Site:
    """The tracker and n1 on host 1, and n2 on host 3, to which a port of host 2 leads."""

    def __init__(self, lab: Lab, folder: Path, listen: str, *, has_keys: bool) -> None:
        self.lab = lab
        self.folder = folder
        self.config = folder / "lab.yaml"
        tracker = {"address": "tcp://10.77.0.1:12000", "listen": "tcp://0.0.0.0:12000"}
        n1 = {"address": "tcp://10.77.0.1:11001", "folder": "n1"}
        n2 = {"address": f"tcp://{ROUTER}:21001", "folder": "n2", "listen": listen}
        document = {"tracker": tracker, "nodes": {"n1": n1, "n2": n2}}
        self.config.write_text(yaml.safe_dump(document))
        if has_keys:
            make_keys(self.config, KeyWishes())
        for name, data in (("n1", DATA), ("n2", DATA[::-1])):
            (folder / name).mkdir()
            (folder / name / f"of-{name}.bin").write_bytes(data)

    def start(self) -> None:
        near, far = f"{ROUTER}:21001", "10.77.0.3:11001"
        forwarding = self.lab.start(2, [sys.executable, port_forward.__file__, near, far])
        wait_until(lambda: "forwards" in forwarding.stdout, START_TIMEOUT_S, "the port forwards")
        self.shoal(1, "tracker")
        self.shoal(1, "node", "n1")
        self.behind = self.shoal(3, "node", "n2")

    def shoal(self, host: int, *words: str) -> HostProcess:
        command: list[str | Path] = [
            sys.executable,
            ROOT / "cli.py",
            *words,
            "--config",
            self.config,
        ]
        return self.lab.start(host, command, cwd=self.folder)

    def alive(self) -> int:
        asked = self.shoal(1, "status", "--json")
        return asked.stdout.count('"alive": true') if asked.wait(COMMAND_TIMEOUT_S) == 0 else 0


@pytest.mark.parametrize(
    ("listen", "has_keys"), [("tcp://10.77.0.3:11001", False), ("tcp://0.0.0.0:11001", True)]
)
def test_a_node_behind_a_router_serves_and_fetches(
    make_lab: MakeLab,
    tmp_path: Path,
    listen: str,
    has_keys: bool,  # noqa: FBT001
) -> None:
    site = Site(make_lab(3), tmp_path, listen, has_keys=has_keys)
    site.start()
    wait_until(lambda: site.alive() == 2, START_TIMEOUT_S, "both nodes are alive")
    assert f"at tcp://{ROUTER}:21001, listening on {listen}" in site.behind.stderr
    fetched = result(site.shoal(1, "fetch", "of-n2.bin", "--as", "n1", "--json"))
    assert Path(fetched["path"]).read_bytes() == DATA[::-1]
    assert fetched["holders"] == {"n2": len(DATA)}
    fetched = result(site.shoal(3, "fetch", "of-n1.bin", "--as", "n2", "--json"))
    assert fetched["holders"] == {"n1": len(DATA)}


def test_without_keys_nobody_knows_who_speaks_from_behind_a_router(
    make_lab: MakeLab, tmp_path: Path
) -> None:
    site = Site(make_lab(3), tmp_path, "tcp://0.0.0.0:11001", has_keys=False)
    site.start()
    refused = f"10.77.0.3 may not speak for n2, which is at tcp://{ROUTER}:21001"
    wait_until(lambda: refused in site.behind.stderr, START_TIMEOUT_S, "n2 is refused")
    assert "behind NAT, use keys (`shoal keys`)" in site.behind.stderr
    warned = "anybody who can reach port 11001 of this machine can read"
    wait_until(lambda: warned in site.behind.stderr, START_TIMEOUT_S, "its owner is warned")
