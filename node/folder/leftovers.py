"""Files that commands and orders left in `.shoal` when they died: named, found and removed."""

import os
import secrets
from pathlib import Path

from shoal.node.files.placing import remove

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
    """Remove the files of processes that no longer exist."""
    for kind in _KINDS:
        for place in (folder / ".shoal").glob(f"{kind}-*"):
            process = place.name.split("-")[1]
            is_ours = process.isdecimal()  # Otherwise the name is not ours.
            if is_ours and not (int(process) != os.getpid() and Path("/proc", process).exists()):
                remove(place)
