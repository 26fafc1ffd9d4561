"""What a relay does to the packets of a host: each fault, and nothing else."""

import json
import random
import socket
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from tests.multihost.conftest import MakeLab
from tests.multihost.lab import Lab
from tests.multihost.relay import BLACK_HOLE, Cable, Way
from tests.multihost.wait import wait_until

PACKETS = 400
ECHO = """if True:
    import socket
    echo = socket.create_server(("", 9000), family=socket.AF_INET)
    print("listening", flush=True)
    while True:
        peer, _ = echo.accept()
        try:
            while data := peer.recv(1 << 16):
                peer.sendall(data)
        except OSError as error:
            print(type(error).__name__, flush=True)
"""
CLIENT = """if True:
    import os, socket, sys, time
    with socket.create_connection((sys.argv[1], 9000)) as peer:
        peer.sendall(b"a")
        assert peer.recv(1) == b"a"
        print("answered", flush=True)
        while not os.path.exists(sys.argv[2]):
            time.sleep(0.01)
        peer.sendall(b"b")
        try:
            peer.recv(1)
        except OSError as error:
            print(type(error).__name__)
"""
SENDER = f"""if True:
    import socket, sys, time, json
    peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for number in range({PACKETS}):
        peer.sendto(number.to_bytes(2) + bytes(int(sys.argv[2])), (sys.argv[1], 9000))
        time.sleep(0.0005)
"""
RECEIVER = """if True:
    import socket, json, os, sys
    peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    peer.bind(("", 9000))
    print("listening", flush=True)
    peer.settimeout(0.3)
    came, is_over = [], False
    while True:
        try:
            came.append(int.from_bytes(peer.recv(2000)[:2]))
        except TimeoutError:
            if is_over:
                break
            is_over = os.path.exists(sys.argv[1])
    print(json.dumps(came), flush=True)
"""


def arrived(lab: Lab, source: int, sink: int, size_bytes: int = 100) -> list[int]:
    """Send numbered packets from one host to another; return the numbers that came, in order."""
    with tempfile.TemporaryDirectory() as folder:
        is_over = Path(folder) / "is over"
        receiving = lab.start(sink, [sys.executable, "-c", RECEIVER, is_over])
        wait_until(lambda: "listening" in receiving.stdout, 10, "the receiver listens")
        sending = [sys.executable, "-c", SENDER, lab.address(sink), str(size_bytes)]
        lab.run(source, sending, timeout_s=20)
        is_over.touch()
        assert receiving.wait(20) == 0, receiving
    numbers: list[int] = json.loads(receiving.stdout.splitlines()[-1])
    return numbers


@pytest.fixture
def lab(make_lab: MakeLab) -> Lab:
    return make_lab(2)


def test_without_a_fault_all_comes_in_order(lab: Lab) -> None:
    lab.relay(1)
    assert arrived(lab, 1, 2) == list(range(PACKETS))
    assert arrived(lab, 2, 1) == list(range(PACKETS))


def test_loses_repeats_and_reorders_in_one_direction(lab: Lab) -> None:
    relay = lab.relay(1)
    relay.set(up=Way(lost=0.2, repeated=0.2, held_back=0.2))
    came = Counter(arrived(lab, 1, 2))
    assert 0.6 * PACKETS < len(came) < 0.95 * PACKETS
    assert max(came.values()) == 2
    assert arrived(lab, 2, 1) == list(range(PACKETS))
    relay.set(up=Way(held_back=0.2))
    overtaken = arrived(lab, 1, 2)
    assert overtaken != sorted(overtaken)
    assert sorted(overtaken) == list(range(PACKETS))


def test_swallows_all_or_only_what_is_long(lab: Lab) -> None:
    relay = lab.relay(1)
    relay.set(up=BLACK_HOLE, down=Way(longest_bytes=600))
    assert arrived(lab, 1, 2) == []
    assert arrived(lab, 2, 1) == list(range(PACKETS))
    assert arrived(lab, 2, 1, size_bytes=1000) == []
    counts = relay.set()
    assert counts["lost"] >= PACKETS
    assert counts["too_long"] >= PACKETS


def test_ends_a_connection_with_a_forged_packet(lab: Lab, tmp_path: Path) -> None:
    relay = lab.relay(1)
    echo = lab.start(2, [sys.executable, "-c", ECHO])
    wait_until(lambda: "listening" in echo.stdout, 10, "it listens")
    go_on = tmp_path / "go on"
    client = lab.start(1, [sys.executable, "-c", CLIENT, lab.address(2), go_on])
    wait_until(lambda: "answered" in client.stdout, 10, "they are connected")
    relay.set(up=Way(reset=1.0))
    go_on.touch()
    wait_until(lambda: "ConnectionResetError" in echo.stdout, 10, "one end is told")
    assert relay.set()["reset"] > 0
    assert client.wait(20) == 0, client
    assert "ConnectionResetError" in client.stdout


def test_two_halves_do_not_hear_each_other_until_they_are_healed(make_lab: MakeLab) -> None:
    lab = make_lab(3)
    lab.relay(3)
    lab.part([2, 3])
    assert arrived(lab, 1, 3) == []
    assert arrived(lab, 2, 3) == list(range(PACKETS))
    lab.heal()
    assert arrived(lab, 1, 3) == list(range(PACKETS))


def test_the_same_seed_does_the_same() -> None:
    def losses(seed: int) -> list[int]:
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with one, other:
            cable = Cable((one, other), random.Random(seed))
            cable.ways[0] = Way(lost=0.3)
            lost = []
            for _ in range(100):
                cable.fly(0, bytes(100), 0.0)
                lost.append(cable.counts["lost"])
            return lost

    assert losses(1) == losses(1)
    assert losses(1) != losses(2)
