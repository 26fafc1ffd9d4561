"""Files that commands and orders left in `.shoal` when they died: named, found and removed."""

import os
import secrets
import threading
import time
from pathlib import Path

from shoal.node.files.placing import remove

AT_ONCE_S = 0.5  # Some 10,000 files.
_KINDS = ("incoming", "deleted")


def incoming(folder: Path) -> Path:
    """Return where to prepare a thing for a node's `folder`; nothing is there yet."""
    return folder / ".shoal" / f"incoming-{os.getpid()}"


def deleted(folder: Path) -> Path:
    """Return where to move a thing that is deleted from a node's `folder`; nothing is there yet.

    No directory is made for it: that takes room, and a full disk has none.
    """
    return folder / ".shoal" / f"deleted-{os.getpid()}-{secrets.token_hex(8)}"


def sweep(folder: Path) -> None:
    """Remove the files of processes that no longer exist; what takes long, in a thread."""
    for kind in _KINDS:
        for place in (folder / ".shoal").glob(f"{kind}-*"):
            process = place.name.split("-")[1]
            is_ours = process.isdecimal()  # Otherwise the name is not ours.
            if is_ours and not (int(process) != os.getpid() and Path("/proc", process).exists()):
                aside = deleted(folder)
                try:  # An own one may soon be made again.
                    place.rename(aside)
                except OSError:
                    remove(place)
                else:
                    remove_soon(aside)


class _LateError(Exception):
    """Raised when removing has taken too long to wait for."""


def remove_soon(place: Path) -> None:
    """Remove something: at once, or in a thread of its own what takes longer than AT_ONCE_S.

    If the process ends before, `sweep` removes the rest later.
    """
    until = time.monotonic() + AT_ONCE_S

    def check() -> None:
        if time.monotonic() >= until:
            raise _LateError

    try:
        remove(place, check=check)
    except _LateError:
        threading.Thread(target=remove, args=(place,), name="remove", daemon=True).start()
