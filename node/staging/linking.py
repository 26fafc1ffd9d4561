"""Links in a node's folder to what lies elsewhere, which is served from there and only read."""

import os
from pathlib import Path

from shoal.node.files.directories import opened
from shoal.node.files.placing import remove
from shoal.node.staging.room import disk_trouble
from shoal.protocol.errors import OperatorError
from shoal.protocol.names import display


def place_link(path: Path, folder: Path, name: str) -> None:
    """Make a link to `path` under a name in a node's folder, durably; it may be there already.

    A link there that leads nowhere is replaced: what it led to may have moved.

    Raises:
        OperatorError: something else is there.
        DiskError: the folder cannot be written to.
    """
    place, target = folder / name, path.absolute()
    try:
        _make(place, target)
    except FileExistsError:
        message = f"{display(str(folder))} already has a {display(name)}, which is not this link"
        remedy = f"move it away, or give {display(str(path))} another name"
        raise OperatorError(f"{message}; {remedy}") from None
    except OSError as error:
        raise disk_trouble(error, name, folder) from None


def drop_link(path: Path, folder: Path, name: str) -> None:
    """Remove the link to `path` that `place_link` has made, as nothing came to be there."""
    place = folder / name
    if place.is_symlink() and place.readlink() == path.absolute():
        remove(place)


def _make(place: Path, target: Path) -> None:
    with opened(place.parent.resolve()) as directory:
        try:
            os.symlink(target, place.name, dir_fd=directory)
        except FileExistsError:
            is_it = place.is_symlink() and place.readlink() == target
            if not is_it and place.is_symlink() and not place.exists():
                os.unlink(place.name, dir_fd=directory)
                os.symlink(target, place.name, dir_fd=directory)
            elif not is_it:
                raise
        os.fsync(directory)
