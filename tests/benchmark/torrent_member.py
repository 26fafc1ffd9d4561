"""One BitTorrent peer of a swarm, on a host of its own: starts at a given moment, stays as a seed.

Run as: torrent_member.py [--utp] TORRENT FOLDER ADDRESS START_AT PEER…, START_AT by the machine's
monotonic clock, or a file that will be there; the addresses without ports. Says when it has half.
In a swarm over slow links libtorrent's defaults are better than what is best on loopback
(docs/build/benchmarks.md).
"""

import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

import libtorrent

from tests.benchmark.torrent_peer import PLAIN, POLL_S

PORT = 6881
HALF = 0.5
UTP = {
    "enable_outgoing_utp": True,
    "enable_incoming_utp": True,
    "enable_outgoing_tcp": False,
    "enable_incoming_tcp": False,
}


def _wait_for(start_at: str) -> None:
    if start_at.startswith("/"):
        while not Path(start_at).exists():
            time.sleep(POLL_S)
    else:
        time.sleep(max(0.0, float(start_at) - time.monotonic()))


def main() -> None:
    is_utp = sys.argv[1] == "--utp"
    torrent, folder, address, start_at, *peers = sys.argv[1 + is_utp :]
    settings: Any = {**PLAIN, "listen_interfaces": f"{address}:{PORT}"}
    settings |= UTP if is_utp else {}
    session = libtorrent.session(settings)
    params = libtorrent.add_torrent_params()
    params.ti = libtorrent.torrent_info(torrent)
    params.save_path = folder
    params.flags &= ~(libtorrent.torrent_flags.auto_managed | libtorrent.torrent_flags.paused)
    Path(folder).mkdir(exist_ok=True)
    _wait_for(start_at)
    started = time.monotonic()
    handle = session.add_torrent(params)
    for peer in peers:
        handle.connect_peer((peer, PORT))
    has_told = False
    while not handle.status().is_seeding:
        if not has_told and handle.status().progress >= HALF:
            print("half", flush=True)
            has_told = True
        time.sleep(POLL_S)
    print(json.dumps({"elapsed_s": time.monotonic() - started}), flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
