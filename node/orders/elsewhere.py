"""What may be where if a fetch puts something outside the folder, to be served from there.

Fetches and puts nothing.
"""

import os
from pathlib import Path

from shoal.node.files.outside import check_output
from shoal.node.orders.identity import Identity
from shoal.node.trees.selection import Selection
from shoal.protocol.errors import DiskError, OperatorError
from shoal.protocol.names import display

OPTION = "--to"


def require_outside(target: Path, folder: Path) -> None:
    """Raise OperatorError if `target` is in the node's folder."""
    place = Path(os.path.realpath(target.parent), target.name)
    if place.is_relative_to(os.path.realpath(folder)):
        message = f"{OPTION} {display(str(target))} is in the node's folder"
        raise OperatorError(f"{message}; leave {OPTION} out")


def require_all(selection: Selection) -> None:
    """Raise OperatorError if a part of a directory is to be served."""
    if not selection.is_everything:
        message = f"{OPTION} shares what it fetches, which must be whole"
        raise OperatorError(f"{message}; use --output for a part of a directory")


def read_only(identity: Identity, name: str) -> DiskError:
    """Return what to say of a thing that cannot come into the node's folder."""
    cause = f"{display(str(identity.folder))} is read-only"
    remedy = f"put it elsewhere with {OPTION} PATH"
    return DiskError(
        f"cannot write {display(name)}: {cause}; {remedy}", brief=f"{cause}; fetch it with {OPTION}"
    )


def require_free(
    target: Path, identity: Identity, name: str, *, is_meant: bool, may_go: bool
) -> None:
    """Raise OperatorError if something else is at `target`, or has the name in the node's folder.

    The folder may have a link to `target`. If that has what `is_meant` it stays; a file there may
    be replaced if it `may_go`. A link that leads nowhere gives way.
    """
    folder, node = identity.folder, identity.name
    place = identity.place(name)
    is_link = place.is_symlink()
    leads_there = is_link and place.readlink() == target
    if leads_there and is_meant:
        return
    if os.path.lexists(place) and not leads_there and not (is_link and not place.exists()):
        message = f"{display(str(folder))} already has {display(name)}"
        remedy = f"move it away, or leave {OPTION} out"
        if is_link:
            message += f", a link to {display(str(place.readlink()))}"
            remedy = f"`shoal forget {display(name)} --delete --as {node}` removes the link alone"
        raise OperatorError(f"{message}; {remedy}")
    check_output(target, may_replace=may_go)
