"""`shoal ls`: prints which files are shared, and by whom."""

from typing import Any

from shoal.api.asking import trackers_of
from shoal.api.ls import ls
from shoal.api.security import towards_tracker
from shoal.api.status import status
from shoal.commands import terminal
from shoal.commands.exit_codes import ExitCode
from shoal.commands.table import put_table
from shoal.config.cluster import Cluster
from shoal.protocol.messages import File, Holder
from shoal.protocol.names import display

MOST_NAMED = 5  # Holders in a line; more are counted.


def run_ls(cluster: Cluster, *, as_json: bool, is_long: bool = False) -> ExitCode:
    """Print every version of every file; `is_long`: all holders, however many there are."""
    tracker = trackers_of(cluster), towards_tracker(cluster)
    files = ls(*tracker)
    if as_json:
        terminal.put_json([_file_document(file) for file in files])
        return ExitCode.DONE
    if not files:
        terminal.say("nothing is shared yet; put a file into a node's folder, or use `shoal share`")
        return ExitCode.DONE
    count = 0
    if not is_long and any(len(file.holders) > MOST_NAMED for file in files):
        count = len(status(*tracker).nodes)
    rows = [["NAME", "VERSION", "PUBLISHER", "SIZE", "ID", "AGE", "HOLDERS"]]
    put_table(rows + [_file_row(file, count) for file in files], optional=(2, 5, 1))
    return ExitCode.DONE


def _file_document(file: File) -> dict[str, Any]:
    return {
        "name": file.name,
        "id": file.id,
        "size_bytes": file.size_bytes,
        "age_s": file.age_s,
        "newest": file.newest,
        "version": file.version,
        "publisher": file.publisher,
        "holders": [holder_document(holder) for holder in file.holders],
    }


def holder_document(holder: Holder) -> dict[str, Any]:
    return {
        "node": holder.node,
        "address": holder.address,
        "complete": holder.complete,
        "alive": holder.alive,
    }


def _file_row(file: File, node_count: int = 0) -> list[str]:
    """Return a line of `ls`. If `node_count` is given, many holders are only counted."""
    size = "?" if file.size_bytes is None else terminal.size(file.size_bytes)
    short = file.id[:15] if file.id else "?"
    name = display(file.name) + ("" if file.newest else " (older)")
    version = f"v{file.version}" if file.version else "-"
    publisher = file.publisher or "-"
    is_many = node_count > 0 and len(file.holders) > MOST_NAMED
    holders = _counted(file, node_count) if is_many else _named(file)
    return [name, version, publisher, size, short, terminal.age(file.age_s), holders]


def _named(file: File) -> str:
    return " ".join(_holder_word(holder, is_seen=file.id is not None) for holder in file.holders)


def _counted(file: File, node_count: int) -> str:
    """Return how many have it, as in `58 of 60, 2 in part, 1 offline`."""
    parts = sum(not holder.complete for holder in file.holders)
    offline = sum(not holder.alive for holder in file.holders)
    counts = [f"{len(file.holders) - parts} of {max(node_count, len(file.holders))}"]
    counts += [f"{parts} in part"] if parts else []
    counts += [f"{offline} offline"] if offline else []
    return ", ".join(counts)


def _holder_word(holder: Holder, *, is_seen: bool = True) -> str:
    silent = "offline" if is_seen else "never seen"
    notes = ([] if holder.complete else ["part"]) + ([] if holder.alive else [silent])
    return f"{holder.node} ({', '.join(notes)})" if notes else holder.node
