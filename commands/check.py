"""`shoal check`: looks for problems on this machine. Changes nothing."""

import importlib.metadata
import os
import resource
import shutil
import socket
from collections.abc import Iterator

import msgspec
import zmq
from shoal.api.here import is_here
from shoal.api.status import status
from shoal.api.unfinished import unfinished
from shoal.commands import terminal
from shoal.commands.discard import described
from shoal.commands.exit_codes import ExitCode
from shoal.commands.table import put_table
from shoal.config.cluster import Cluster, NodeEntry
from shoal.protocol.addresses import split
from shoal.protocol.errors import OperatorError

LOW_SPACE_BYTES = 1 << 30
FEW_FILES = 1024  # A tracker for 300 nodes needs three descriptors for each.
PACKAGES = ("pyzmq", "msgpack", "msgspec", "blake3", "PyYAML", "typer", "rich", "inotify-simple")


class Finding(msgspec.Struct, frozen=True):
    """The result of one check; `state` is ok, note or wrong."""

    state: str
    thing: str
    message: str


def run_check(cluster: Cluster, *, as_json: bool) -> ExitCode:
    """Print the findings; the exit code is 2 if anything is wrong."""
    findings = list(_findings(cluster))
    if as_json:
        terminal.put_json({"findings": findings})
    else:
        rows = [[finding.state, finding.thing, finding.message] for finding in findings]
        put_table(rows, flexible=1)
    is_wrong = any(finding.state == "wrong" for finding in findings)
    return ExitCode.USAGE if is_wrong else ExitCode.DONE


def _findings(cluster: Cluster) -> Iterator[Finding]:
    versions = " ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    yield Finding("ok", "versions", f"{versions} libzmq {zmq.zmq_version()}")
    yield Finding("ok", "cluster file", f"{cluster.path}: {len(cluster.nodes)} nodes")
    yield _open_files()
    yield from _tracker(cluster)
    for entry in cluster.nodes.values():
        if is_here(entry.address):
            yield from _node(entry)
        else:
            yield Finding(
                "note", f"node {entry.name}", "is on another machine; run `shoal check` there"
            )
    for name, remains in unfinished(cluster).items():
        yield Finding("note", f"node {name}", described(name, remains))


def _open_files() -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < FEW_FILES:
        return Finding(
            "note", "open files", f"only {soft} are allowed; raise the limit: ulimit -n 65536"
        )
    return Finding("ok", "open files", f"{soft} are allowed")


def _tracker(cluster: Cluster) -> Iterator[Finding]:
    address = cluster.tracker.address
    try:
        overview = status(address)
    except OperatorError:
        if is_here(address):
            yield _port("tracker", address)
        else:
            yield Finding(
                "wrong", "tracker", f"{address} does not answer; start it on that machine"
            )
        return
    uptime = terminal.age(overview.uptime_s)
    yield Finding("ok", "tracker", f"{address} answers; up for {uptime}")


def _node(entry: NodeEntry) -> Iterator[Finding]:
    thing = f"node {entry.name}"
    if _is_listening(entry.address):
        yield Finding(
            "ok", thing, f"{entry.address}: a process is listening there, presumably the node"
        )
    else:
        yield _port(thing, entry.address)
    yield _folder(thing, entry)


def _port(thing: str, address: str) -> Finding:
    host, port = split(address)
    family, kind, number, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, number) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(place)
        except OSError as error:
            problem = f"cannot listen on {address}: {error.strerror}"
            remedy = "change the address in the cluster file"
            return Finding("wrong", thing, f"{problem}; {remedy}")
    return Finding("ok", thing, f"{address} is free; not running")


def _folder(thing: str, entry: NodeEntry) -> Finding:
    folder = entry.folder
    if folder.exists() and not folder.is_dir():
        return Finding(
            "wrong", thing, f"{folder} is not a directory; change the folder in the cluster file"
        )
    place = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not os.access(place, os.W_OK | os.X_OK):
        return Finding("wrong", thing, f"{place} is not writable; change its permissions")
    free = shutil.disk_usage(place).free
    state = "note" if free < LOW_SPACE_BYTES else "ok"
    made = "" if folder.exists() else ", will be created"
    return Finding(state, thing, f"{folder}{made}: {terminal.size(free)} free")


def _is_listening(address: str) -> bool:
    try:
        with socket.create_connection(split(address), timeout=1.0):
            return True
    except OSError:
        return False
