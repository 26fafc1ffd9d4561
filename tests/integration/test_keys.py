"""A cluster with keys, as real processes: who is let in, for how long, and what others can read."""

import contextlib
import os
import re
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
import zmq
from shoal.api.asking import trackers_of
from shoal.api.security import ring_of
from shoal.config.cluster import load
from shoal.protocol import messages
from shoal.protocol.errors import NotAllowedError, OperatorError
from shoal.protocol.messages import List, StateRequest
from shoal.wire import sockets
from shoal.wire.tracker_client import TrackerClient

from tests.integration.cluster import Cluster, Result, cluster_in, fails, noise

NAME, SIZE_BYTES = "a-telling-name.bin", 300_000
REVOKED_S = 2.0  # How long a key that was taken out may still be good for.
KEY = re.compile(r", key: curve:[0-9a-f]{64}")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Cluster]:
    """n1 holds something; tracker, n1 and n2 run. n3 does not."""
    with cluster_in(tmp_path / "lab") as cluster:
        cluster.put(NAME, noise(SIZE_BYTES), "n1")
        cluster.secure()
        cluster.start("n1", "n2")
        yield cluster


def test_everything_works_with_keys(lab: Cluster) -> None:
    assert lab.fetch(NAME, node="n3").json["holders"] == {"n1": SIZE_BYTES}
    assert lab.fetch(NAME, node="n2").exit_code == 0  # By the node that runs.
    assert lab.files("n2") == lab.files("n3") == lab.files("n1")
    assert lab.run("ls").stdout.count(NAME) == 1
    assert lab.holders(NAME)["n2"]
    assert lab.run("status").exit_code == lab.run("check").exit_code == 0
    states = {one["node"]: one["state"] for one in lab.run("where", NAME, "--json").json["nodes"]}
    assert states["n1"] == "published"


class Capture:
    """All that passes over the loopback device meanwhile, to or from some ports."""

    def __init__(self, ports: set[int]) -> None:
        self._ports = ports
        try:
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
        except PermissionError:
            pytest.skip("only root may capture")
        self._socket.bind(("lo", 0))
        self._socket.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        self._socket.settimeout(0.2)
        self._thread = threading.Thread(target=self._run)
        self._is_over = False
        self.data = b""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._is_over = True
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        found = []
        while True:
            try:
                packet = self._socket.recv(100_000)
            except TimeoutError:
                if self._is_over:
                    break
                continue
            ports = {int.from_bytes(packet[at : at + 2]) for at in (34, 36)}  # IPv4, no options.
            if ports & self._ports:
                found.append(packet[54:])
        self.data = b"".join(found)


@pytest.mark.parametrize("is_secured", [True, False])
def test_a_capture_shows_neither_names_nor_contents(tmp_path: Path, *, is_secured: bool) -> None:
    content = noise(SIZE_BYTES)
    with cluster_in(tmp_path / "lab") as lab:
        lab.put(NAME, content, "n1")
        if is_secured:
            lab.secure()
        ports = {
            int(one.rpartition(":")[2]) for one in (lab.tracker_address, *lab.addresses.values())
        }
        with Capture(ports) as capture:
            lab.start("n1")
            assert lab.fetch(NAME, node="n3").exit_code == 0
            assert lab.run("where", NAME).exit_code == 0
    assert len(capture.data) > SIZE_BYTES
    telling = [NAME.encode(), b"n1", *(content[at : at + 8] for at in range(0, SIZE_BYTES, 1000))]
    shown = [each for each in telling if each in capture.data]
    if is_secured:
        assert [each for each in shown if len(each) > 2] == []  # Two letters are there by chance.
    else:
        assert NAME.encode() in shown
        assert len(shown) > len(telling) // 2


def copied(lab: Cluster, name: str) -> Path:
    """Return a copy of the cluster file and the secrets, to be changed."""
    place = lab.path / name
    place.mkdir()
    shutil.copy(lab.file, place)
    shutil.copytree(lab.file.with_suffix(".keys"), place / "cluster.keys")
    return place / "cluster.yaml"


def run_by(lab: Cluster, file: Path, *command: str) -> Result:
    return lab.run_alone(*command, "--config", str(file))


def test_whoever_has_no_key_or_a_wrong_one_is_told_so_at_once(lab: Cluster) -> None:
    plain = copied(lab, "plain")
    plain.write_text(KEY.sub("", plain.read_text()).partition("admins:")[0].replace("key:", "#"))
    unknown = copied(lab, "unknown")
    assert run_by(lab, unknown, "keys", "--new", "n3").exit_code == 0
    wrong = copied(lab, "wrong")
    assert run_by(lab, wrong, "keys", "--new", "tracker").exit_code == 0
    none = copied(lab, "none")
    shutil.rmtree(none.with_suffix(".keys"))
    for file, exit_code, words in (
        (plain, 10, "lets in only those with keys"),
        (unknown, 10, "does not accept the key of n3"),
        (wrong, 10, "does not use the key"),
        (none, 2, "secret"),
    ):
        fails(run_by(lab, file, "fetch", NAME, "--as", "n3"), exit_code, words)
        if file == unknown:
            source = lab.path / "more.bin"
            source.write_bytes(b"more")
            fails(run_by(lab, file, "share", str(source), "--as", "n3"), exit_code, words)
        else:  # That one has the admin's key.
            fails(run_by(lab, file, "ls"), exit_code, words)
    assert lab.names("n3") == []


def test_a_secured_client_says_so_of_a_tracker_without_keys(tmp_path: Path) -> None:
    with cluster_in(tmp_path / "lab") as lab:
        lab.start_tracker()
        lab.secure()
        fails(lab.run("ls"), 10, "does not use keys, although the cluster file has some")


def edited(lab: Cluster, node: str) -> None:
    """Take the key of a node out of the cluster file."""
    lines = [
        KEY.sub("", line) if line.lstrip().startswith(f"{node}:") else line
        for line in lab.file.read_text().splitlines()
    ]
    lab.file.write_text("\n".join(lines) + "\n")


def reload(lab: Cluster, *names: str) -> None:
    """Have processes read the cluster file again."""
    for name in names:
        process = lab.process(*name.split())
        count = process.stderr.count("was read again")
        os.kill(process.pid, signal.SIGHUP)
        lab.wait(lambda: process.stderr.count("was read again") > count, "SIGHUP is heeded")  # noqa: B023


class Asking:
    """n3, which keeps asking the tracker and n1 over connections of its own."""

    def __init__(self, lab: Cluster) -> None:
        cluster = load(lab.file)
        ring = ring_of(cluster, "n3")
        assert ring is not None
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        towards = ring.towards_tracker()
        self.tracker = TrackerClient(self.context, trackers_of(cluster), towards=towards)
        events = int(zmq.EVENT_DISCONNECTED)
        self.node, self.monitor = sockets.monitored_dealer(
            self.context, events, ring.towards_node("n1")
        )
        self.node.connect(cluster.nodes["n1"].address)

    def ask_tracker(self) -> object:
        """Return the tracker's answer, or the error."""
        try:
            return type(self.tracker.ask(List()))
        except OperatorError as error:
            return error

    def ask_node(self) -> object:
        """Return the node's answer, None if it has ended the connection."""
        self.node.send_multipart([b"1", b"", messages.encode(StateRequest(NAME, None))])
        while not self.node.poll(100):
            if self.monitor.poll(0):
                return None
        return messages.decode(self.node.recv_multipart()[-1], messages.NodeReply)

    def close(self) -> None:
        self.tracker.close()
        self.node.disable_monitor()
        self.monitor.close()
        self.node.close()
        self.context.term()


def test_a_key_that_is_taken_out_ends_its_access_on_live_connections(lab: Cluster) -> None:
    with contextlib.closing(Asking(lab)) as asking:
        assert asking.ask_tracker() is messages.Files
        assert isinstance(asking.ask_node(), messages.State)
        edited(lab, "n3")
        reload(lab, "tracker", "node n1")
        began = time.monotonic()
        answer = asking.ask_node()
        assert answer is None or (isinstance(answer, messages.Error) and answer.code == 403)
        refused = asking.ask_tracker()
        assert refused is messages.Error or isinstance(refused, NotAllowedError)
        assert asking.monitor.poll(int(1000 * REVOKED_S))  # Idle by now.
        while not isinstance(refused := asking.ask_tracker(), NotAllowedError):
            assert time.monotonic() - began < 2 * REVOKED_S
        assert "does not accept the key of n3" in str(refused)
    assert "no longer let in: n3" in lab.log("tracker")
    assert lab.fetch(NAME, node="n2").exit_code == 0
    assert lab.fetch(NAME, node="n3").exit_code != 0


def test_a_node_is_added_while_the_others_run(lab: Cluster) -> None:
    lab.addresses["n4"] = lab.addresses["n3"]
    lab.folder("n4").mkdir()
    entry = f"  n4: {{address: '{lab.addresses['n4']}', folder: n4}}"
    text = re.sub("  n3:.*", entry, lab.file.read_text())
    lab.file.write_text(text)
    lab.secure()
    fails(lab.fetch(NAME, node="n4", options=()), 10, "does not accept the key of n4")
    reload(lab, "tracker", "node n1")
    assert "let in: n4" in lab.log("tracker")
    lab.start_node("n4")
    assert lab.fetch(NAME, node="n4").exit_code == 0
    assert lab.files("n4") == lab.files("n1")


def test_a_node_that_is_refused_goes_on_and_comes_back(lab: Cluster) -> None:
    """Its key may be added later; libzmq itself never tries again."""
    text = lab.file.read_text()
    edited(lab, "n2")
    reload(lab, "tracker")
    refused = "does not accept the key of n2"
    lab.wait(lambda: refused in lab.log("node", "n2"), "n2 is refused")
    lab.file.write_text(text)
    reload(lab, "tracker")
    lab.wait(lambda: "the tracker answers" in lab.log("node", "n2"), "n2 is back")
    assert lab.log("node", "n2").count(refused) == 1


def test_a_damaged_file_changes_nothing(lab: Cluster) -> None:
    text = lab.file.read_text()
    for damaged, words in (
        ("tracker: [", "nothing has changed, mend it"),
        (KEY.sub("", text).partition("admins:")[0], "keys cannot be put in or taken out"),
    ):
        lab.file.write_text(re.sub("key: curve:.*", "", damaged))
        for process in (lab.process("tracker"), lab.process("node", "n1")):
            os.kill(process.pid, signal.SIGHUP)
            lab.wait(lambda: words in process.stderr, "the error is told")  # noqa: B023
        lab.file.write_text(text)
        assert lab.announced("n1") == {NAME}
    lab.file.write_text(text.replace("folder: n1", "folder: elsewhere"))
    reload(lab, "node n1")
    assert "restart this to have another value of: address, listen, folder" in lab.log("node", "n1")
    lab.file.write_text(text)
    assert lab.fetch(NAME, node="n3").exit_code == 0
