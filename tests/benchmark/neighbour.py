"""`python -m tests.benchmark.neighbour`: what an ordinary TCP flow has of a link beside a transfer.

Host 1 has a file that host 2 wants; all links are limited. First the transfer has the link to
itself, then host 1 sends a TCP flow as well, to host 3: they share host 1's uplink. Then that ends.
Needs root and iproute2, and libtorrent for the rows that it is compared with.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.benchmark.contenders import MEMBER, make_torrent
from tests.benchmark.processes import end_when_told
from tests.benchmark.report import machine
from tests.benchmark.workspace import PAYLOAD, default_folder
from tests.multihost.lab import Lab
from tests.multihost.swarm import Swarm
from tests.multihost.wait import wait_until

STREAM = Path(__file__).parents[1] / "multihost" / "tcp_stream.py"
LIMIT_S = 60.0
SETTLE_S, ALONE_S, BESIDE_S, AFTER_S = 4.0, 6.0, 10.0, 8.0
SAMPLE_S = 0.25
BACK = 0.8  # Of the link: so much, and the transfer counts as back, …
BACK_SPAN_S = 0.5  # … over so long.
HOLDER, FETCHER, STRANGER = 1, 2, 3
Begin = Callable[[Lab, Path, Path], None]


def _shoal(**limits: object) -> Begin:
    """Return what begins a fetch under those limits."""

    def begin(lab: Lab, folder: Path, payload: Path) -> None:
        swarm = Swarm(lab, folder)
        told = yaml.safe_load(swarm.config.read_text())
        swarm.config.write_text(yaml.safe_dump(told | {"limits": limits}))
        os.link(payload, swarm.folder("n1") / PAYLOAD)
        swarm.start({PAYLOAD: ["n1"]}, nodes=["n1"])
        swarm.fetch("n2", PAYLOAD)

    return begin


def _torrent(*words: str) -> Begin:
    """Return what begins a download with libtorrent."""

    def begin(lab: Lab, folder: Path, payload: Path) -> None:
        metadata = folder / "payload.torrent"
        make_torrent(payload, metadata)
        peers = [lab.address(HOLDER), lab.address(FETCHER)]
        member: list[str | Path] = [*MEMBER, *words, metadata]
        seed = lab.start(HOLDER, [*member, payload.parent, peers[0], "0"])
        wait_until(lambda: bool(seed.stdout), LIMIT_S, "the seed has checked")
        lab.start(FETCHER, [*member, folder / "got", peers[1], "0", *peers])

    return begin


CONTENDERS: dict[str, Begin] = {
    "shoal": _shoal(),
    "shoal, up: 2MB/s": _shoal(up="2MB/s"),
    "shoal, background": _shoal(background=True),
    "libtorrent, TCP": _torrent(),
    "libtorrent, uTP": _torrent("--utp"),
}


def _stream(lab: Lab) -> float:
    """Have host 1 send a TCP flow to host 3; return what that reached, in MB/s."""
    receiver = lab.start(STRANGER, [sys.executable, STREAM, "receive", lab.address(STRANGER)])
    wait_until(lambda: bool(receiver.stdout), LIMIT_S, "the receiver listens")
    words = ["send", lab.address(STRANGER), str(BESIDE_S)]
    lab.run(HOLDER, [sys.executable, STREAM, *words], LIMIT_S)
    receiver.wait(LIMIT_S)
    rate: float = json.loads(receiver.stdout.splitlines()[-1])["rate_mbit"]
    return rate / 8


def _rate(lab: Lab, seconds: float) -> float:
    """Return what comes in at the fetcher, headers included, in MB/s."""
    began, before = time.monotonic(), lab.received_bytes(FETCHER)
    time.sleep(seconds)
    return (lab.received_bytes(FETCHER) - before) / (time.monotonic() - began) / 1e6


def _back_after(lab: Lab, wanted: float) -> tuple[float | None, float]:
    """Return after how long that much comes in again, and how much did in the end."""
    began, samples = time.monotonic(), list[float]()
    back: float | None = None
    while (passed := time.monotonic() - began) < AFTER_S:
        samples.append(_rate(lab, SAMPLE_S))
        recent = samples[-round(BACK_SPAN_S / SAMPLE_S) :]
        if back is None and len(recent) > 1 and min(recent) >= wanted:
            back = round(passed - SAMPLE_S, 2)
    return back, sum(samples[-4:]) / 4


def _measured(begin: Begin, payload: Path, place: Path, rate_mbit: float) -> dict[str, Any]:
    link = rate_mbit / 8
    with (
        tempfile.TemporaryDirectory(dir=place) as folder,
        Lab(3, rate_mbit, directory=Path(folder)) as lab,
    ):
        flow_alone = _stream(lab)
        begin(lab, Path(folder), payload)
        wait_until(lambda: _rate(lab, SAMPLE_S) > 0.5, LIMIT_S, "it comes in")
        time.sleep(SETTLE_S)
        alone = _rate(lab, ALONE_S)
        began, before = time.monotonic(), lab.received_bytes(FETCHER)
        flow = _stream(lab)
        meanwhile = (lab.received_bytes(FETCHER) - before) / (time.monotonic() - began) / 1e6
        back, after = _back_after(lab, BACK * link)
    return {
        "alone": round(alone / link, 3),
        "flow_alone": round(flow_alone, 2),
        "flow_beside": round(flow, 2),
        "flow_share": round(flow / flow_alone, 3),
        "meanwhile": round(meanwhile, 2),
        "back_s": back,
        "after": round(after / link, 3),
    }


def main() -> None:
    """Measure, and print a line for each contender, or one object."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmark.neighbour", description=__doc__
    )
    parser.add_argument("--rate-mbit", type=float, default=100.0)
    parser.add_argument("--size-mib", type=int, default=600)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--only", choices=list(CONTENDERS))
    parser.add_argument("--folder", type=Path, default=default_folder(), help="a RAM disk, if any")
    parser.add_argument("--json", action="store_true", help="one object, in one line, on stdout")
    args = parser.parse_args()
    end_when_told()
    chosen = list(CONTENDERS) if args.only is None else [args.only]
    if importlib.util.find_spec("libtorrent") is None:
        chosen = [name for name in chosen if name.startswith("shoal")]
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in chosen}
    facts = machine()
    with (
        contextlib.redirect_stdout(sys.stderr if args.json else sys.stdout),
        tempfile.TemporaryDirectory(prefix="shoal-neighbour-", dir=args.folder) as directory,
    ):
        payload = Path(directory) / "seed" / PAYLOAD
        payload.parent.mkdir()
        with Path("/dev/urandom").open("rb") as noise, payload.open("wb") as file:
            for _ in range(args.size_mib):
                file.write(noise.read(1 << 20))
        for _ in range(args.runs):
            for name in chosen:
                one = _measured(CONTENDERS[name], payload, Path(directory), args.rate_mbit)
                runs[name].append(one)
                print(f"{name:20} {one}", flush=True)
    if args.json:
        print(json.dumps({"machine": facts, "rate_mbit": args.rate_mbit, "runs": runs}))


if __name__ == "__main__":
    main()
