"""`python -m tests.benchmark.swarm`: N hosts want what one has; shoal and libtorrent in turn.

Every host is a network namespace with a limited link; all share this machine's processors. All are
told to begin at the same moment, with their processes up. Needs root, iproute2 and libtorrent.
"""

import argparse
import importlib.util
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import libtorrent

from commands.orders import OrderDesk
from protocol.control import Fetched, FetchOrder
from tests.benchmark import usage
from tests.benchmark.torrent_member import LEAST_PIECE_BYTES
from tests.benchmark.warm_memory import SPARE_BYTES, keep_warm
from tests.benchmark.workspace import PAYLOAD, default_folder
from tests.multihost.host_process import HostProcess
from tests.multihost.lab import Lab
from tests.multihost.swarm import Swarm
from tests.multihost.wait import wait_until

MEMBER = [sys.executable, "-m", "tests.benchmark.torrent_member"]
STREAM = Path(__file__).parents[1] / "multihost" / "tcp_stream.py"
STREAM_S = 3.0
LIMIT_S = 600.0
SETTLE_S = 3.0  # From the start of the processes to the moment at which all begin.
PIECES = 512


@dataclass(frozen=True)
class Outcome:
    """How one swarm went. Times in seconds since all were told to begin."""

    times_s: list[float]
    seed_sent_bytes: int  # On the wire, headers included.
    busy_s: float  # Of all processors, whoever was to blame.

    def line(self, bound_s: float, size_bytes: int) -> str:
        first, middle, last = (
            seconds / bound_s
            for seconds in (min(self.times_s), statistics.median(self.times_s), max(self.times_s))
        )
        return (
            f"first {first:.3f}  median {middle:.3f}  last {last:.3f} x the bound of"
            f" {bound_s:.2f} s; the seed sent {self.seed_sent_bytes / size_bytes:.2f} x the file;"
            f" {self.busy_s:.1f} processor seconds"
        )


def shoal(lab: Lab, folder: Path, payload: Path) -> Outcome:
    """Run a tracker and a node on each host; order all fetches at once."""
    swarm = Swarm(lab, folder)
    swarm.folder("n1").joinpath(PAYLOAD).hardlink_to(payload)
    swarm.start({PAYLOAD: ["n1"]})
    time.sleep(SETTLE_S)
    fetchers = [node for node in swarm.nodes if node != "n1"]
    desks = [OrderDesk(node, swarm.folder(node)) for node in fetchers]
    times_s: list[float] = []

    def order(desk: OrderDesk) -> None:
        report = desk.give(FetchOrder(PAYLOAD), lambda _: None)
        assert isinstance(report, Fetched)
        times_s.append(report.elapsed_s)

    threads = [threading.Thread(target=order, args=(desk,)) for desk in desks]
    with _Watched(lab) as watched:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT_S)
    for desk in desks:
        desk.close()
    return watched.outcome(times_s)


def torrent(lab: Lab, folder: Path, payload: Path) -> Outcome:
    """Run a peer on each host, all of whom know all addresses, and let them begin at once."""
    metadata = folder / "payload.torrent"
    _make_torrent(payload, metadata)
    peers = [lab.address(host) for host in lab.hosts]
    seed = lab.start(1, [*MEMBER, metadata, payload.parent, peers[0], "0"])
    wait_until(lambda: bool(seed.stdout), LIMIT_S, "the seed has checked its file")
    start_at = time.monotonic() + SETTLE_S + 0.2 * len(peers)
    members = [
        lab.start(host, [*MEMBER, metadata, folder / str(host), address, str(start_at), *peers])
        for host, address in zip(lab.hosts, peers, strict=True)
        if host > 1
    ]
    time.sleep(max(0.0, start_at - time.monotonic()))
    with _Watched(lab) as watched:
        wait_until(lambda: all(member.stdout for member in members), LIMIT_S, "all have it")
    return watched.outcome([_elapsed_s(member) for member in members])


CONTENDERS: dict[str, Callable[[Lab, Path, Path], Outcome]] = {
    "shoal": shoal,
    "libtorrent": torrent,
}


class _Watched:
    """What the swarm cost between entry and exit."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def __enter__(self) -> Self:
        self._sent_bytes = self._lab.sent_bytes(1)
        self._busy_s = usage.busy_s()
        return self

    def __exit__(self, *_: object) -> None:
        self._sent_bytes = self._lab.sent_bytes(1) - self._sent_bytes
        self._busy_s = usage.busy_s() - self._busy_s

    def outcome(self, times_s: list[float]) -> Outcome:
        return Outcome(times_s, self._sent_bytes, self._busy_s)


def _make_torrent(payload: Path, metadata: Path) -> None:
    piece_bytes = LEAST_PIECE_BYTES
    while piece_bytes * PIECES < payload.stat().st_size:
        piece_bytes *= 2
    files = libtorrent.list_files(str(payload))
    creator = libtorrent.create_torrent(files, piece_bytes, libtorrent.create_torrent.v1_only)
    libtorrent.set_piece_hashes(creator, str(payload.parent))
    metadata.write_bytes(libtorrent.bencode(creator.generate()))


def _elapsed_s(member: HostProcess) -> float:
    elapsed_s: float = json.loads(member.stdout)["elapsed_s"]
    return elapsed_s


def _stream_rate(folder: Path, rate_mbit: float) -> float:
    """Return the bytes per second of payload that one TCP stream reaches on such a link."""
    with Lab(2, rate_mbit, directory=folder) as lab:
        receiver = lab.start(2, [sys.executable, STREAM, "receive", lab.address(2)])
        wait_until(lambda: bool(receiver.stdout), LIMIT_S, "the receiver listens")
        lab.run(1, [sys.executable, STREAM, "send", lab.address(2), str(STREAM_S)], LIMIT_S)
        receiver.wait(LIMIT_S)
        rate: float = json.loads(receiver.stdout.splitlines()[-1])["rate_mbit"]
    return rate * 1e6 / 8


def main() -> None:
    """Measure, and print a line for each run and each contender's medians."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark.swarm", description=__doc__)
    parser.add_argument("--hosts", type=int, default=16, help="that fetch (16)")
    parser.add_argument("--rate-mbit", type=float, default=100.0)
    parser.add_argument("--size-mib", type=int, default=64)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", choices=[*CONTENDERS])
    args = parser.parse_args()
    names: Sequence[str] = [args.only] if args.only else [*CONTENDERS]
    size_bytes = args.size_mib << 20
    lasts: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory(prefix="shoal-swarm-", dir=default_folder()) as directory:
        place = Path(directory)
        (place / "seed").mkdir()
        payload = place / "seed" / PAYLOAD
        payload.write_bytes(Path("/dev/urandom").open("rb").read(size_bytes))  # noqa: SIM115
        keep_warm(place / "warm", size_bytes * args.hosts + 2 * SPARE_BYTES)
        for number in range(args.runs):
            bound_s = size_bytes / _stream_rate(place, args.rate_mbit)
            for name in names:
                with (
                    tempfile.TemporaryDirectory(dir=place) as folder,
                    Lab(args.hosts + 1, args.rate_mbit, directory=Path(folder)) as lab,
                ):
                    outcome = CONTENDERS[name](lab, Path(folder), payload)
                lasts[name].append(max(outcome.times_s) / bound_s)
                print(f"{number + 1} {name:10} {outcome.line(bound_s, size_bytes)}", flush=True)
    for name in names:
        print(f"{name}: last host {statistics.median(lasts[name]):.3f} x the bound (median)")


if __name__ == "__main__":
    if importlib.util.find_spec("libtorrent") is None:
        sys.exit("libtorrent is not installed: pip install libtorrent")
    main()
