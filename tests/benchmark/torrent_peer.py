"""One BitTorrent peer, a process of its own: makes a .torrent, seeds it, or fetches and reports.

The settings are the fastest found for libtorrent 2.1 on loopback; docs/measurements lists what
else was tried. Everything that looks for peers is off: the addresses are given.
"""

import argparse
import json
import signal
import time
from pathlib import Path
from typing import Any

import libtorrent

PIECE_BYTES = 2 << 20
POLL_S = 0.005
PLAIN: dict[str, Any] = {
    "mixed_mode_algorithm": 0,  # prefer TCP
    "enable_outgoing_utp": False,
    "enable_incoming_utp": False,
    "in_enc_policy": 2,  # plaintext only
    "out_enc_policy": 2,
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "alert_mask": 0,
}
SETTINGS: dict[str, Any] = {
    **libtorrent.high_performance_seed(),
    **PLAIN,
    "tick_interval": 100,  # ms; connections and request queues grow by the tick
    "aio_threads": 1,  # more only contend on a RAM disk
    "allow_multiple_connections_per_ip": True,  # three seeders share 127.0.0.1
}


def make(torrent: Path, payload: Path) -> None:
    files = libtorrent.list_files(str(payload))
    creator = libtorrent.create_torrent(files, PIECE_BYTES, libtorrent.create_torrent.v1_only)
    libtorrent.set_piece_hashes(creator, str(payload.parent))
    torrent.write_bytes(libtorrent.bencode(creator.generate()))


def join(session: Any, torrent: Path, folder: Path, peers: list[int]) -> float:
    """Hold the whole torrent; gives the seconds it took from adding it."""
    params = libtorrent.add_torrent_params()
    params.ti = libtorrent.torrent_info(str(torrent))
    params.save_path = str(folder)
    # A seeder checks its file now: with seed_mode it would do so during the first transfer.
    params.flags &= ~(libtorrent.torrent_flags.auto_managed | libtorrent.torrent_flags.paused)
    started = time.monotonic()
    handle = session.add_torrent(params)
    for peer in peers:
        handle.connect_peer(("127.0.0.1", peer))
    while not handle.status().is_seeding:
        time.sleep(POLL_S)
    return time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=["make", "seed", "leech"])
    parser.add_argument("torrent", type=Path)
    parser.add_argument("path", type=Path, help="the file to make a torrent of, or the folder")
    parser.add_argument("--port", type=int)
    parser.add_argument("--peer", type=int, action="append", default=[])
    args = parser.parse_args()
    if args.role == "make":
        make(args.torrent, args.path)
        return
    settings: Any = {**SETTINGS, "listen_interfaces": f"127.0.0.1:{args.port}"}
    session = libtorrent.session(settings)
    elapsed_s = join(session, args.torrent, args.path, args.peer)
    print(json.dumps({"elapsed_s": elapsed_s}), flush=True)
    if args.role == "seed":
        signal.pause()


if __name__ == "__main__":
    main()
