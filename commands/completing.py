"""Shell completion: nodes from the cluster file, files from the tracker. Never fails."""

import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from shoal.protocol.names import display

if TYPE_CHECKING:
    from shoal.config.cluster import Cluster

LIMIT_S = 0.5  # Longer feels broken after pressing Tab.


def nodes(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the nodes whose names start with what was typed."""
    try:
        return _beginning_with(incomplete, _cluster(ctx).nodes)
    except Exception:  # noqa: BLE001 (an error message would garble the command line)
        return []


def things(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the files whose names start with what was typed, if the tracker answers in time.

    A thread asks it, and is abandoned at the time limit: resolving the host may block, too.
    """
    found: list[str] = []

    def look() -> None:
        try:
            found.extend(_beginning_with(incomplete, _names(_cluster(ctx), incomplete)))
        except Exception:  # noqa: BLE001 (as above)
            return

    asking = threading.Thread(target=look, daemon=True)
    asking.start()
    asking.join(LIMIT_S)
    return list(found)


def _cluster(ctx: typer.Context) -> "Cluster":
    from shoal.config import cluster  # noqa: PLC0415 (--help stays quick)

    name = ctx.params.get("config")
    return cluster.load(cluster.find(name, os.environ, Path()))


def _names(cluster: "Cluster", incomplete: str) -> list[str]:
    """Return one page of the names that sort after what was typed."""
    import zmq  # noqa: PLC0415 (--help stays quick)
    from shoal.protocol.messages import Files, List  # noqa: PLC0415 (the same)
    from shoal.wire.tracker_client import TrackerClient  # noqa: PLC0415 (the same)

    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    client = TrackerClient(context, cluster.tracker.address, tries=1)
    try:
        client.send(List(incomplete), time.monotonic())
        client.socket.poll(int(1000 * LIMIT_S))
        reply = client.receive(time.monotonic())
    finally:
        client.close()
        context.term()
    return [file.name for file in reply.files] if isinstance(reply, Files) else []


def _beginning_with(start: str, names: Iterable[str]) -> list[str]:
    """Return the names that start so, without those that a terminal cannot display."""
    unique = dict.fromkeys(names)
    return [name for name in unique if name.startswith(start) and display(name) == name]
