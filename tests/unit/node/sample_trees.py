"""Trees to share, to fetch and to compare: what lies where, as a dictionary of paths."""

import os
from collections.abc import Mapping
from pathlib import Path

import hypothesis.strategies as st
from blake3 import blake3
from shoal.node.files import directories
from shoal.node.folder.hashing import hash_source
from shoal.node.folder.tree import Tree, look_through
from shoal.node.folder.whole import Whole
from shoal.node.trees.selection import EVERYTHING, Selection
from shoal.protocol import listing, manifest
from shoal.protocol.listing import Entry

Item = tuple[str, bytes]  # A kind, as in a listing, and the content or the target.
Items = Mapping[str, Item]

FOLDER: Item = (listing.FOLDER, b"")  # An empty one.


def file(content: bytes = b"") -> Item:
    return listing.FILE, content


def run(content: bytes = b"") -> Item:
    return listing.EXECUTABLE, content


def link(target: str) -> Item:
    return listing.LINK, target.encode()


TREE: Items = {
    "a/empty": FOLDER,
    "a/run.sh": run(b"echo hello"),
    "a/up": link("../b.txt"),
    "b.txt": file(bytes(range(100))),
    "c/none": file(),
    "c/none at all": run(),
    "d/e/f/data": file(b"0123456789" * 7),
    "ü 🐟": file("größer".encode()),
}


def make(root: Path, items: Items) -> Path:
    """Make the directory `root` with these items in it, all with one time; return it."""
    root.mkdir(parents=True, exist_ok=True)
    for path, (kind, content) in items.items():
        place = root / path
        above = os.fsencode(path).rpartition(b"/")[0]
        directories.make(os.fsencode(root) + b"/", above, set())
        if kind == listing.FOLDER:
            place.mkdir()
        elif kind == listing.LINK:
            place.symlink_to(content.decode())
        else:
            place.write_bytes(content)
            place.chmod(0o755 if kind == listing.EXECUTABLE else 0o644)
            os.utime(place, ns=(1, 1))
    return root


def seen(root: Path) -> dict[str, Item]:
    """Return what lies below `root`, as `make` takes it; "?" is the kind of what is none."""
    found: dict[str, Item] = {}
    waiting = [""]
    for directory in waiting:  # It grows.
        inside = sorted(os.scandir(root / directory), key=lambda entry: entry.name)
        if directory and not inside:
            found[directory] = FOLDER
        for entry in inside:
            path = f"{directory}/{entry.name}" if directory else entry.name
            if entry.is_dir(follow_symlinks=False):
                waiting.append(path)
            else:
                found[path] = _item(entry)
    return found


def _item(entry: "os.DirEntry[str]") -> Item:
    if entry.is_symlink():
        return link(str(Path(entry.path).readlink()))
    if not entry.is_file():
        return "?", b""
    mode, data = entry.stat().st_mode & 0o777, Path(entry.path).read_bytes()
    make_one = {0o644: file, 0o755: run}.get(mode)
    return (f"{mode:o}", data) if make_one is None else make_one(data)


def entries_of(items: Items) -> list[Entry]:
    """Return the entries of the listing of such a tree."""
    return [
        Entry(path, kind, target=content.decode())
        if kind == listing.LINK
        else Entry(path, kind, len(content))
        for path, (kind, content) in items.items()
    ]


def in_order(items: Items) -> list[str]:
    """Return the paths as a listing has them: what lies in a directory stands together."""
    return sorted(items, key=lambda path: path.encode().split(b"/"))


def files_in_order(items: Items) -> list[str]:
    """Return the paths of the files alone."""
    return [path for path in in_order(items) if items[path][0] in "fx"]


class Model:
    """A tree that only exists as bytes: what is fetched is compared with it."""

    def __init__(self, items: Items, chunk_bytes: int = 16) -> None:
        self.items = dict(items)
        self.listing = listing.encode(entries_of(items))
        files = b"".join(items[path][1] for path in files_in_order(items))
        self.bytes = self.listing + files
        sizes = [*_tiles(len(self.listing), chunk_bytes), *_tiles(len(files), chunk_bytes)]
        ends = [sum(sizes[: index + 1]) for index in range(len(sizes))]
        self.chunks = [self.bytes[end - size : end] for size, end in zip(sizes, ends, strict=True)]
        digests = b"".join(blake3(chunk).digest() for chunk in self.chunks)
        self.manifest = manifest.of_tree(len(self.listing), sizes, digests)
        self.id = manifest.id_of(manifest.encode(self.manifest))

    def chunk_of(self, path: str, offset: int = 0) -> int:
        """Return the chunk that has this byte of that file."""
        paths = files_in_order(self.items)
        before = sum(len(self.items[one][1]) for one in paths[: paths.index(path)])
        return self.manifest.chunk_at(len(self.listing) + before + offset)


def _tiles(size_bytes: int, chunk_bytes: int) -> list[int]:
    return [min(chunk_bytes, size_bytes - start) for start in range(0, size_bytes, chunk_bytes)]


def look(root: Path, selection: Selection = EVERYTHING) -> Tree:
    return look_through(root, selection, lambda _, __: None, lambda: False)


def shared(root: Path) -> Whole:
    """Return the directory `root` as a thing, hashed."""
    tree = look(root)
    data = manifest.encode(hash_source(tree, lambda _: None, lambda: False))
    return Whole(root.name, data, tree)


def open_descriptors() -> int:
    """Return how many files this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


_FOLDERS = st.lists(st.sampled_from(["a", "b", "a.b", "ü"]), max_size=3)
_LEAVES = st.sampled_from(["x", "x!", "x.y", "é", "🐟"])  # None is a folder's name.
PATHS = st.builds(lambda folders, leaf: "/".join([*folders, leaf]), _FOLDERS, _LEAVES)
CONTENTS = st.binary(max_size=40)
ITEMS: st.SearchStrategy[dict[str, Item]] = st.dictionaries(
    PATHS,
    st.builds(file, CONTENTS) | st.builds(run, CONTENTS) | st.just(FOLDER) | st.builds(link, PATHS),
    max_size=8,
)
