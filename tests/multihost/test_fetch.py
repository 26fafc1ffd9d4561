"""Fetching between computers: the real commands on hosts with links of a chosen speed."""

import json
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.multihost.conftest import MakeLab
from tests.multihost.swarm import COMMAND_TIMEOUT_S, ROOT, Swarm, result
from tests.multihost.wait import wait_until

EXAMPLE = {"net.txt": ["n1", "n2"], "network.txt": ["n1", "n3"], "seeds.txt": ["n2", "n3"]}
MIB = 1024 * 1024
BINARY_BYTES = 16 * MIB
BINARY = random.Random(16).randbytes(BINARY_BYTES)
MIDDLE_BYTES = 4 * MIB  # Received when the fault strikes: both holders are at it by then.


def fetching_swarm(make_lab: MakeLab, directory: Path) -> Swarm:
    """Four hosts at 100 Mbit/s; n2 and n3 hold a binary file."""
    swarm = Swarm(make_lab(4, rate_mbit=100), directory / "cluster")
    for node in ("n2", "n3"):
        (swarm.folder(node) / "disk.img").write_bytes(BINARY)
    swarm.start({"disk.img": ["n2", "n3"]})
    return swarm


def fetch_in_spite_of(fault: Callable[[Swarm], None], swarm: Swarm) -> dict[str, Any]:
    """Fetch as n1, with the fault in the middle; check the bytes, return the answer."""
    middle = swarm.lab.received_bytes(1) + MIDDLE_BYTES
    fetching = swarm.fetch("n1", "disk.img")
    wait_until(lambda: swarm.lab.received_bytes(1) > middle, 20, "a quarter of the file is there")
    assert fetching.exit_code is None, fetching
    fault(swarm)
    fetched: dict[str, Any] = result(fetching)
    assert Path(fetched["path"]).read_bytes() == BINARY
    return fetched


def test_the_built_in_example_works_between_computers(make_lab: MakeLab, tmp_path: Path) -> None:
    swarm = Swarm(make_lab(4), tmp_path / "cluster", declare=EXAMPLE)
    for name, holders in EXAMPLE.items():
        for node in holders:
            shutil.copy(ROOT / "config" / node / name, swarm.folder(node) / name)
    swarm.start(EXAMPLE)

    fetched = result(swarm.fetch("n1", "seeds.txt"))
    all_fetched = result(swarm.fetch("n4", *EXAMPLE))

    seeds = (ROOT / "config/n2/seeds.txt").read_bytes()
    assert Path(fetched["path"]) == swarm.folder("n1") / "seeds.txt"
    assert Path(fetched["path"]).read_bytes() == seeds
    assert set(fetched["holders"]) <= {"n2", "n3"}
    assert sum(fetched["holders"].values()) == fetched["size_bytes"] == len(seeds)
    assert [each["name"] for each in all_fetched] == list(EXAMPLE)
    assert (swarm.folder("n4") / "seeds.txt").read_bytes() == seeds
    assert swarm.whole_holders() == {
        "net.txt": {"n1", "n2", "n4"},
        "network.txt": {"n1", "n3", "n4"},
        "seeds.txt": {"n1", "n2", "n3", "n4"},
    }


def test_a_file_that_nobody_holds_is_not_found(make_lab: MakeLab, tmp_path: Path) -> None:
    swarm = Swarm(make_lab(2), tmp_path / "cluster")
    swarm.start({})
    fetching = swarm.fetch("n1", "nothing.txt")
    assert fetching.wait(COMMAND_TIMEOUT_S) == 3, fetching
    assert json.loads(fetching.stdout)["exit_code"] == 3


def test_two_holders_together_are_faster_than_one_can_be(make_lab: MakeLab, tmp_path: Path) -> None:
    swarm = fetching_swarm(make_lab, tmp_path)
    for holder in (2, 3):
        swarm.lab.set_rate(holder, 50)
    fetched = result(swarm.fetch("n1", "disk.img"))
    assert Path(fetched["path"]).read_bytes() == BINARY
    assert fetched["size_bytes"] == fetched["fetched_bytes"] == BINARY_BYTES
    assert min(fetched["holders"]["n2"], fetched["holders"]["n3"]) >= 4 * MIB
    assert fetched["elapsed_s"] < BINARY_BYTES * 8 / 50e6


def test_a_holder_killed_in_the_middle_is_replaced_by_the_other(
    make_lab: MakeLab, tmp_path: Path
) -> None:
    def kill(swarm: Swarm) -> None:
        swarm.process("n2").send_signal(signal.SIGKILL)

    fetched = fetch_in_spite_of(kill, fetching_swarm(make_lab, tmp_path))
    assert fetched["holders"]["n3"] > BINARY_BYTES / 2


def test_a_holder_whose_cable_is_pulled_in_the_middle_is_replaced_by_the_other(
    make_lab: MakeLab, tmp_path: Path
) -> None:
    def pull(swarm: Swarm) -> None:
        swarm.lab.link(swarm.nodes["n2"], up=False)

    fetched = fetch_in_spite_of(pull, fetching_swarm(make_lab, tmp_path))
    assert fetched["holders"]["n3"] > BINARY_BYTES / 2
