"""`shoal check`: looks for problems on this machine. Changes nothing."""

import contextlib
import functools
import importlib.metadata
import os
import resource
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import zmq
from shoal.api.folders import is_read_only
from shoal.api.health import health
from shoal.api.here import has_place_here
from shoal.api.security import towards_tracker
from shoal.api.status import TrackerState, tracker_states
from shoal.api.unfinished import unfinished
from shoal.broker.redis_store import probe
from shoal.broker.stores import NotSavedError
from shoal.commands import terminal
from shoal.commands.discard import described
from shoal.commands.exit_codes import ExitCode
from shoal.commands.finding import Finding
from shoal.commands.key_check import key_findings
from shoal.commands.table import put_table
from shoal.config.cluster import Cluster, NodeEntry
from shoal.config.metrics import MetricsPlace
from shoal.config.store import StorePlace
from shoal.protocol.addresses import split
from shoal.protocol.errors import NobodyAliveError, OperatorError, TimedOutError, TrackerError
from shoal.wire.host_names import HOST_NAMES, HostNameError

LOW_SPACE_BYTES = 1 << 30
FEW_FILES = 1024  # A tracker for 300 nodes needs three descriptors for each.
METRICS_S = 2.0  # For one answer of a process on this machine.
PACKAGES = ("pyzmq", "msgpack", "msgspec", "blake3", "PyYAML", "typer", "rich", "inotify-simple")


def run_check(cluster: Cluster, *, as_json: bool) -> ExitCode:
    """Print the findings; the exit code is 2 if anything is wrong."""
    for address in (*cluster.tracker_addresses, *(one.address for one in cluster.nodes.values())):
        with contextlib.suppress(HostNameError):
            HOST_NAMES.find(address)  # All host names at the same time.
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
    yield from key_findings(cluster)
    for found in tracker_states(cluster, towards_tracker(cluster)):
        yield from _tracker(cluster, found)
    yield from _store(cluster)
    for entry in cluster.nodes.values():
        if has_place_here(entry):
            yield from _node(entry)
        else:
            yield Finding("note", f"node {entry.name}", _elsewhere(entry))
    for name, remains in unfinished(cluster).items():
        role = "node" if name in cluster.nodes else "reader"
        yield Finding("note", f"{role} {name}", described(name, remains))


def _open_files() -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < FEW_FILES:
        return Finding(
            "note", "open files", f"only {soft} are allowed; raise the limit: ulimit -n 65536"
        )
    return Finding("ok", "open files", f"{soft} are allowed")


def _tracker(cluster: Cluster, found: TrackerState) -> Iterator[Finding]:
    entry = next(one for one in cluster.trackers if one.address == found.address)
    if found.error is None:
        answers = f"{entry.address} answers; up for {terminal.age(found.uptime_s)}"
        yield Finding("ok", "tracker", answers)
        if found.trouble:
            yield Finding("wrong", "tracker", f"{entry.address}: {found.trouble}")
    elif not isinstance(found.error, TrackerError):
        yield Finding("wrong", "tracker", str(found.error))
    elif has_place_here(entry):
        yield _port("tracker", entry.bound_to)
    else:
        silent = f"{entry.address} does not answer; start it on that machine"
        yield Finding("wrong", "tracker", silent)
    if has_place_here(entry):
        yield from _metrics("tracker", entry.metrics)


def _store(cluster: Cluster) -> Iterator[Finding]:
    """Tell whether the password is as it should be, where a tracker needs it."""
    if cluster.store is None or not any(map(has_place_here, cluster.trackers)):
        return
    try:
        place = cluster.store.place(os.environ)
    except OperatorError as error:
        yield Finding("wrong", "store", str(error))
        return
    file = cluster.store.password_file
    if cluster.store.url_password is not None:
        advice = "its password is in the cluster file, which all machines have"
        yield Finding("note", "store", f"{advice}; put it into a file (password_file)")
    elif file is not None and file.exists() and file.stat().st_mode & 0o077:
        remedy = f"run `chmod 600 {file}` as its owner"
        yield Finding("wrong", "store", f"{file} may be read or written by others; {remedy}")
    else:
        yield Finding("ok", "store", f"{place.url}, with{'out' * (not place.password)} a password")
    yield _reached(place)


def _reached(place: StorePlace) -> Finding:
    try:
        probe(*place)
    except (NotSavedError, OperatorError) as error:
        return Finding("wrong", "store", str(error))
    return Finding("ok", "store", "it answers and takes changes")


def _node(entry: NodeEntry) -> Iterator[Finding]:
    thing = f"node {entry.name}"
    place = entry.bound_to
    if _is_listening(place):
        yield Finding("ok", thing, f"{place}: a process is listening there, presumably the node")
    else:
        yield _port(thing, place)
    yield from _metrics(thing, entry.metrics)
    yield from map(functools.partial(_folder, thing), _written_by(entry))
    if is_read_only(entry):
        yield _read_folder(thing, entry.folder)


def _metrics(thing: str, place: MetricsPlace | None) -> Iterator[Finding]:
    """Tell how a process is, if it says so, or whether it could."""
    if place is None:
        return
    try:
        told = health(place, METRICS_S)
    except NobodyAliveError:
        yield _port(f"{thing}, metrics", f"tcp://{place}")
    except TimedOutError as error:
        yield Finding("wrong", f"{thing}, metrics", str(error))
    else:
        state = "ok" if told.ready else "note" if told.healthy else "wrong"
        message = "; ".join(told.reasons) or f"well and ready, as {place} says"
        yield Finding(state, f"{thing}, metrics", message)


def _elsewhere(entry: NodeEntry) -> str:
    if entry.listen is not None:
        return f"listens on {entry.listen}, here or on another machine; run `shoal check` there"
    return "is on another machine; run `shoal check` there"


def _port(thing: str, address: str) -> Finding:
    try:
        host, port = split(HOST_NAMES.wait(address))
    except HostNameError as error:
        remedy = "correct the address in the cluster file, or the name service"
        return Finding("wrong", thing, f"cannot listen on {address}: {error}; {remedy}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            problem = f"cannot listen on {address}: {error.strerror}"
            remedy = "change the address in the cluster file"
            return Finding("wrong", thing, f"{problem}; {remedy}")
    return Finding("ok", thing, f"{address} is free; not running")


def _written_by(entry: NodeEntry) -> list[Path]:
    return [entry.home] if is_read_only(entry) else sorted({entry.folder, entry.home})


def _read_folder(thing: str, folder: Path) -> Finding:
    if not os.access(folder, os.R_OK | os.X_OK):
        problem = f"{folder} cannot be read; mount it, or change its permissions"
        return Finding("wrong", thing, problem)
    return Finding("ok", thing, f"{folder}: only read")


def _folder(thing: str, folder: Path) -> Finding:
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
        with socket.create_connection(split(HOST_NAMES.wait(address)), timeout=1.0):
            return True
    except (OSError, HostNameError):
        return False
