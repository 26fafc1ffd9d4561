"""Whether a link in a node's folder, or in a tree, may be followed. Reads no file.

In a folder that others may write to, anybody can make a link to a file that only the node's user
may read: sharing it would publish it.
"""

import os
import stat
from pathlib import Path

_MAY_PASS = stat.S_IXOTH
_REMEDY = "create the link yourself, or make the file readable for everybody"

_REMEDY_IF_BELOW = "create the link yourself"


def why_not_followed(path: Path, target: os.stat_result) -> str | None:
    """Return why the link at `path` must not be followed, with a remedy; None if it may be.

    `target` is the status of what it led to: of another file nothing is said, as somebody may
    exchange the link meanwhile.

    It may if it belongs to this process's user or to the owner of what it leads to, or if that is a
    file that everybody may read. (In a directory that everybody may list, not all files are such.)

    Raises:
        OSError: it leads nowhere, or cannot be looked at.
    """
    owner, real = path.lstat().st_uid, path.resolve(strict=True)
    if not os.path.samestat(real.stat(), target):
        return "it is a link that keeps changing"
    if owner in {os.geteuid(), target.st_uid}:
        return None
    if stat.S_ISDIR(target.st_mode):
        return (
            f"it is a link that user {owner} made to another user's directory; {_REMEDY_IF_BELOW}"
        )
    if _everybody_reads(real):
        return None
    return f"it is a link that user {owner} made to a file that not everybody may read; {_REMEDY}"


def _everybody_reads(real: Path) -> bool:
    is_open = all(folder.stat().st_mode & _MAY_PASS for folder in real.parents)
    return is_open and bool(real.stat().st_mode & stat.S_IROTH)
