"""`python -m tests.benchmark.stores`: what a round costs on SQLite, Redis and Valkey, and a start.

The store alone, in this process, with a server of our own on loopback; no tracker and no nodes.
"""

import argparse
import json
import secrets
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from shoal.broker.compacting import compact
from shoal.broker.redis_link import Link
from shoal.broker.redis_log import Keys
from shoal.broker.redis_store import RedisStore
from shoal.broker.sqlite_store import SqliteStore
from shoal.broker.stores import Store
from shoal.broker.tracking.changes import Change, Held, Published, Renewed, Seen
from shoal.broker.tracking.initial import Initial
from shoal.broker.tracking.settings import TrackerSettings
from shoal.broker.tracking.state import State

from tests.benchmark.processes import end_when_told
from tests.benchmark.workspace import Workspace, default_folder, open_workspace
from tests.integration.redis_server import RedisServer, found_servers

VERSIONS = 1000  # Each with as many holders.
ROUNDS = 2000
BATCH = 64


def main() -> int:
    args = _arguments()
    end_when_told()
    found: dict[str, Any] = {}
    with open_workspace(args.folder, 0) as workspace:
        for kind in args.only or ["sqlite", *found_servers()]:
            print(f"measuring {kind}", file=sys.stderr, flush=True)
            found[kind] = _measured(workspace, kind, args.holdings)
    print(json.dumps(found, indent=2))
    return 0


def _measured(workspace: Workspace, kind: str, holdings: int) -> dict[str, float]:
    """Return milliseconds for a round, changes/s, and seconds for a start."""
    folder = workspace.empty_folder(kind)
    if kind == "sqlite":
        return _of_any(lambda: SqliteStore(folder / "tracker.db"), holdings)
    with closing(RedisServer(found_servers()[kind], folder, "--appendonly", "yes")) as server:
        return _of_any(lambda: RedisStore(server.url), holdings) | _of_shared(server, holdings)


def _of_any(opened: Callable[[], Store], holdings: int) -> dict[str, float]:
    with closing(opened()) as store:
        store.load()
        log = history(holdings)
        began = time.perf_counter()
        for begin in range(0, len(log), BATCH):
            store.exchange(log[begin : begin + BATCH])
        changes_per_s = len(log) / (time.perf_counter() - began)
        took = {
            "round_ms": _rounds(store, lambda nth: [log[-1 - nth % holdings]]),
            "round_of_16_ms": _rounds(store, lambda nth: log[-17 - nth % 99 : -1 - nth % 99]),
            "idle_round_ms": _rounds(store, lambda _: ()),
        }
    return {
        **{name: round(1000 * seconds, 3) for name, seconds in took.items()},
        "changes_per_s": round(changes_per_s),
        **_start(opened, "start"),
    }


def _of_shared(server: RedisServer, holdings: int) -> dict[str, float]:
    """Return the same for what others append, and for a start from a snapshot."""
    server_bytes = int(server.ask("INFO", "memory")["used_memory"])
    with closing(Link(server.url, None)) as link:
        keys, token = Keys(link.address.prefix), secrets.token_hex(8)
        link.call("SET", keys.compacting, token)
        began = time.perf_counter()
        compact(link, keys, token)
        made_s = time.perf_counter() - began
        log_bytes, snapshot_bytes = (
            int(link.call("MEMORY", "USAGE", key, "SAMPLES", 0))
            for key in (keys.log, keys.chunks(token))
        )
    return {
        "log_mb": round(log_bytes / 1e6, 1),
        "snapshot_mb": round(snapshot_bytes / 1e6, 1),
        "server_mb": round(server_bytes / 1e6, 1),
        "snapshot_s": round(made_s, 2),
        **_start(lambda: RedisStore(server.url), "start_from_snapshot"),
        "others_changes_per_s": round(_others(server, holdings)),
    }


def _others(server: RedisServer, holdings: int) -> float:
    """Return how many changes of another tracker one takes in a second."""
    with closing(RedisStore(server.url)) as one, closing(RedisStore(server.url)) as two:
        one.load()
        two.load()
        log = history(holdings)
        while log:
            del log[: len(log) - one.exchange(log, [Renewed("n1")]).unsaved]
        began, count = time.perf_counter(), 0
        while others := two.exchange([]).others:
            count += len(others)
        return count / (time.perf_counter() - began)


def history(holdings: int) -> list[Change]:
    """Return what leads to so many holdings, of versions that differ."""
    nodes = max(1, holdings // VERSIONS)
    versions = [
        Published(
            f"datasets/part-{nth:05}.parquet", f"b3:{secrets.token_hex(32)}", 1 << 30, 1, "n0"
        )
        for nth in range(min(VERSIONS, holdings))
    ]
    seen = [Seen(f"n{nth}", f"tcp://10.0.0.{nth}:1", 1, 1) for nth in range(nodes)]
    held = [
        Held(each.name, each.id, node.node, complete=True) for node in seen for each in versions
    ]
    return [*seen, *versions, *held]


def _rounds(store: Store, changes: Callable[[int], Sequence[Change]]) -> float:
    """Return the median time of an exchange, in seconds."""
    took_s = []
    for nth in range(ROUNDS):
        given = changes(nth)
        began = time.perf_counter()
        store.exchange(given)
        took_s.append(time.perf_counter() - began)
    return statistics.median(took_s)


def _start(opened: Callable[[], Store], name: str) -> dict[str, float]:
    """Return how long it takes to load the log, and until the state is complete."""
    with closing(opened()) as store:
        began = time.perf_counter()
        log = store.load()
        loaded_s = time.perf_counter() - began
        State(Initial("tcp://127.0.0.1:1"), TrackerSettings()).replay(log, 0.0)
        complete_s = time.perf_counter() - began
    return {f"{name}_load_s": round(loaded_s, 2), f"{name}_complete_s": round(complete_s, 2)}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark.stores", description=__doc__)
    parser.add_argument("--holdings", type=int, default=100_000, help="in the log (100000)")
    parser.add_argument("--only", type=_kinds, help="sqlite, redis, valkey")
    parser.add_argument("--folder", type=Path, default=default_folder(), help="a RAM disk, if any")
    return parser.parse_args()


def _kinds(text: str) -> list[str]:
    return [kind for kind in ("sqlite", *found_servers()) if kind in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
