"""Says what has changed in a folder or below it, by Linux's inotify. Looks at no file.

Only changes of names and bytes count: a node opens and reads its files again and again, and being
told of that costs more than the reading (docs/build/decisions/0011-what-is-watched.md).
"""

import contextlib
import errno
import os
import select
from pathlib import Path

from inotify_simple import Event, INotify, flags
from shoal.node.folder.changed import Changed
from shoal.protocol.names import RESERVED_FOLDER
from shoal.wire.wake import Wake

_MASK = flags.CREATE | flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO
_MASK |= flags.MODIFY | flags.CLOSE_WRITE | flags.ATTRIB
_MASK |= flags.ONLYDIR | flags.DONT_FOLLOW | flags.EXCL_UNLINK


_LIMITS = {errno.ENOSPC: "max_user_watches", errno.EMFILE: "max_user_instances"}


class Changes:
    """Watches one folder and all directories in it but our own, from the start to `close`."""

    def __init__(self, folder: Path) -> None:
        """Begin to watch.

        Raises:
            OSError: that cannot be done here, or there are too many directories.
        """
        self._wake = Wake()
        self._root = os.fsencode(folder.resolve())
        self._ours = os.fsencode(folder.resolve() / RESERVED_FOLDER)
        self._paths: dict[int, bytes] = {}  # Of the watched directories.
        try:
            self._inotify = INotify(nonblocking=True)
        except AttributeError:  # The C library does not have it.
            self._wake.close()
            raise OSError(errno.ENOSYS, "not on this system") from None
        except OSError as error:
            self._wake.close()
            raise _named(error) from None
        self._poll = select.poll()
        self._poll.register(self._inotify, select.POLLIN)
        self._poll.register(self._wake, select.POLLIN)
        try:
            self._watch(self._root)
        except OSError:
            self.close()
            raise

    def wait(self, timeout_s: float) -> Changed:
        """Wait for a change, or for `wake`; return what has changed.

        Raises:
            OSError: there are too many directories now.
        """
        self._poll.poll(1000 * timeout_s)
        self._wake.clear()
        changed = Changed()
        for event in self._inotify.read(timeout=0):
            self._take_in(event, changed)
        return changed

    def wake(self) -> None:
        """End a `wait` at once. May be called from any thread, and from a signal handler."""
        self._wake.set()

    def close(self) -> None:
        self._inotify.close()
        self._wake.close()

    def _take_in(self, event: Event, changed: Changed) -> None:
        """Follow directories that were made, moved or removed; note changes that count."""
        above = self._paths.get(event.wd)
        if event.mask & flags.Q_OVERFLOW:
            self._watch(self._root)
            changed.is_everything = True
        elif event.mask & flags.IGNORED:
            self._paths.pop(event.wd, None)
            changed.is_everything |= above == self._root  # It was removed, or unmounted.
        elif above is not None and (above, event.name) != (self._root, RESERVED_FOLDER):
            if event.mask & flags.ISDIR and event.name:
                self._follow(above + b"/" + os.fsencode(event.name), event.mask)
            self._note(above, event.name, changed)

    def _follow(self, path: bytes, mask: int) -> None:
        if mask & flags.MOVED_FROM:
            self._leave(path)
        elif mask & (flags.CREATE | flags.MOVED_TO):
            self._watch(path)

    def _note(self, above: bytes, name: str, changed: Changed) -> None:
        """Note that something in a directory has changed, or without a name the directory."""
        path = "/".join(filter(None, [os.fsdecode(above[len(self._root) + 1 :]), name]))
        if path:
            changed.add(*path.split("/", 1))
        else:
            changed.is_everything = True

    def _watch(self, path: bytes) -> None:
        """Watch a directory and those in it; once more does no harm."""
        waiting = [path]
        for directory in waiting:  # It grows.
            with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                self._paths[self._add_watch(directory)] = directory
                waiting += self._directories_in(directory)

    def _add_watch(self, directory: bytes) -> int:
        try:
            number: int = self._inotify.add_watch(directory, _MASK)
        except OSError as error:
            raise _named(error) from None
        return number

    def _directories_in(self, directory: bytes) -> list[bytes]:
        with os.scandir(directory) as entries:
            found = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        return [path for path in found if path != self._ours]

    def _leave(self, path: bytes) -> None:
        """Stop watching a directory that was moved; inside the folder it is found again."""
        for number, place in list(self._paths.items()):
            if place == path or place.startswith(path + b"/"):
                with contextlib.suppress(OSError):
                    self._inotify.rm_watch(number)
                del self._paths[number]


def _named(error: OSError) -> OSError:
    """Return the error, naming the limit that is reached: its own text is about a full disk."""
    limit = _LIMITS.get(error.errno or 0)
    if limit is None:
        return error
    return OSError(error.errno, f"the system's limit is reached; raise fs.inotify.{limit}")
