"""Which entries of a listing are selected, with all that their links need. Reads no disk.

A part of a tree would be of little use if its links led to what is not in it. So what they lead to
in the tree comes too, and what that leads to; but not a directory that the link itself lies in,
which is there anyway.
"""

import bisect
from collections.abc import Callable

import msgspec
from shoal.node.trees.selection import Selection
from shoal.protocol.listing import CHECK_ENTRIES, FOLDER, Listing, checked

MAX_LINKS = 40  # On one way, as Linux has it (path_resolution(7)): some go in circles.


class Lack(msgspec.Struct, frozen=True):
    """A link that was selected, and what it leads to in the tree, which cannot come with it."""

    link: str
    target: str


class TreePart:
    """The entries of one listing, by their numbers, as far as they are selected."""

    def __init__(
        self, listing: Listing, selection: Selection, check: Callable[[], None] = lambda: None
    ) -> None:
        """`check` is called again and again; it may raise an error."""
        self._check = check
        self.lack: Lack | None = None  # The first.
        self._paths = listing.paths
        self._kinds = listing.kinds.decode()
        self._keys = _Keys(listing.paths)
        self._links = dict(listing.links())
        self._selection = selection
        way = self._way(b"", selection.inside.encode())
        self.inside = b"" if way is None else way[0]  # The real path of what is selected.
        self.is_chosen = bytearray(len(self._paths))
        self._is_judged = bytearray(len(self._paths))
        self._by: set[bytes] = set()  # Links that are only on the way.
        if way is not None:
            self._choose(msgspec.structs.replace(selection, inside=self.inside.decode()))
            if way[1] and not self._below(self.inside):
                self.lack = Lack(selection.inside, self.inside.decode())
        self.has_any = any(self.is_chosen)
        if way is not None and self.has_any:
            self._by.update(way[1])
        self._complete()
        for link in self._by:
            self.is_chosen[self._keys.find(link)] = 1

    def _choose(self, selection: Selection) -> None:
        for entry in checked(self._below(self.inside), self._check, CHECK_ENTRIES):
            self.is_chosen[entry] = selection.chooses(self._name(entry))

    def _complete(self) -> None:
        """Choose what the chosen links lead to."""
        waiting = [entry for entry, is_chosen in enumerate(self.is_chosen) if is_chosen]
        while waiting:
            link = self._paths[waiting.pop()]
            if link not in self._links:
                continue
            self._check()
            above = link.rpartition(b"/")[0]
            way = self._way(above, self._links[link])
            if way is None or _is_in(above, way[0]):
                continue
            target, by = way
            self._by.update(by)
            entries = self._below(target)
            waiting += self._choose_also(entries)
            has_any = self.is_chosen.find(1, entries.start, entries.stop) >= 0
            if entries and not has_any and self.lack is None:
                self.lack = Lack(link.decode(), target.decode())

    def _choose_also(self, entries: range) -> list[int]:
        """Choose those entries that no pattern excludes; return which were not chosen before.

        Each is judged once, as thousands of links may lead to the same thousands of entries.
        """
        new, entry = [], self._is_judged.find(0, entries.start, entries.stop)
        while entry >= 0:
            if entry % CHECK_ENTRIES == 0:
                self._check()
            self._is_judged[entry] = 1
            if not (self.is_chosen[entry] or self._selection.excludes(self._name(entry))):
                self.is_chosen[entry] = 1
                new.append(entry)
            entry = self._is_judged.find(0, entry, entries.stop)
        return new

    def leads_out_of(self, directory: bytes) -> Lack | None:
        """Return a chosen link in `directory` that leads to somewhere else in the tree."""
        for entry in checked(self._below(directory), self._check, CHECK_ENTRIES):
            link = self._paths[entry]
            if self.is_chosen[entry] and link in self._links:
                way = self._way(link.rpartition(b"/")[0], self._links[link])
                if way is None or not self._below(way[0]):
                    continue  # It leads nowhere in the whole tree too.
                if not all(_is_in(place, directory) for place in (way[0], *way[1])):
                    return Lack(link.decode(), way[0].decode())
        return None

    def _name(self, entry: int) -> str:
        slash = "/" if self._kinds[entry] == FOLDER else ""
        return self._paths[entry].decode() + slash

    def _way(self, above: bytes, target: bytes) -> tuple[bytes, list[bytes]] | None:
        """Return where a target leads from a real directory, and by which links; None: in circles.

        Nothing needs to be there.
        """
        here = above
        steps = target.split(b"/")[::-1] if target else []
        by: list[bytes] = []
        while steps:
            step = steps.pop()
            at = here + b"/" + step if here else step
            if step == b"..":
                here = here.rpartition(b"/")[0]  # No listing has a link that leads out.
            elif at in self._links:
                by.append(at)
                steps += self._links[at].split(b"/")[::-1]
            elif step != b".":
                here = at
            if len(by) > MAX_LINKS:
                return None
        return here, by

    def _below(self, path: bytes) -> range:
        """Return the entries at a path or below it."""
        if not path:
            return range(len(self._paths))
        at = self._keys.find(path)
        end = bisect.bisect_left(self._keys, _key(path) + b"\1", at)
        return range(at, end)


class _Keys:
    """The paths as they are ordered, made when they are looked at: a search looks at few."""

    def __init__(self, paths: list[bytes]) -> None:
        self._paths = paths

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> bytes:
        return _key(self._paths[index])

    def find(self, path: bytes) -> int:
        """Return where a path is, or what lies below it begins, or would."""
        return bisect.bisect_left(self, _key(path))


def _key(path: bytes) -> bytes:
    return path.replace(b"/", b"\0")


def _is_in(path: bytes, directory: bytes) -> bool:
    return not directory or path == directory or path.startswith(directory + b"/")
