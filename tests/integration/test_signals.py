"""What signals do: the first ends in order, the second at once, and kill -9 costs little."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from signal import Signals

import pytest

from tests.integration.cluster import (
    BIG_BYTES,
    CLI,
    STOP_S,
    Cluster,
    cluster_in,
    environment,
    frozen,
    frozen_in_the_middle,
    noise,
)

BIG = "big.bin"
ASKERS = tuple(f"asker-{index}" for index in range(10))  # One for each test that fetches.
EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
SUSPENDED_S = 4.0  # Longer than anybody waits for a reply.
RENEWAL_S = 12.0  # Ten seconds, and the jitter.

each_signal = pytest.mark.parametrize("number", EXIT_CODES)


@pytest.fixture(scope="module")
def data() -> bytes:
    return noise(BIG_BYTES)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> Iterator[Cluster]:
    """n2 and n3 hold big.bin and run."""
    folder = tmp_path_factory.mktemp("signals") / "cluster"
    with cluster_in(folder, nodes=("n2", "n3", *ASKERS)) as cluster:
        cluster.put(BIG, data, "n2", "n3")
        cluster.start("n2", "n3")
        yield cluster


def assert_nothing_is_visible(lab: Cluster, asker: str) -> None:
    assert lab.names(asker) == []


def assert_completes_by_reusing(lab: Cluster, asker: str, data: bytes) -> None:
    """Fetch again: what was verified is not fetched a second time."""
    told = lab.fetch(BIG, node=asker).json
    assert told["reused_bytes"] > 0
    assert told["reused_bytes"] + told["fetched_bytes"] == len(data)
    assert lab.files(asker) == {BIG: data}


def both_signals(lab: Cluster, *command: str) -> None:
    """Have both signals wait for a process when it goes on."""
    process = lab.process(*command)
    with frozen(process):
        os.kill(process.pid, signal.SIGINT)
        os.kill(process.pid, signal.SIGTERM)


@each_signal
def test_the_first_signal_ends_a_fetch(lab: Cluster, number: Signals, data: bytes) -> None:
    asker = ASKERS[0] if number == signal.SIGINT else ASKERS[1]
    fetch = lab.launch_fetch(BIG, asker)
    with frozen_in_the_middle(lab, BIG, asker, "n2", "n3"):
        os.kill(fetch.pid, number)
        done = lab.finish(fetch, STOP_S)
    assert done.exit_code == done.json["exit_code"] == EXIT_CODES[number]
    assert done.errors == [f"error: {done.json['error']}"]
    assert_nothing_is_visible(lab, asker)
    assert_completes_by_reusing(lab, asker, data)


@each_signal
def test_the_first_signal_ends_a_fetch_that_a_node_does(lab: Cluster, number: Signals) -> None:
    asker = ASKERS[2] if number == signal.SIGINT else ASKERS[3]
    lab.start_node(asker)
    fetch = lab.launch_fetch(BIG, asker)
    with frozen_in_the_middle(lab, BIG, asker, "n2", "n3"):
        os.kill(fetch.pid, number)
        assert lab.finish(fetch, STOP_S).exit_code == EXIT_CODES[number]
    withdrawn = f"{asker} no longer holds {BIG}"
    lab.wait(lambda: withdrawn in lab.log("tracker"), "the node has stopped fetching it")
    assert lab.process("node", asker).exit_code is None
    assert_nothing_is_visible(lab, asker)
    lab.stop("node", asker)


@each_signal
def test_the_first_signal_ends_a_node_in_the_middle(
    lab: Cluster, number: Signals, data: bytes
) -> None:
    asker = ASKERS[4] if number == signal.SIGINT else ASKERS[5]
    node = lab.process("node", "n2") if lab.alive() else lab.launch("node", "n2")
    lab.start_node(asker)
    fetch = lab.launch_fetch(BIG, asker)
    with frozen_in_the_middle(lab, BIG, asker, "n2", "n3"):
        done = lab.stop("node", asker, number=number)
        assert done.exit_code == 0  # To be told to stop is no failure of a daemon.
        assert lab.finish(fetch, STOP_S).exit_code == EXIT_CODES[number]
    assert node.exit_code is None
    lab.wait(lambda: f"{asker} left\n" in lab.log("tracker"), "it has left")
    assert_nothing_is_visible(lab, asker)
    assert_completes_by_reusing(lab, asker, data)


@each_signal
def test_the_first_signal_ends_a_tracker(cluster: Cluster, number: Signals) -> None:
    cluster.start_tracker()
    done = cluster.stop("tracker", number=number)
    assert done.exit_code == 0
    assert "the tracker has stopped" in done.stderr


@each_signal
def test_a_signal_ends_a_command_from_the_first_moment(cluster: Cluster, number: Signals) -> None:
    """Fault 128: also while it is imported; it waits 3 s for a tracker that is not there."""
    process = cluster.launch("ls")
    heeds = 1 << (signal.SIGTERM - 1)

    def is_told() -> bool:
        status = Path(f"/proc/{process.pid}/status").read_text()
        return bool(int(status.partition("SigCgt:")[2].split()[0], 16) & heeds)

    cluster.wait(is_told, "the process heeds signals")
    os.kill(process.pid, number)
    done = cluster.finish(process, STOP_S)
    assert (done.exit_code, done.stdout) == (EXIT_CODES[number], "")
    assert done.stderr.splitlines() == done.errors


ON_TERMINAL = "import os, sys; os.login_tty(int(sys.argv[1])); os.execv(sys.argv[2], sys.argv[2:])"


def test_a_node_whose_terminal_goes_says_goodbye(cluster: Cluster) -> None:
    """SIGHUP alone has it read the cluster file again."""
    cluster.start_tracker()
    ours, theirs = os.openpty()
    command = [sys.executable, "-c", ON_TERMINAL, str(theirs), *CLI, "node", "n1"]
    node = subprocess.Popen(
        [*command, "--config", str(cluster.file)],
        pass_fds=[theirs],
        env=environment(),
        cwd=cluster.path,
        start_new_session=True,
    )
    os.close(theirs)
    said = b""
    try:
        while b"ready to serve" not in said:
            said += os.read(ours, 1000)
        node.send_signal(signal.SIGHUP)
        while b"was read again" not in said:
            said += os.read(ours, 1000)
        os.close(ours)
        assert node.wait(STOP_S) == 0
    finally:
        node.kill()
        node.wait()
    cluster.wait(lambda: "n1 left\n" in cluster.log("tracker"), "n1 has left")


def test_what_a_process_was_started_ignoring_stays_ignored(cluster: Cluster) -> None:
    """As with nohup, and with `&` in a script."""
    cluster.start("n1")
    ignored = {signal.SIGHUP, signal.SIGINT}
    kept = {number: signal.signal(number, signal.SIG_IGN) for number in ignored}
    try:
        node = cluster.launch("node", "n2")
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
    cluster.wait_for_node("n2")
    for number in ignored:
        os.kill(node.pid, number)
    assert cluster.run("verify", "--as", "n2").exit_code == 0  # It still takes orders.
    assert node.exit_code is None
    assert cluster.stop("node", "n2").exit_code == 0


def test_the_second_signal_ends_everything_at_once(cluster: Cluster) -> None:
    cluster.put(BIG, noise(BIG_BYTES), "n2")
    cluster.start("n2")
    fetch = cluster.launch_fetch(BIG, "n1")
    with frozen_in_the_middle(cluster, BIG, "n1", "n2"):
        both_signals(cluster, "fetch", BIG, "--as", "n1", "--json")
        assert cluster.finish(fetch, STOP_S).exit_code == 143
    for command in (("node", "n2"), ("tracker",)):
        process = cluster.process(*command)
        both_signals(cluster, *command)
        done = cluster.finish(process, STOP_S)
        assert done.exit_code == 143
        assert "has stopped" not in done.stderr  # It had no time to say goodbye.


def test_a_killed_holder_is_done_without(lab: Cluster, data: bytes) -> None:
    asker = ASKERS[6]
    fetch = lab.launch_fetch(BIG, asker)
    with frozen_in_the_middle(lab, BIG, asker, "n2", "n3"):
        lab.kill("node", "n2")
    done = lab.finish(fetch)
    assert done.exit_code == 0, done.stderr
    assert done.json["lost_holders"] > 0
    assert lab.files(asker) == {BIG: data}
    lab.start_node("n2")  # It finds its folder free again, and its files remembered.


def test_all_may_be_stopped_for_a_while(lab: Cluster, data: bytes) -> None:
    """Fault 133, as when all hosts are virtual machines of one that sleeps."""
    asker = ASKERS[9]
    fetch = lab.launch_fetch(BIG, asker)
    with (
        frozen_in_the_middle(lab, BIG, asker, "n2", "n3"),
        frozen(lab.process("tracker"), fetch),
    ):
        time.sleep(SUSPENDED_S)
    done = lab.finish(fetch)
    assert done.exit_code == 0, done.stderr
    assert done.json["lost_holders"] == done.json["wrong_chunks"] == 0
    assert lab.files(asker) == {BIG: data}


def test_a_killed_fetch_is_resumed(lab: Cluster, data: bytes) -> None:
    asker = ASKERS[7]
    lab.launch_fetch(BIG, asker)
    with frozen_in_the_middle(lab, BIG, asker, "n2", "n3"):
        lab.kill("fetch", BIG, "--as", asker, "--json")
    assert_nothing_is_visible(lab, asker)
    assert_completes_by_reusing(lab, asker, data)


def test_a_killed_tracker_stops_no_transfer_and_learns_all_again(lab: Cluster, data: bytes) -> None:
    asker = ASKERS[8]
    before = lab.alive()
    fetch = lab.launch_fetch(BIG, asker)
    with frozen_in_the_middle(lab, BIG, asker, "n2", "n3"):
        lab.kill("tracker")
    done = lab.finish(fetch)
    assert done.exit_code == 0, done.stderr
    assert lab.files(asker) == {BIG: data}
    for path in (lab.path / ".shoal").glob("tracker.db*"):
        path.unlink()
    lab.start_tracker()
    lab.wait(lambda: lab.alive() == before, "all is announced again", RENEWAL_S + 3)
    assert lab.holders(BIG) == {"n2": True, "n3": True}
