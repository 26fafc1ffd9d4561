"""A node's folder on this machine: who uses it, and how to become that node."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from shoal.api.asking import trackers_of
from shoal.api.security import ring_of
from shoal.config.cluster import Cluster, NodeEntry
from shoal.config.limits import NodeLimits
from shoal.node.fetching.settings import FetchSettings
from shoal.node.folder.lock import FolderLock, FolderTakenError, require_mounted
from shoal.node.folder.occasions import RESCAN_S
from shoal.node.network.rates import NO_LIMIT, RateLimits
from shoal.node.orders.identity import Identity
from shoal.protocol.errors import DiskError, OperatorError, UnavailableError
from shoal.protocol.names import display
from shoal.wire import control_socket

RETRY_S = 0.1
TELL_S = 1.0  # A node that has just been started takes orders before that.


def identity_of(cluster: Cluster, entry: NodeEntry) -> Identity:
    """Return a node's entry in the cluster file as the node itself needs it.

    Raises:
        OperatorError: there are keys, and its own cannot be used.
    """
    limits, fetching = entry.limits, FetchSettings()
    if limits.fetch_memory_mb is not None:
        window_bytes = int(1e6 * limits.fetch_memory_mb)
        fetching = msgspec.structs.replace(fetching, total_window_bytes=window_bytes)
    if limits.stalled_s is not None:
        fetching = msgspec.structs.replace(fetching, stalled_s=limits.stalled_s)
    return Identity(
        entry.name,
        entry.address,
        entry.folder,
        trackers_of(cluster, entry.name),
        entry.quota_bytes,
        fetching,
        RESCAN_S if limits.rescan_s is None else limits.rescan_s,
        entry.serves,
        listed_in(cluster),
        cluster.keys is not None or cluster.accepts_pushes,
        entry.in_place,
        ring_of(cluster, entry.name),
        rate_limits(cluster, limits),
        entry.listen,
        entry.state_folder,
        is_read_only(entry),
    )


def is_read_only(entry: NodeEntry) -> bool:
    """Say whether nothing may be written into a node's folder, so that its state is elsewhere."""
    if entry.state_folder is None or entry.read_only:
        return entry.read_only
    try:
        return bool(os.statvfs(entry.folder).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def writable_of(entry: NodeEntry) -> Path:
    """Return where a node's links are, and things on their way (node.orders.identity)."""
    return entry.home if is_read_only(entry) else entry.folder


def _take(entry: NodeEntry) -> FolderLock:
    """Lock the folder of a node; raise FolderTakenError or DiskError."""
    lock = FolderLock.take(entry.home)
    try:
        if entry.state_folder is not None:
            require_mounted(entry.folder)
            if not is_read_only(entry):
                entry.folder.mkdir(parents=True, exist_ok=True)
            elif not entry.folder.is_dir():
                message = f"there is no folder {display(str(entry.folder))}, which is only read"
                raise DiskError(f"{message}; make or mount it, or correct the cluster file")
    except OSError as error:
        lock.release()
        message = f"cannot use the folder {display(str(entry.folder))}: {error.strerror}"
        raise DiskError(f"{message}; change its permissions, or choose another one") from None
    except OperatorError:
        lock.release()
        raise
    return lock


def rate_limits(cluster: Cluster, limits: NodeLimits) -> RateLimits:
    """Return what a node may send and receive by the cluster file.

    While the tracker does not say how much of what all may send is its own, that is an equal part.
    """
    part = None if cluster.cluster_up is None else cluster.cluster_up // len(cluster.nodes)
    own = limits.up or NO_LIMIT, limits.down or NO_LIMIT
    return RateLimits(*own, limits.background or False, part)


def listed_in(cluster: Cluster) -> dict[str, str]:
    """Return the addresses of all nodes, by name."""
    return {name: entry.address for name, entry in cluster.nodes.items()}


def take_folder(entry: NodeEntry) -> FolderLock:
    """Lock the folder of a node that is about to run.

    Raises:
        UnavailableError: another process has locked it.
        DiskError: the folder cannot be used.
    """
    try:
        return _take(entry)
    except FolderTakenError as taken:
        owner = f"process {taken.pid}" if taken.pid else "another process"
        message = f"node {entry.name} cannot start: {owner} has its folder {entry.home}"
        raise UnavailableError(f"{message}; stop it first") from None


def take_folder_or_none(
    entry: NodeEntry, check: Callable[[str], None], on_wait: Callable[[str], None]
) -> FolderLock | None:
    """Lock a node's folder; return None if a running node has it and takes orders.

    Another command releases it soon, so wait for that: `fetch a & fetch b` fetches both.

    Args:
        entry: the node.
        check: called while waiting, with the reason to wait; may raise.
        on_wait: called once after a second, with a sentence for the user.

    Raises:
        DiskError: the folder cannot be used.
    """
    started, has_told = time.monotonic(), False
    while True:
        try:
            return _take(entry)
        except FolderTakenError as taken:
            if control_socket.takes_orders(entry.home):
                return None
            owner = f"process {taken.pid} is using the folder {entry.home}"
        check(owner)
        if not has_told and time.monotonic() - started > TELL_S:
            on_wait(f"{owner}; waiting for it to end")
            has_told = True
        time.sleep(RETRY_S)
