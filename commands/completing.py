"""Shell completion: nodes from the cluster file, files from the tracker. Never fails."""

import os
import threading
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


def fetchers(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the nodes and readers whose names start with what was typed."""
    try:
        cluster = _cluster(ctx)
        readers = cluster.keys.readers if cluster.keys is not None else {}
        return _beginning_with(incomplete, [*cluster.nodes, *readers])
    except Exception:  # noqa: BLE001 (as above)
        return []


def key_owners(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the names, of the tracker and all that have keys, that start with what was typed."""
    try:
        from shoal.config import cluster  # noqa: PLC0415 (--help stays quick)

        _, draft = cluster.load_draft(_cluster_file(ctx))
        return _beginning_with(incomplete, (party.name for party in draft.parties()))
    except Exception:  # noqa: BLE001 (as above)
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

    return cluster.load(_cluster_file(ctx))


def _cluster_file(ctx: typer.Context) -> Path:
    from shoal.config import cluster  # noqa: PLC0415 (the same)

    return cluster.find(ctx.params.get("config"), os.environ, Path())


def _names(cluster: "Cluster", incomplete: str) -> list[str]:
    """Return one page of the names that sort after what was typed."""
    import zmq  # noqa: PLC0415 (--help stays quick)
    from shoal.api.asking import trackers_of  # noqa: PLC0415 (the same)
    from shoal.api.security import towards_tracker  # noqa: PLC0415 (the same)
    from shoal.protocol.messages import Files, List  # noqa: PLC0415 (the same)
    from shoal.wire.tracker_client import TrackerClient  # noqa: PLC0415 (the same)

    towards = towards_tracker(cluster)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    client = TrackerClient(context, trackers_of(cluster), 1, towards)
    try:
        reply = client.ask(List(incomplete))
    finally:
        client.close()
        context.term()
    return [file.name for file in reply.files] if isinstance(reply, Files) else []


def _beginning_with(start: str, names: Iterable[str]) -> list[str]:
    """Return the names that start so, without those that a terminal cannot display."""
    unique = dict.fromkeys(names)
    return [name for name in unique if name.startswith(start) and display(name) == name]
