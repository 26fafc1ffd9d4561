"""What may be on a disk after its power was cut, given the changes that were made to it.

As in ALICE (Pillai et al., OSDI 2014): what was not synced may be there, or not, in any order. A
write may be there in part, or only its size and time. Whatever a directory's entries were made to
be is sure only when the directory is synced; a rename is there or not, but never half.
"""

import contextlib
import enum
import os
import random
import shutil
import stat
from collections.abc import Collection, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

from tests.disk_faults.log import Change, Op

EXCHANGE = 2
_ENTRIES = {Op.CREATE, Op.MKDIR, Op.SYMLINK, Op.LINK, Op.UNLINK, Op.RMDIR, Op.RENAME}
_SYNCS = {Op.FSYNC, Op.SYNCFS}


class Fate(enum.IntEnum):
    """What became of a change that was not synced."""

    KEPT = 0
    LOST = 1
    EMPTY = 2  # A write: the file has its size and time, but not its bytes.
    TORN = 3  # A write: only its first half is there, though the size and time are.


class Node:
    """A file, a directory or a link."""

    def __init__(self, mode: int = 0, mtime_ns: int = 0, target: str = "") -> None:
        self.data = bytearray()
        self.entries: dict[str, int] = {}
        self.mode = mode
        self.mtime_ns = mtime_ns
        self.target = target


class Disk:
    """The files and directories of one folder, by their inodes."""

    def __init__(self, root: int) -> None:
        self.root = root
        self.nodes: dict[int, Node] = {}

    @classmethod
    def of(cls, folder: Path) -> "Disk":
        """Return what is in a folder now, all of it durable."""
        disk = cls(folder.stat().st_ino)
        waiting = [folder]
        for place in waiting:  # It grows.
            status = place.lstat()
            node = disk.nodes[status.st_ino] = Node(status.st_mode, status.st_mtime_ns)
            if stat.S_ISDIR(status.st_mode):
                node.entries = {one.name: one.lstat().st_ino for one in place.iterdir()}
                waiting += place.iterdir()
            elif stat.S_ISLNK(status.st_mode):
                node.target = str(place.readlink())
            elif stat.S_ISREG(status.st_mode):
                node.data[:] = place.read_bytes()
        return disk

    def copy(self) -> "Disk":
        copy = Disk(self.root)
        for inode, node in self.nodes.items():
            one = copy.nodes[inode] = Node(node.mode, node.mtime_ns, node.target)
            one.data, one.entries = bytearray(node.data), dict(node.entries)
        return copy

    def apply(self, change: Change, fate: Fate = Fate.KEPT) -> None:
        """Have a change take place, as far as its fate lets it."""
        if fate is Fate.LOST or change.op in _SYNCS:
            return
        if change.op in _ENTRIES:
            self._apply_to_entries(change)
        else:
            self._apply_to_file(self.nodes[change.inode], change, fate)

    def _apply_to_file(self, node: Node, change: Change, fate: Fate) -> None:
        match change.op:
            case Op.WRITE:
                kept = {Fate.EMPTY: 0, Fate.TORN: len(change.data) // 2}.get(fate, len(change.data))
                node.data.extend(bytes(max(0, change.offset + len(change.data) - len(node.data))))
                node.data[change.offset : change.offset + kept] = change.data[:kept]
            case Op.TRUNCATE:
                node.data[:] = node.data[: change.amount].ljust(change.amount, b"\0")
            case Op.ALLOCATE:
                node.data.extend(bytes(max(0, change.size_bytes - len(node.data))))
            case Op.PUNCH:
                end = min(change.offset + change.amount, len(node.data))
                node.data[change.offset : end] = bytes(max(0, end - change.offset))
            case Op.CHMOD:
                node.mode = stat.S_IFMT(node.mode) | change.amount & 0o7777
            case _:
                assert change.op is Op.UTIME
        if change.mtime_ns:
            node.mtime_ns = change.mtime_ns

    def _apply_to_entries(self, change: Change) -> None:
        entries = self.nodes[change.directory].entries if change.directory else {}
        match change.op:
            case Op.CREATE | Op.MKDIR | Op.SYMLINK | Op.LINK:
                entries[change.name] = change.inode
            case Op.RENAME:
                others = (
                    self.nodes[change.other_directory].entries if change.other_directory else {}
                )
                if entries.get(change.name) == change.inode:
                    del entries[change.name]
                if change.amount == EXCHANGE and change.other_name in others:
                    entries[change.name] = others[change.other_name]
                if change.inode:
                    others[change.other_name] = change.inode
            case _:
                if entries.get(change.name) == change.inode:
                    del entries[change.name]

    def digest(self) -> bytes:
        """Return what tells it from others that look different."""
        hasher = blake2b(digest_size=16)
        for path, node in self.walk():
            said = path, node.mode, node.mtime_ns, node.target
            hasher.update(repr(said).encode() + bytes(node.data))
        return hasher.digest()

    def walk(self) -> Iterator[tuple[str, Node]]:
        """Yield what can be reached, with its path, directories first."""
        waiting = [("", self.root)]
        seen = set()
        for path, inode in waiting:  # It grows.
            node = self.nodes[inode]
            yield path, node
            if inode not in seen:
                seen.add(inode)
                waiting += [(f"{path}/{name}", one) for name, one in sorted(node.entries.items())]


def traced(disk: Disk, changes: Sequence[Change]) -> list[Change]:
    """Return the changes, each with the inode that it is about, and have `disk` know all of them.

    Renames and removals are recorded by names alone; what has them depends on what came before.
    Sockets, which are made in another way, are left out.
    """
    live, known = disk.copy(), []
    for change in changes:
        if change.op in {Op.RENAME, Op.UNLINK, Op.RMDIR} and change.directory:
            inode = live.nodes[change.directory].entries.get(change.name, 0)
            change = change._replace(inode=inode)  # noqa: PLW2901 (the same one, completed)
        elif change.op in {Op.CREATE, Op.MKDIR, Op.SYMLINK}:
            node = Node(change.amount, change.mtime_ns, change.data.decode())
            live.nodes[change.inode] = node
            disk.nodes[change.inode] = Node(change.amount, change.mtime_ns, change.data.decode())
        if change.inode in live.nodes or change.other_directory:
            live.apply(change)
            known.append(change)
    return known


def unsynced(changes: Sequence[Change]) -> list[int]:
    """Return which of the changes, by number, a loss of power after the last of them may undo."""
    pending: dict[int, Change] = {}
    for number, change in enumerate(changes):
        if change.op is Op.SYNCFS:
            pending.clear()
        elif change.op is Op.FSYNC:
            pending = {
                one: earlier for one, earlier in pending.items() if not _is_synced(earlier, change)
            }
        else:
            pending[number] = change
    return list(pending)


def _is_synced(earlier: Change, sync: Change) -> bool:
    if earlier.op in _ENTRIES:
        return sync.inode in {earlier.directory, earlier.other_directory}
    return earlier.inode == sync.inode


def fates(changes: Sequence[Change], rng: random.Random, subsets: int) -> Iterator[dict[int, Fate]]:
    """Yield what may become of the changes that are not synced, by number; others are kept.

    All kept, all lost, each one alone lost or kept or there in part, and so many random ones.
    """
    pending = unsynced(changes)
    ways = {number: _ways(changes[number]) for number in pending}
    yield {}
    yield dict.fromkeys(pending, Fate.LOST)
    for number in pending:
        for fate in ways[number][1:]:
            yield {number: fate}
        for fate in ways[number]:
            if fate is not Fate.LOST:
                yield {**dict.fromkeys(pending, Fate.LOST), number: fate}
    for _ in range(subsets):
        yield {number: rng.choice(ways[number]) for number in pending}


def _ways(change: Change) -> list[Fate]:
    return list(Fate) if change.op is Op.WRITE else [Fate.KEPT, Fate.LOST]


def after_power_loss(disk: Disk, changes: Sequence[Change], became: dict[int, Fate]) -> Disk:
    """Return what is on the disk, given what became of each change."""
    state = disk.copy()
    for number, change in enumerate(changes):
        state.apply(change, became.get(number, Fate.KEPT))
    return state


class Pool:
    """Makes a state of a disk real again and again, with files that keep their inodes.

    What a node remembers of a file is bound to its inode, so a copy would never be mistaken for it.
    """

    def __init__(self, folder: Path, place: Path, inodes: Collection[int]) -> None:
        """Take the files with these inodes out of `folder`, on the file system of `place`."""
        self._place = place
        self._inodes = frozenset(inodes)
        self._there: dict[int, Path] = {}
        self._keep = place.with_name("pool")
        self._keep.mkdir(parents=True)
        self.take_back(folder)

    @contextlib.contextmanager
    def made(self, disk: Disk) -> Iterator[Path]:
        """Have the state on the real disk for a while; give its folder."""
        for path, node in disk.walk():
            target = Path(f"{self._place}{path}")
            if stat.S_ISDIR(node.mode):
                target.mkdir()
            elif stat.S_ISLNK(node.mode):
                target.symlink_to(node.target)
            elif stat.S_ISREG(node.mode):
                self._put(disk, node, target)
        try:
            yield self._place
        finally:
            self.take_back(self._place)

    def take_back(self, folder: Path) -> None:
        """Keep the files that are left of a state, and remove the rest."""
        for above, folders, names in os.walk(folder, topdown=False):
            links = (name for name in folders if Path(above, name).is_symlink())
            for name in (*names, *links):
                path = Path(above, name)
                status = path.lstat()
                if stat.S_ISREG(status.st_mode) and status.st_ino in self._inodes:
                    self._there[status.st_ino] = path.rename(self._keep / str(status.st_ino))
                else:
                    path.unlink()
            Path(above).rmdir()

    def _put(self, disk: Disk, node: Node, target: Path) -> None:
        inode = next(one for one, known in disk.nodes.items() if known is node)
        kept = self._there.pop(inode, None)
        if kept is not None:
            kept.rename(target)
        target.write_bytes(node.data)
        target.chmod(stat.S_IMODE(node.mode))
        os.utime(target, ns=(node.mtime_ns, node.mtime_ns))


@contextlib.contextmanager
def pool_of(folder: Path, inodes: Collection[int]) -> Iterator[Pool]:
    """Take the files of `folder`, which is removed, into a pool beside it."""
    pool = Pool(folder, folder.with_name("state"), inodes)
    try:
        yield pool
    finally:
        shutil.rmtree(folder.with_name("pool"))
