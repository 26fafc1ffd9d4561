"""The contents of a shared folder (a tree): files, empty folders, links. Reads no disk.

A listing's canonical bytes are the msgpack of `[FORMAT, paths, kinds, sizes, targets]`. `paths` are
the entries' paths in the tree, joined by NUL; `kinds` one byte for each entry; `sizes` 8 bytes,
big-endian, for each file; `targets` those of the links, joined by NUL. The entries are in the order
of their paths' parts, so the contents of a folder are adjacent, and no path is below another: a
folder is an entry only if it is empty.

The sharer may be hostile: the cost of reading the bytes is bounded, and no entry is outside the
tree, nor any link's target (`is_inside`).
"""

import array
import functools
import re
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

import msgspec
from shoal.protocol import codec, names
from shoal.protocol.errors import MalformedMessageError
from shoal.protocol.manifest import MAX_LISTING_BYTES, MAX_SIZE_BYTES

FORMAT = "shoal/1 tree"
MAX_ENTRIES = 2_000_000  # Some 200 MB in memory.
MAX_FOLDERS_PER_ENTRY = 64  # A path may have hundreds, so a short listing could …
SPARE_FOLDERS = 4096  # … make millions. A few paths may be that deep, …
MAX_FOLDERS = 2_000_000  # … and no tree has more: each is an inode.
CHECK_ENTRIES = 4096  # Looking at these takes some 10 ms.
SIZE_BYTES = 8

T = TypeVar("T")

FILE = "f"
EXECUTABLE = "x"
FOLDER = "d"
LINK = "l"
FILES = frozenset({FILE, EXECUTABLE})
_KINDS = FILES | {FOLDER, LINK}
_IS_EXECUTABLE = bytes.maketrans((FILE + EXECUTABLE).encode(), b"\0\1")

# What `names.check_path` accepts, of bytes that are valid UTF-8 and not too long in all: calling it
# takes 5 s for a million paths. C2 80 to C2 9F are control characters.
_PART = rb"(?!\.\.?(?:/|\Z))(?![^/]{%d})" % (names.MAX_COMPONENT_BYTES + 1)
_PART += rb"(?:[ -.0-\[\]-~\x80-\xc1\xc3-\xff]++|\xc2[\xa0-\xbf])++"
_PARTS = rb"(?![A-Za-z]:)" + _PART + rb"(?:/" + _PART + rb")*+"
_PATH = re.compile(_PARTS)
_TARGET = re.compile(rb"\.|(?:\.\./)*+(?:\.\.|" + _PARTS + rb")")
_ABOVE_ALL_BELOW = b"\0\xff"  # After a path with NUL for "/"; UTF-8 has no FF.


class Entry(NamedTuple):
    """A file, an empty folder or a link. `path` is relative to the tree, with "/" in it."""

    path: str
    kind: str
    size_bytes: int = 0  # Of a file.
    target: str = ""  # Of a link: relative to the folder that the link is in.


class _Document(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    format: str
    paths: bytes
    kinds: bytes
    sizes: bytes
    targets: bytes


class Listing(msgspec.Struct, frozen=True, dict=True):
    """The entries of one tree, checked. Files are counted from 0, in the order of the entries."""

    paths: list[bytes]
    kinds: bytes  # One for each path.
    sizes: "array.array[int]"  # One for each file.
    targets: list[bytes]  # One for each link.

    @functools.cached_property
    def size_bytes(self) -> int:
        return sum(self.sizes)

    @functools.cached_property
    def _files(self) -> "array.array[int]":
        kinds = enumerate(self.kinds.decode())
        return array.array("I", (index for index, kind in kinds if kind in FILES))

    def file_path(self, file: int) -> bytes:
        return self.paths[self._files[file]]

    def is_executable(self, file: int) -> bool:
        return self.kinds[self._files[file]] == ord(EXECUTABLE)

    def are_executable(self) -> bytes:
        """Return a byte for each file: 1 if it is executable, else 0."""
        return self.kinds.translate(_IS_EXECUTABLE, delete=(FOLDER + LINK).encode())

    def empty_folders(self) -> Iterator[bytes]:
        return self._paths_of(FOLDER)

    def links(self) -> Iterator[tuple[bytes, bytes]]:
        return zip(self._paths_of(LINK), self.targets, strict=True)

    def _paths_of(self, wanted: str) -> Iterator[bytes]:
        paths = zip(self.paths, self.kinds.decode(), strict=True)
        return (path for path, kind in paths if kind == wanted)

    def entries(self) -> Iterator[Entry]:
        sizes, targets = iter(self.sizes), iter(self.targets)
        for path, kind in zip(self.paths, self.kinds.decode(), strict=True):
            size_bytes = next(sizes) if kind in FILES else 0
            target = next(targets) if kind == LINK else b""
            yield Entry(path.decode(), kind, size_bytes, target.decode())


def encode(entries: Iterable[Entry]) -> bytes:
    """Return the canonical bytes of the listing of `entries`, which may come in any order.

    Raises:
        ValueError: they break a rule; the message is a phrase that says which.
    """
    ordered = sorted(entries, key=lambda entry: entry.path.replace("/", "\0"))
    for entry in ordered:
        _check_entry(entry)
    sizes = [entry.size_bytes for entry in ordered if entry.kind in FILES]
    document = _Document(
        FORMAT,
        paths=_join(entry.path for entry in ordered),
        kinds="".join(entry.kind for entry in ordered).encode(),
        sizes=struct.pack(f">{len(sizes)}Q", *sizes),
        targets=_join(entry.target for entry in ordered if entry.kind == LINK),
    )
    _read(document)
    data = codec.pack(document)
    if len(data) > MAX_LISTING_BYTES:
        raise ValueError(f"has more than {MAX_LISTING_BYTES} bytes")
    return data


def _check_entry(entry: Entry) -> None:
    if entry.kind not in _KINDS:
        raise ValueError(f"has {entry.path!r} of an unknown kind, {entry.kind!r}")
    if not 0 <= entry.size_bytes <= (MAX_SIZE_BYTES if entry.kind in FILES else 0):
        raise ValueError(f"has {entry.path!r} with a size of {entry.size_bytes}")
    if entry.target and entry.kind != LINK:
        raise ValueError(f"has {entry.path!r} with a target, though it is no link")


def _join(texts: Iterable[str]) -> bytes:
    return "\0".join(texts).encode(errors="surrogatepass")  # `_split` refuses surrogates.


def decode(data: bytes, check: Callable[[], None] = lambda: None) -> Listing:
    """Return the listing that `data` is the canonical bytes of.

    `check` is called again and again, as a large one takes seconds; it may raise an error.

    Raises:
        MalformedMessageError: it is none, breaks a rule or is not in canonical form.
    """
    check()
    document = codec.unpack(data, _Document, MAX_LISTING_BYTES, len(_Document.__struct_fields__))
    if document.format != FORMAT:
        raise MalformedMessageError(f"listing format {document.format[:20]!r} is not {FORMAT!r}")
    if len(data) != _canonical_bytes(document):
        raise MalformedMessageError("the listing is not in canonical form")
    try:
        return _read(document, check)
    except ValueError as error:
        raise MalformedMessageError(f"the listing {error}") from None


def _canonical_bytes(document: _Document) -> int:
    """Return how long the canonical form is: any other spelling of the same values is longer."""
    values = document.paths, document.kinds, document.sizes, document.targets
    heads = (2 if len(one) < 1 << 8 else 3 if len(one) < 1 << 16 else 5 for one in values)
    return 1 + 1 + len(FORMAT) + sum(heads) + sum(map(len, values))


def _read(document: _Document, check: Callable[[], None] = lambda: None) -> Listing:
    kinds = document.kinds
    if len(kinds) > MAX_ENTRIES:
        raise ValueError(f"has more than {MAX_ENTRIES} entries")
    if kinds.translate(None, delete="".join(_KINDS).encode()):
        raise ValueError("has an entry of an unknown kind")
    if len(document.sizes) != SIZE_BYTES * sum(kinds.count(kind.encode()) for kind in FILES):
        raise ValueError("does not have one size for each file")
    sizes = array.array("Q", document.sizes)
    if sys.byteorder == "little":  # pragma: no branch (on this machine)
        sizes.byteswap()
    check()
    paths = _split("path", document.paths, len(kinds))
    check()
    targets = _split("target", document.targets, kinds.count(LINK.encode()))
    check()
    listing = Listing(paths, kinds, sizes, targets)
    if listing.size_bytes > MAX_SIZE_BYTES:  # And so no file has more.
        raise ValueError(f"has files of more than {MAX_SIZE_BYTES} bytes")
    _check_paths(paths, check)
    _check_folders(paths, document.paths.count(b"/"), check)
    for path, target in checked(listing.links(), check, CHECK_ENTRIES):
        if not is_inside(path.decode(), target.decode()):
            raise ValueError(f"has the link {_shown(path)}, whose target is {_shown(target)}")
    return listing


def _split(what: str, joined: bytes, count: int) -> list[bytes]:
    """Return the `count` texts in `joined`, counted first: each takes at least 34 bytes."""
    texts = joined.count(b"\0") + 1 if joined or count else 0
    if texts != count:
        raise ValueError(f"has {texts} {what}s where there should be {count} (or a NUL in one)")
    split = joined.split(b"\0") if count else []
    if max(map(len, split), default=0) > names.MAX_NAME_BYTES:  # Of a target too.
        raise ValueError(f"has a {what} longer than {names.MAX_NAME_BYTES} bytes")
    try:
        joined.decode()  # All at once: a NUL is no part of another character.
    except UnicodeDecodeError as error:
        start = joined.rfind(b"\0", 0, error.start) + 1
        text = joined[start:].partition(b"\0")[0]
        raise ValueError(f"has the {what} {_shown(text)}, which is not valid UTF-8") from None
    return split


def checked(items: Iterable[T], check: Callable[[], None], every: int = 1) -> Iterator[T]:
    """Yield the items; call `check`, which may raise an error, before each, or before some."""
    for number, item in enumerate(items):
        if number % every == 0:
            check()
        yield item


def _check_paths(paths: list[bytes], check: Callable[[], None]) -> None:
    """Check each path, and that it comes after everything below the one before it."""
    least = b""
    for path in checked(paths, check, CHECK_ENTRIES):
        if _PATH.fullmatch(path) is None or path.count(b"/") >= names.MAX_PARTS:
            try:
                names.check_path(path.decode())
            except ValueError as error:
                raise ValueError(f"has the path {_shown(path)}, which {error}") from None
        key = path.replace(b"/", b"\0")
        if key < least:
            raise ValueError(f"has {_shown(path)} twice, in the wrong place or below another entry")
        least = key + _ABOVE_ALL_BELOW


def _check_folders(paths: list[bytes], most: int, check: Callable[[], None]) -> None:
    """Check how many folders the paths need: `most`, if no two have one in common."""
    allowed = min(MAX_FOLDERS_PER_ENTRY * len(paths) + SPARE_FOLDERS, MAX_FOLDERS)
    if most <= allowed:
        return
    folders, before = 0, b""
    for path in checked(paths, check, CHECK_ENTRIES):
        folders += path.count(b"/", _common(before, path))
        before = path
        if folders > allowed:
            raise ValueError(f"has more than {allowed} folders for {len(paths)} entries")


def _common(one: bytes, two: bytes) -> int:
    """Return how many bytes both begin with."""
    low, high = 0, min(len(one), len(two))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == two[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def is_inside(path: str, target: str) -> bool:
    """Return whether a link at `path` may have this target.

    It must lead to something in the tree: up at most to the tree's root, and then down; or it is
    ".", the link's own folder. ".." may only come first, so it always leads up from the link's own
    folder, a real one of the tree, never from where another link has led. So no chain of links
    leads out.
    """
    try:
        encoded = target.encode()
    except UnicodeEncodeError:
        return False
    if len(encoded) > names.MAX_NAME_BYTES or _TARGET.fullmatch(encoded) is None:
        return False
    return target.split("/").count("..") <= path.count("/")


class Respelling(NamedTuple):
    """A link's target as a listing can have it."""

    target: str
    left: tuple[str, ...]  # Paths in the tree from which a ".." leads up.


def respelled(path: str, target: str) -> Respelling | None:
    """Return the target of a link at `path` in a form that `is_inside` allows.

    Without empty parts, "." and ".." after a name it leads to the same place, as long as each path
    in `left` is a directory and not a link to one elsewhere. None: it leads out, or its names
    break the rules.
    """
    if is_inside(path, target):
        return Respelling(target, ())
    folder = path.split("/")[:-1]
    place = None if target.startswith("/") else _place(folder, target)
    if place is None:
        return None
    here, left = place
    common = 0
    while folder[common : common + 1] and folder[common : common + 1] == here[common : common + 1]:
        common += 1
    spelling = "/".join([".."] * (len(folder) - common) + here[common:]) or "."
    return Respelling(spelling, tuple(left)) if is_inside(path, spelling) else None


def _place(folder: list[str], target: str) -> tuple[list[str], list[str]] | None:
    """Return where a target leads from a folder, and from which paths up; None if it leads out."""
    here, left = list(folder), []
    for part in target.split("/"):
        if part == "..":
            if not here:
                return None
            if here != folder[: len(here)]:
                left.append("/".join(here))
            here.pop()
        elif part not in {"", "."}:
            here.append(part)
    return here, left


def _shown(text: bytes) -> str:
    return repr(text[:80].decode(errors="replace"))
