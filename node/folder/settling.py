"""The thread that makes durable what was hashed: it then counts in later runs of the machine.

Now and then, and only if there is something: it makes durable what everybody has written there.
"""

import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path

from shoal.node.files.durable import FileSystem
from shoal.node.folder.cache import Cache
from shoal.node.folder.rules import Rules
from shoal.protocol.names import display
from shoal.system.repeating import Repeating

log = logging.getLogger("shoal.node")

PAUSE_S = 30.0  # Linux itself writes most of it within this time.
_AT_A_TIME = 1000  # Others wait for the cache meanwhile, for some milliseconds.
_MOUNTS = Path("/proc/self/mountinfo")


class Settler:
    """Looks after the cache of one folder, from `start` to `stop`."""

    def __init__(
        self,
        folder: Path,
        cache: Cache,
        rules: Rules,
        place: Callable[[str], Path] | None = None,
    ) -> None:
        """`place` says where the thing of a name is, if not in the folder."""
        self._folder = folder
        self._place = place or folder.__truediv__
        self._cache = cache
        self._rules = rules
        self._lost: set[tuple[str, str]] = set()  # Hashed, but not all of it could be written.
        self._disk: FileSystem | None = None  # That the folder was on when it was last looked.
        self._thread = Repeating("settle", self._look)

    def start(self) -> None:
        self._thread.start(PAUSE_S)

    def stop(self) -> None:
        self._thread.stop()
        if self._disk is not None:
            self._disk.close()
            self._disk = None

    def settle(self, disk: FileSystem) -> None:
        """Make durable what was hashed so far, and note that; `disk` is what the folder is on.

        Raises:
            OSError: something could not be written: then nothing of this ever counts.
        """
        folder, mounts = os.path.realpath(self._folder), _mount_points()
        inside = [f"{one}/" for one in mounts if one.startswith(f"{folder}/")]
        unsettled = set(self._cache.unsettled()) - self._lost
        hashed = {one for one in unsettled if not self._is_elsewhere(folder, one[0], inside)}
        self._settle_links(unsettled - hashed, mounts)
        if not hashed:
            return
        try:
            disk.sync()
        except OSError:
            self._lost |= hashed
            raise
        ordered = sorted(hashed)
        for start in range(0, len(ordered), _AT_A_TIME):
            self._cache.settle(ordered[start : start + _AT_A_TIME])

    def _settle_links(self, hashed: set[tuple[str, str]], mounts: list[str]) -> None:
        """Do the same of what links lead to, file system by file system, as far as that can be.

        Of a write that had failed before, its owner was told.
        """
        devices: dict[int, list[tuple[str, str]]] = {}
        places: dict[int, str] = {}
        for one in sorted(hashed):
            link = self._place(one[0])
            real = os.path.realpath(link)
            place = real if os.path.isdir(real) else os.path.dirname(real)
            with contextlib.suppress(OSError):
                device = os.stat(real).st_dev
                is_whole = not any(mount.startswith(f"{real}/") for mount in mounts)
                is_one = is_whole and device == os.stat(place).st_dev
                if is_one and link.is_symlink() and not self._rules.of(one[0]).follow_links:
                    places[device] = place
                    devices.setdefault(device, []).append(one)
        for device, known in devices.items():
            try:
                with contextlib.closing(FileSystem.of(Path(places[device]))) as disk:
                    disk.sync()
            except OSError:
                self._lost |= set(known)
            else:
                self._cache.settle(known)

    def _look(self) -> float:
        try:
            if self._disk is None or not self._disk.is_of(self._folder):
                self._disk, before = FileSystem.of(self._folder), self._disk
                if before is not None:
                    before.close()
            self.settle(self._disk)
        except OSError as error:
            shown = display(str(self._folder))
            log.warning("cannot write %s to its disk: %s", shown, error.strerror)
        return PAUSE_S

    def _is_elsewhere(self, folder: str, name: str, mounts: list[str]) -> bool:
        """Return whether some of a thing may be on another file system than the folder."""
        if self._rules.of(name).follow_links or self._place(name).is_symlink():
            return True
        return any(one.startswith(f"{folder}/{name}/") for one in mounts)


def _mount_points() -> list[str]:
    """Return where file systems are mounted, as far as that is known."""
    try:
        lines = _MOUNTS.read_bytes().splitlines()
    except OSError:
        return []
    fields = (line.split()[4] for line in lines)
    return [os.fsdecode(field.decode("unicode_escape").encode("latin-1")) for field in fields]
