"""What commands and orders that died in the middle have left in `.shoal`: found and removed."""

import os
import secrets
from pathlib import Path

from shoal.node.files.placing import remove

_KINDS = ("incoming", "deleted")


def incoming(folder: Path) -> Path:
    """Return where to make what is to appear in a node's `folder`; nothing is there yet."""
    return folder / ".shoal" / f"incoming-{os.getpid()}"


def deleted(folder: Path) -> Path:
    """Return where to put what is to go from a node's `folder`; nothing is there yet.

    No directory is made for it: that takes room, and a full disk has none.
    """
    return folder / ".shoal" / f"deleted-{os.getpid()}-{secrets.token_hex(8)}"


def sweep(folder: Path) -> None:
    """Remove what processes have left that are no longer there."""
    for kind in _KINDS:
        for place in (folder / ".shoal").glob(f"{kind}-*"):
            process = place.name.split("-")[1]
            is_ours = process.isdecimal()  # Else it is not we who named it.
            if is_ours and not (int(process) != os.getpid() and Path("/proc", process).exists()):
                remove(place)
