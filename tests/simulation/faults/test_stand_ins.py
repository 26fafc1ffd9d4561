"""What is simulated behaves as the system does: threads, locks, connections, sockets, disks."""

import errno
import functools
import math
import os
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zmq

from tests.simulation.faults import disk, sockets, threads, waiting
from tests.simulation.faults.connections import Net
from tests.simulation.faults.disk import Disk, Habits
from tests.simulation.faults.locks import Lock
from tests.simulation.faults.patterns import Rep
from tests.simulation.faults.threads import Loop, Process, StuckError
from tests.simulation.network import place

ADDRESS = "tcp://10.0.0.1:5000"
LATENCY_S = 0.01


class Scene:
    """Two hosts, `server` and `client`, each with a process."""

    def __init__(self) -> None:
        self.loop = Loop(random.Random(1))
        threads.begin(self.loop)
        self.net = Net(self.loop, random.Random(1), 0.0)
        sockets.begin(self.net)
        disk.begin(lambda _: None)
        self.net.hosts[ADDRESS] = "server"
        self.net.places = {host: place(1e9, 1e9, LATENCY_S) for host in ("server", "client")}
        self.server, self.client = (Process(self.loop, host, 1) for host in ("server", "client"))
        self.said: list[Any] = []

    def serve(self) -> None:
        """Answer everything with what was said."""

        def work() -> None:
            rep = sockets.Context().socket(zmq.REP)
            rep.bind(ADDRESS)
            assert isinstance(rep, Rep)
            while True:
                rep.poll()
                rep.send_multipart([b"re: " + rep.recv_multipart()[0]])

        self.server.start(work)
        self.loop.run(self.loop.now + 0.001)

    def ask(self, word: bytes, reconnect_ms: int = -1) -> None:
        """Ask, and note when the answer comes, or the connection ends."""

        def work() -> None:
            dealer: Any = sockets.Context().socket(zmq.DEALER)
            dealer.setsockopt(zmq.RECONNECT_IVL, reconnect_ms)
            dealer.setsockopt(zmq.TCP_MAXRT, 15_000)
            ends = zmq.EVENT_CLOSED | zmq.EVENT_DISCONNECTED
            monitor = dealer.get_monitor_socket(ends)
            dealer.connect(ADDRESS)
            dealer.send_multipart([b"tag", b"", word])
            ready = waiting.zmq_poll([(dealer, 1), (monitor, 1)])
            answer = b"it ended" if ready[0][0] is monitor else dealer.recv_multipart()[-1]
            self.said.append((round(self.loop.now, 3), answer))

        self.client.start(work)

    def run(self, seconds: float) -> list[Any]:
        self.loop.run(self.loop.now + seconds)
        return self.said

    def do(self, work: Callable[[], Any]) -> None:
        self.client.start(lambda: self.said.append(work()))
        self.run(1.0)


def test_an_answer_takes_the_handshake_and_a_round_trip() -> None:
    scene = Scene()
    scene.serve()
    scene.ask(b"hello")
    assert scene.run(1.0) == [(pytest.approx(8 * LATENCY_S * 2, abs=0.002), b"re: hello")]


def test_nobody_listens() -> None:
    scene = Scene()
    scene.ask(b"hello")
    assert scene.run(1.0) == [(pytest.approx(0.04), b"it ended")]


def test_a_cut_holds_messages_up_until_it_is_mended() -> None:
    scene = Scene()
    scene.serve()
    scene.ask(b"hello")
    scene.run(0.13)
    scene.net.cut([("server", "client")])
    assert scene.run(5.0) == []
    scene.net.mend_all()
    ((at, answer),) = scene.run(2.0)
    assert 5.1 < at < 6.8
    assert answer == b"re: hello"


def test_what_stays_unacknowledged_ends_the_connection() -> None:
    scene = Scene()
    scene.serve()
    scene.ask(b"hello")
    scene.run(0.125)
    scene.net.cut([("client", "server")])
    ((at, answer),) = scene.run(60.0)
    assert (answer, 15 <= at <= 26) == (b"it ended", True)


def test_a_killed_process_ends_its_connections_and_a_stopped_one_keeps_them() -> None:
    scene = Scene()
    scene.serve()
    scene.ask(b"hello")
    scene.run(0.125)
    scene.server.pause()
    assert scene.run(20.0) == []
    scene.server.go_on()
    assert scene.run(1.0)[0][1] == b"re: hello"
    scene.ask(b"again")
    scene.run(0.125)
    scene.server.kill()
    assert scene.run(1.0)[1][1] == b"it ended"
    assert ADDRESS not in scene.net.bound


def test_a_dealer_that_may_connects_again() -> None:
    scene = Scene()
    scene.ask(b"hello", reconnect_ms=200)
    assert scene.run(1.0)[0][1] == b"it ended"  # So the monitor says; the socket goes on trying.


def test_a_rep_takes_no_second_request_before_it_has_answered() -> None:
    scene = Scene()

    def work() -> None:
        rep = sockets.Context().socket(zmq.REP)
        rep.bind(ADDRESS)
        rep.poll()
        rep.recv_multipart()
        assert not rep.has_mail()
        rep.recv_multipart(zmq.NOBLOCK)

    scene.server.start(work)
    scene.run(0.001)
    scene.ask(b"one")
    scene.ask(b"two")
    scene.run(1.0)
    assert "received twice" in str(scene.loop.crashed[0][1])


def test_a_full_queue_takes_nothing_more() -> None:
    scene = Scene()

    def work() -> str:
        dealer: Any = sockets.Context().socket(zmq.DEALER)
        dealer.setsockopt(zmq.SNDHWM, 2)
        dealer.connect(ADDRESS)
        for _ in range(2):
            dealer.send_multipart([b"x"])
        with pytest.raises(zmq.Again):
            dealer.send_multipart([b"x"])
        return "full"

    scene.do(work)
    assert scene.said == ["full"]


def test_a_lock_goes_to_those_who_waited_longest() -> None:
    scene = Scene()
    lock = Lock()

    def work(name: str, for_s: float) -> None:
        if lock.acquire(timeout=2.5):
            scene.said.append(name)
            scene.loop.pass_time(for_s)
            lock.release()
        else:
            scene.said.append(f"{name} gives up")

    for name, for_s in (("a", 1.0), ("b", 2.0), ("c", 1.0)):
        scene.client.start(functools.partial(work, name, for_s))
    assert scene.run(10.0) == ["a", "b", "c gives up"]
    assert not lock.locked()


def test_a_killed_thread_does_nothing_more() -> None:
    scene = Scene()

    def work() -> None:
        try:
            scene.loop.park(math.inf)
        except Exception:  # noqa: BLE001 (as the product does)
            scene.said.append("caught")
        scene.said.append("went on")

    thread = scene.client.start(work)
    scene.run(1.0)
    scene.client.kill()
    assert scene.run(1.0) == []
    assert not thread.is_alive()


def test_threads_that_keep_each_other_busy_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "MOST_TURNS", 100)
    scene = Scene()

    def work() -> None:
        while True:
            me = scene.loop.current()
            assert me is not None
            scene.loop.make_ready(me)
            scene.loop.park()

    scene.client.start(work)
    with pytest.raises(StuckError):
        scene.run(1.0)


@pytest.mark.parametrize(
    ("habits", "outcome"),
    [
        (Habits(), "abcd"),
        (Habits(fails_every=1e-9, only="pwrite"), OSError),
        (Habits(fails_every=1e-9, only="rename"), "abcd"),
        (Habits(short_every=1e-9), "short"),
    ],
)
def test_a_disk_fails_as_it_is_told(habits: Habits, outcome: object, tmp_path: Path) -> None:
    scene = Scene()
    hits: Counter[str] = Counter()
    mounted = Disk("client", tmp_path, random.Random(1), hits)
    disk.mount(mounted)
    mounted.behave(habits)
    pwrite = disk._writing("pwrite", os.pwrite)

    def work() -> object:
        number = disk._opening(tmp_path / "f", os.O_RDWR | os.O_CREAT)
        try:
            count = pwrite(number, b"abcd", 0)
        except OSError as error:
            return error.errno in {errno.EIO, errno.ENOSPC} and OSError
        finally:
            disk._closing(number)
        return (tmp_path / "f").read_text() if count == 4 else "short"

    scene.do(work)
    assert scene.said == [outcome]
    assert bool(hits) == (outcome != "abcd")


def test_a_process_killed_at_a_call_loses_its_descriptors(tmp_path: Path) -> None:
    scene = Scene()
    mounted = Disk("client", tmp_path, random.Random(1), Counter())
    mounted.on_kill = scene.client.kill
    disk.mount(mounted)
    mounted.behave(Habits(kills_every=1e-9, only="fsync"))
    opened: list[int] = []

    def work() -> None:
        opened.append(disk._opening(tmp_path / "f", os.O_RDWR | os.O_CREAT))
        disk._writing("fsync", os.fsync)(opened[0])

    scene.do(work)
    assert scene.said == []
    assert scene.client.is_over
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened[0])
