"""A tree that was looked through before, looked at again only where something changed.

Must be told of every change since. Leaves cases that it cannot handle to a look through everything.
"""

import errno
import heapq
import os
import stat
from bisect import bisect_left
from collections.abc import Callable, Collection
from typing import NamedTuple, TypeVar

from shoal.node.files.directories import is_directory
from shoal.node.files.signature import GoneError
from shoal.node.files.unreadable import Unreadable
from shoal.node.folder.tree import Tree
from shoal.node.folder.tree_walk import Walk
from shoal.node.trees.left_out import LeftOut
from shoal.node.trees.selection import Selection
from shoal.protocol import listing
from shoal.protocol.listing import Entry

T = TypeVar("T")

_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
MOST_DIRECTORIES = 1000  # More of them cost about as much as to look through all.


class Looking(NamedTuple):
    """How to look at a tree (folder.tree.look_through)."""

    selection: Selection
    should_stop: Callable[[], bool]
    unreadable: Unreadable


def look_again(tree: Tree, changed: Collection[str], looking: Looking) -> Tree | None:
    """Return `tree` as it is now; None if all of it must be looked through.

    Args:
        tree: as it was found by the same `looking`.
        changed: the paths in it of all that was made, written to, moved or removed since.
        looking: how to look.

    Raises:
        GoneError, OSError, ValueError: as look_through.
    """
    if tree.follows_links or tree.left_out.count > len(tree.left_out.named):
        return None
    update = _Update(tree, changed, looking)
    directories = {_above(path) for path in changed if not update.take_in(path)}
    if len(directories) > MOST_DIRECTORIES:
        return None
    update.walk({path for path in directories if not _is_in(path, changed)})
    return update.tree()


class _Update:
    """The parts of a tree, brought up to date one after another."""

    def __init__(self, tree: Tree, changed: Collection[str], looking: Looking) -> None:
        self._old = tree
        self._changed = changed
        self._looking = looking
        self._entries = list(tree.entries())
        self._files = list(tree.file_paths())
        self._states = tree.states.copy()
        self._walked: set[str] = set()
        self._were_left_out = {path for path, _ in tree.left_out.named}
        self._left_out = LeftOut()  # Of the directories that were walked.

    def take_in(self, path: str) -> bool:
        """Take in a file that was and is one, or that was not there and is not; else say no."""
        place, (file, end) = f"{self._old.root}/{path}", self._files_at(path)
        try:
            status = os.lstat(place)
        except OSError as error:
            is_news = self._is_known(path) or path in self._were_left_out
            return error.errno in _NOT_THERE and not is_news
        was_file = file < end and self._files[file] == path
        if not was_file or not stat.S_ISREG(status.st_mode):
            return False
        is_unreadable = self._looking.unreadable.why_not(place, status) is not None
        if is_unreadable or not os.access(place, os.R_OK, effective_ids=True):
            return False
        kind = listing.EXECUTABLE if self._states.put(file, status) else listing.FILE
        self._entries[self._entries_at(path)[0]] = Entry(path, kind, status.st_size)
        return True

    def walk(self, directories: Collection[str]) -> None:
        """Look at the contents of these directories, but not inside known subdirectories.

        The deepest come first, so that those above take over the results. A directory that becomes
        empty, or no longer is, may change how the one above is listed.
        """
        waiting = [(-_depth(path), path) for path in directories]
        heapq.heapify(waiting)
        while waiting:
            _, path = heapq.heappop(waiting)
            if path in self._walked:
                continue
            has_entries, above = self._walk_one(path), _above(path)
            if path and (not has_entries or self._is_empty_folder(above)):
                heapq.heappush(waiting, (-_depth(above), above))

    def tree(self) -> Tree:
        left_out = LeftOut()
        for path, reason in self._old.left_out.named:
            above = _above(path)
            was_walked = path in self._walked or above in self._walked
            if not was_walked and is_directory(f"{self._old.root}/{above}"):
                left_out.add(path, reason)
        for path, reason in self._left_out.named:
            left_out.add(path, reason)
        left_out.count += self._left_out.count - len(self._left_out.named)
        data = listing.encode(self._entries)
        return Tree(self._old.root, data, self._files, self._states, left_out)

    def _walk_one(self, top: str) -> bool:
        """Look at the contents of a directory; say whether there is anything to share."""
        looking = self._looking
        walk = Walk(str(self._old.root), looking.selection, lambda _, __: None, looking.unreadable)
        walk.left_out = self._left_out
        self._walked.add(top)
        levels = [walk.directories_in(top)]
        while levels:
            path = next(levels[-1], None)
            if path is None:
                levels.pop()
            elif looking.should_stop():
                raise GoneError(f"{self._old.root}: stopped")
            elif path in self._changed or not self._is_known(path):
                self._walked.add(path)
                levels.append(walk.directories_in(path))
            else:
                walk.entries += self._entries[slice(*self._entries_at(path))]
                walk.states.extend(self._states, *self._files_at(path))
        files = self._files_at(top)
        self._states.replace(*files, walk.states)
        self._files[slice(*files)] = [one.path for one in walk.entries if one.kind in listing.FILES]
        self._entries[slice(*self._entries_at(top))] = walk.entries
        return bool(walk.entries)

    def _is_known(self, path: str) -> bool:
        start, end = self._entries_at(path)
        return start < end

    def _is_empty_folder(self, path: str) -> bool:
        start, end = self._entries_at(path)
        return bool(path) and start < end and self._entries[start].path == path

    def _entries_at(self, path: str) -> tuple[int, int]:
        """Return from where to where the entries at a path and below it are."""
        return _span(self._entries, path, lambda entry: entry.path)

    def _files_at(self, path: str) -> tuple[int, int]:
        return _span(self._files, path, lambda file: file)


def _span(items: list[T], path: str, path_of: Callable[[T], str]) -> tuple[int, int]:
    """Return from where to where the items at a path and below it are; they are in order."""
    if not path:
        return 0, len(items)
    start = _key(path)
    return (
        bisect_left(items, start, key=lambda item: _key(path_of(item))),
        bisect_left(items, start + "\1", key=lambda item: _key(path_of(item))),
    )


def _key(path: str) -> str:
    """Return the sort key of a path: paths below it come right after it."""
    return path.replace("/", "\0")


def _above(path: str) -> str:
    return path.rpartition("/")[0]


def _depth(path: str) -> int:
    return path.count("/") + 1 if path else 0


def _is_in(path: str, changed: Collection[str]) -> bool:
    """Say whether a directory is in one that changed itself, or is one."""
    while path:
        if path in changed:
            return True
        path = _above(path)
    return False
