"""Whether a folder lies on what should be mounted there, by the system's list. Mounts nothing."""

import os
import re
from pathlib import Path

from shoal.protocol.errors import DiskError
from shoal.protocol.names import display

_FSTAB = Path("/etc/fstab")
_OCTAL = re.compile(r"\\([0-7]{3})")  # As in \040, a blank (fstab(5)).


def require_mounted(folder: Path, fstab: Path = _FSTAB) -> None:
    """Raise OperatorError if `folder` is to lie on a file system that is not mounted.

    What is written to the bare mount point would be hidden by it later. A file system that only
    scripts mount, and the list does not name, cannot be told.
    """
    try:
        lines = fstab.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return
    place = Path(os.path.realpath(folder))
    for mount_point in filter(None, map(_mount_point, lines)):
        is_above = place.is_relative_to(mount_point) and mount_point != Path("/")
        if is_above and not os.path.ismount(mount_point):
            message = f"cannot use the folder {display(str(folder))}: {display(str(mount_point))}"
            remedy = f"mount it, or take it out of {fstab}"
            raise DiskError(f"{message} is not mounted; {remedy}")


def _mount_point(line: str) -> Path | None:
    fields = line.split()
    if len(fields) < 2 or line.lstrip().startswith("#"):  # noqa: PLR2004 (device, mount point)
        return None
    path = _OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[1])
    return Path(path) if path.startswith("/") else None
