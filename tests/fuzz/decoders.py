"""Every decoder of bytes from outside: inputs to begin from, and the errors it may raise."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from shoal.broker.sqlite_store import SqliteStore
from shoal.config import cluster
from shoal.node.folder.cache import Cache
from shoal.node.folder.rules import Rules
from shoal.protocol import codec, control, listing, manifest, messages, names
from shoal.protocol.errors import MalformedMessageError, OperatorError
from shoal.protocol.listing import Entry

from tests.fuzz import samples

Read = Callable[[bytes], object]


class Decoder(NamedTuple):
    """One decoder. `open_in` makes it, given a folder of its own to put files in."""

    seeds: tuple[bytes, ...]
    open_in: Callable[[Path], Read]
    refusals: tuple[type[Exception], ...]


def _of_messages(union: Any) -> Decoder:
    seeds = tuple(codec.pack(plain) for plain in samples.each_of(union))
    return Decoder(
        seeds, lambda _: lambda data: messages.decode(data, union), (MalformedMessageError,)
    )


def _manifests() -> tuple[bytes, ...]:
    file = manifest.of_file(manifest.PLAIN_MODE, [5, 5], bytes(64))
    long = manifest.of_file(manifest.EXECUTABLE_MODE, [1 << 20] * 300 + [7], bytes(32 * 301))
    tree = manifest.of_tree(12, [12, 30], bytes(64))
    return tuple(map(manifest.encode, (file, long, tree)))


def _listings() -> tuple[bytes, ...]:
    few = [
        Entry("bin/digits", listing.LINK, target="../digits.txt"),
        Entry("bin/run", listing.EXECUTABLE, 5),
        Entry("digits.txt", listing.FILE, 10),
        Entry("old", listing.FOLDER),
    ]
    many = [Entry(f"d{number // 10:03}/f{number:04}", listing.FILE, 1) for number in range(300)]
    return listing.encode([]), listing.encode(few), listing.encode(many)


def _name(data: bytes) -> object:
    return names.check_name(data.decode(errors="surrogateescape"))


def _written(folder: Path, name: str, read: Callable[[Path], object]) -> Read:
    def of(data: bytes) -> object:
        for left in folder.iterdir():
            left.unlink()
        path = folder / name
        path.write_bytes(data)
        return read(path)

    return of


def _cache(path: Path) -> object:
    cache = Cache(path)
    try:
        return cache.manifest_of("a.bin", samples.SIGNATURE), cache.title_of("a.bin")
    finally:
        cache.close()


def _store(path: Path) -> object:
    store = SqliteStore(path)
    try:
        return store.load()
    finally:
        store.close()


def _in_folder(name: str, read: Callable[[Path], object]) -> Callable[[Path], Read]:
    return lambda folder: _written(folder, name, read)


DECODERS: dict[str, Callable[[], Decoder]] = {
    "to-tracker": lambda: _of_messages(messages.TrackerRequest),
    "from-tracker": lambda: _of_messages(messages.TrackerReply),
    "to-node": lambda: _of_messages(messages.NodeRequest),
    "from-node": lambda: _of_messages(messages.NodeReply),
    "orders": lambda: _of_messages(control.Order),
    "reports": lambda: _of_messages(control.Report),
    "manifest": lambda: Decoder(_manifests(), lambda _: manifest.decode, (MalformedMessageError,)),
    "listing": lambda: Decoder(_listings(), lambda _: listing.decode, (MalformedMessageError,)),
    "names": lambda: Decoder((b"data/net.txt", "ü/é".encode()), lambda _: _name, (ValueError,)),
    "cluster-file": lambda: Decoder(
        samples.cluster_files(), _in_folder("lan.yaml", cluster.load), (OperatorError,)
    ),
    "rules": lambda: Decoder(
        samples.rules(), _in_folder("rules.json", lambda path: Rules(path.parent)), (OperatorError,)
    ),
    "cache": lambda: Decoder(samples.caches(), _in_folder("cache.db", _cache), ()),
    "tracker-db": lambda: Decoder(samples.tracker_files(), _in_folder("tracker.db", _store), ()),
}
