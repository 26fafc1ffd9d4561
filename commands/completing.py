"""What the shell may complete: nodes of the cluster file, things of the tracker. Never fails."""

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

LIMIT_S = 0.5  # Nobody waits longer for the tab key.


def nodes(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the names of nodes that begin with what was typed."""
    try:
        return _beginning_with(incomplete, _cluster(ctx).nodes)
    except Exception:  # noqa: BLE001 (in the middle of a line, nobody wants to read of it)
        return []


def things(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the names of things that begin with what was typed, if the tracker answers in time.

    It is asked in a thread that is left behind: a name service may be waited for, too.
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
    """Return a page of the names that sort after what was typed."""
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
    """Return those that can be typed: what a terminal does not show is not put into a line."""
    unique = dict.fromkeys(names)
    return [name for name in unique if name.startswith(start) and display(name) == name]
