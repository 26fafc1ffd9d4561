"""What is shared and fetched, and which bytes are right: all that users ever put anywhere."""

import itertools
import os
import random
from collections.abc import Mapping
from pathlib import Path

import msgspec
from blake3 import blake3
from shoal.node.files.signature import Signature
from shoal.node.folder.hashing import hash_source
from shoal.node.folder.source import FileSource, Source
from shoal.node.folder.tree import look_through
from shoal.node.trees.selection import EVERYTHING
from shoal.protocol import listing
from shoal.protocol.manifest import Manifest, encode, id_of

from tests.simulation.faults import waiting
from tests.unit.node.sample_trees import FOLDER, Item, Items, make, seen

FIRST_STAMP = 1_700_000_000_000_000_000  # Of what users write, in nanoseconds: before all else.
SIZES = (0, 1, 700, 5_000, 40_000, 150_000, 600_000)


class Version(msgspec.Struct, frozen=True):
    """One version of something; a file is its own only item, under the empty path."""

    name: str
    items: dict[str, Item]
    id: str
    data: bytes  # The manifest.
    chunks: tuple[bytes, ...]

    @property
    def size_bytes(self) -> int:
        return sum(map(len, self.chunks))


Thing = dict[str, Item]


def random_file(rng: random.Random) -> Thing:
    kind = listing.EXECUTABLE if rng.random() < 0.2 else listing.FILE
    return {"": (kind, rng.randbytes(rng.choice(SIZES)))}


def random_thing(rng: random.Random, *, is_tree: bool) -> Thing:
    return random_tree(rng) if is_tree else random_file(rng)


def random_tree(rng: random.Random) -> dict[str, Item]:
    items: dict[str, Item] = {}
    for number in range(rng.randint(1, 8)):
        above = rng.choice(("", "a/", "a/b/", "c/"))
        kind = listing.EXECUTABLE if rng.random() < 0.2 else listing.FILE
        size = rng.choice((0, 1, 300, 9_000, 70_000))
        items[f"{above}f{number}.{rng.choice('xy')}"] = kind, rng.randbytes(size)
    if rng.random() < 0.4:
        items["empty"] = FOLDER
    if rng.random() < 0.4:
        items["link"] = listing.LINK, rng.choice(sorted(items)).encode()
    return items


def changed(items: Mapping[str, Item], rng: random.Random) -> dict[str, Item]:
    """Return the next version of something, which shares bytes with the last one."""
    after = dict(items)
    path = rng.choice([path for path, item in items.items() if item[0] in {"f", "x"}])
    kind, data = items[path]
    if not data or rng.random() < 0.3:
        data += rng.randbytes(rng.choice((1, 900, 30_000)))
    else:
        at = rng.randrange(len(data))
        data = data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]
    after[path] = kind, data
    if path and rng.random() < 0.3:
        after[f"new{rng.randrange(9)}.x"] = listing.FILE, rng.randbytes(100)
    return after


def put(path: Path, items: Items) -> None:
    """Put it at `path`, where nothing is; a file's time is like no other's."""
    if "" not in items:
        make(path, items)
        for inside, (kind, _) in items.items():
            if kind in {listing.FILE, listing.EXECUTABLE}:
                stamp(path / inside)
        return
    kind, data = items[""]
    path.write_bytes(data)
    path.chmod(0o755 if kind == listing.EXECUTABLE else 0o644)
    stamp(path)


_stamps = itertools.count(1)


def stamp(path: Path) -> None:
    """Give a file a time that no other has."""
    at = FIRST_STAMP + 1_000_000 * next(_stamps)
    os.utime(path, ns=(at, at))
    waiting.stir()


def look(path: Path) -> dict[str, Item] | None:
    """Return what is at `path`, None if there is nothing."""
    if path.is_symlink():
        return {"": (listing.LINK, os.fsencode(path.readlink()))}
    if not os.path.lexists(path):
        return None
    if path.is_dir():
        return seen(path)
    kind = listing.EXECUTABLE if path.stat().st_mode & 0o100 else listing.FILE
    return {"": (kind, path.read_bytes())}


def described(name: str, path: Path, items: Items) -> Version:
    """Return the version that is at `path`, with its id, by the product's own rules."""
    source: Source
    if path.is_dir():
        source = look_through(path, EVERYTHING, lambda _, __: None, lambda: False)
    else:
        source = FileSource(path, Signature.of(path.stat()))
    thing: Manifest = hash_source(source, lambda _: None, lambda: False)
    chunks = tuple(
        source.read(thing.chunk_offset(at), thing.chunk_size(at)) for at in range(thing.chunk_count)
    )
    data = encode(thing)
    return Version(name, dict(items), id_of(data), data, chunks)


class Archive:
    """All versions of all names, and what users put where; it says which bytes may be where."""

    def __init__(self) -> None:
        self.by_id: dict[str, Version] = {}
        self.by_name: dict[str, list[Version]] = {}
        self._own: dict[tuple[str, str], list[Item]] = {}  # By host and path in its folder.

    def add(self, version: Version) -> None:
        self.by_id[version.id] = version
        self.by_name.setdefault(version.name, []).append(version)

    def note_own(self, host: str, name: str, items: Items) -> None:
        """Note that the user of `host` has put these there."""
        for inside, item in items.items():
            self._own.setdefault((host, _path(name, inside)), []).append(item)

    def wrong(self, host: str, name: str, found: Items) -> str | None:
        """Return the path of something that nobody ever put there, None if there is none."""
        for inside, item in found.items():
            path = _path(name, inside)
            known = [one.items.get(inside) for one in self.by_name.get(name, ())]
            if item in known or item in self._own.get((host, path), ()):
                continue
            if item == FOLDER:
                continue  # Directories of files that are gone, or are still to come.
            return path
        return None

    def is_some_version(self, name: str, found: Items) -> bool:
        """Say whether these are all of one version."""
        return any(one.items == found for one in self.by_name.get(name, ()))


def _path(name: str, inside: str) -> str:
    return f"{name}/{inside}" if inside else name


def digest(data: bytes) -> str:
    return blake3(data).hexdigest()[:16]
