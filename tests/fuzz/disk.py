"""Decoders of files: the cluster file, what a node and a tracker keep, and what hosts print."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from blake3 import blake3
from shoal.broker import rows
from shoal.broker.sqlite_store import SqliteStore
from shoal.commands import hosts
from shoal.config import cluster, document
from shoal.hosts import machine, preflight
from shoal.hosts.reasons import reason
from shoal.hosts.roles import Role
from shoal.hosts.running import silent_nodes
from shoal.hosts.ssh import Outcome
from shoal.node.files.placing import remove
from shoal.node.folder import leftovers, lock
from shoal.node.folder.cache import Cache
from shoal.node.folder.inventory import Inventory
from shoal.node.folder.rules import Rules
from shoal.node.staging.remains import Remains, found, staging_place
from shoal.node.staging.spare import Seen
from shoal.protocol import manifest
from shoal.protocol.errors import OperatorError

from tests.fuzz import sample_files as samples
from tests.fuzz.contents import listings
from tests.fuzz.decoder import Decoder, Read, pure

NOW_S = 1_800_000_000
TRACKERS = (cluster.TrackerEntry("tcp://h:1", Path()),)
CLUSTER = cluster.Cluster(
    Path(), TRACKERS, {"n1": cluster.NodeEntry("n1", "tcp://h:2", Path())}, {}
)


def _written(
    name: str, read: Callable[[Path], object], beside: dict[str, bytes] | None = None
) -> Callable[[Path], Read]:
    """Return what reads bytes from a file, with others beside it, in a folder of its own."""

    def open_in(folder: Path) -> Read:
        def of(data: bytes) -> object:
            for left in folder.iterdir():
                remove(left)
            for other, known in (beside or {}).items():
                (folder / other).write_bytes(known)
            path = folder / name
            path.write_bytes(data)
            return read(path)

        return of

    return open_in


def _cache(path: Path) -> object:
    cache = Cache(path)
    try:
        known = cache.manifest_of("a.bin", samples.SIGNATURE)
        return known, cache.title_of("a.bin"), cache.next_epoch()
    finally:
        cache.close()


def _store(path: Path) -> object:
    store = SqliteStore(path)
    try:
        return store.load()
    finally:
        store.close()


def _journal(path: Path) -> object:
    return _store(path.with_name("tracker.db"))


def _rows(data: bytes) -> object:
    """Read rows that have the right checksum: damage alone would never get past it."""
    raw = samples.unpacked_rows(data)
    sealed = {
        table: [(*values, rows.seal(table, values, flag)) for *values, flag in told]
        for table, told in raw.items()
    }
    return rows.log(sealed, NOW_S)


def _seen(path: Path) -> object:
    data = path.read_bytes()
    path.write_bytes(blake3(data).digest() + data)
    seen = Seen.load(path)
    return seen and seen.is_all_of(b"", os.fsencode(path.parent))


def _remains(folder: Path) -> Read:
    """Read what is left of a fetch: its listing and its name."""
    known = manifest.of_tree(12, [12, 30], bytes(64))
    content_id = manifest.id_of(manifest.encode(known))
    place = staging_place(folder, content_id)
    place.mkdir(parents=True)
    (place / "manifest").write_bytes(manifest.encode(known))
    remains = Remains(folder, Inventory(lambda _: None))

    def read(data: bytes) -> object:
        (place / "listing").write_bytes(data)
        (place / "name").write_bytes(data[:8192])
        return remains.to_copy_from(content_id, "t"), found(folder)

    return read


def _hosts(data: bytes) -> object:
    text = data.decode(errors="replace")
    outcome = Outcome(Role("n1", "h", ("node", "n1")), 0, text, "")
    for read in (machine.told, preflight.size_told):
        with contextlib.suppress(OperatorError, ValueError):
            assert read(text) is not None
    found = preflight._found(outcome, CLUSTER, preflight.Room())
    failed = reason(outcome._replace(exit_code=1, stderr=text))
    said = hosts._in_words(outcome), hosts._document(outcome), silent_nodes(text, {"n1"})
    return *said, found, failed


def _fstab(path: Path) -> None:
    lock.require_mounted(path.parent / "data", path)


def _lock(folder: Path) -> Read:
    """Read who owns a folder that is taken."""
    owner = lock.FolderLock.take(folder)

    def read(data: bytes) -> int | None:
        os.pwrite(owner._descriptor, data[:64], 0)
        os.ftruncate(owner._descriptor, len(data[:64]))
        try:
            lock.FolderLock.take(folder)
        except lock.FolderTakenError as error:
            return error.pid
        raise AssertionError("two owners")

    return read


def _leftovers(folder: Path) -> Read:
    place = folder / ".shoal"
    place.mkdir()

    def read(data: bytes) -> object:
        name = b"incoming-" + data[:200].replace(b"/", b"_").replace(b"\0", b"_")
        path = os.path.join(os.fsencode(place), name)  # noqa: PTH118 - of bytes
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
        leftovers.sweep(folder)
        if os.path.exists(path):  # noqa: PTH110 - of bytes
            os.unlink(path)  # noqa: PTH108 - of bytes
        return None

    return read


def _file(
    seeds: tuple[bytes, ...],
    name: str,
    read: Callable[[Path], object],
    *refusals: type[Exception],
    most_bytes: int = 1 << 20,
) -> Decoder:
    return Decoder(seeds, _written(name, read), refusals, most_bytes)


def _journals() -> Decoder:
    beside = {"tracker.db": samples.tracker_files()[0]}
    return Decoder(samples.journals(), _written("tracker.db-wal", _journal, beside), ())


def _cluster_files() -> Decoder:
    most_bytes = document.MAX_FILE_BYTES
    seeds = samples.cluster_files()
    return _file(seeds, "lan.yaml", cluster.load, OperatorError, most_bytes=most_bytes)


def _rules() -> Decoder:
    return _file(samples.rules(), "rules.json", lambda path: Rules(path.parent), OperatorError)


def _fstabs() -> Decoder:
    seeds = (b"/dev/a /srv ext4 defaults 0 0\n# one\nb /mnt/a\\040b nfs x 0 0\n",)
    return _file(seeds, "fstab", _fstab, OperatorError, most_bytes=16 << 10)


DISK: dict[str, Callable[[], Decoder]] = {
    "cluster-file": _cluster_files,
    "rules": _rules,
    "cache": lambda: _file(samples.caches(), "cache.db", _cache),
    "tracker-db": lambda: _file(samples.tracker_files(), "tracker.db", _store),
    "tracker-journal": _journals,
    "tracker-rows": lambda: pure(samples.packed_rows(), _rows),
    "replaces": lambda: _file(samples.seen(), "replaces", _seen),
    "remains": lambda: Decoder((*listings(), b"photos"), _remains, ()),
    "fstab": _fstabs,
    "lock": lambda: Decoder((b"123\n",), _lock, ()),
    "leftovers": lambda: Decoder((b"123", b"999999-0a"), _leftovers, ()),
    "hosts-output": lambda: pure(samples.host_output(), _hosts),
}
