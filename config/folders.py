"""Folders in a cluster file. Does not look at the disk: most of them are on other machines."""

import os
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import NamedTuple

from shoal.config.document import Value, shown


def folder_at(value: Value, base: Path) -> Path:
    """Return the folder as an absolute path; a relative one is relative to `base`."""
    text = value.text("the path of a folder")
    try:
        path = str(Path(text).expanduser()) if text.startswith("~") else text
        return Path(os.path.normpath(f"{base}/{path}" if path[0] != "/" else path))
    except RuntimeError:
        found = f"found {shown(text)}, and there is no such home folder"
        raise value.error(found, "expected the path of a folder") from None


def links_in(value: Value | None, base: Path) -> tuple[Path, ...]:
    """Return the absolute paths of what a node serves from where it lies, each by another name."""
    if value is None:
        return ()
    paths: dict[str, Path] = {}
    for item in value.items("a list of paths, as in [/data/run7]"):
        path = folder_at(item, base)
        if path.name in paths:
            found = f"found a second {shown(path.name)}"
            raise item.error(found, "expected paths that end in different names")
        paths[path.name] = path
    return tuple(paths.values())


class State(NamedTuple):
    """Where a node keeps its state, and whether it writes into its folder."""

    folder: Path | None
    read_only: bool


def state_in(fields: Mapping[str, Value], base: Path) -> State:
    """Return what a node's entry says of its state."""
    given = fields.get("state_folder")
    is_read_only = "read_only" in fields and fields["read_only"].flag()
    if is_read_only and given is None:
        found = "found true, and no state_folder"
        raise fields["read_only"].error(found, "expected a state_folder too, elsewhere")
    return State(None if given is None else folder_at(given, base), is_read_only)


def claim_folder(
    taken: dict[Hashable, str], machine: str, folder: Path, name: str, value: Value
) -> None:
    """Refuse a folder in another node's on the same machine: each would share the other's files."""
    place = str(folder)
    claim(taken, (machine, place), name, value)
    found = f"found {shown(value.text('a text'))}"
    while place != "/":
        place = place.rpartition("/")[0] or "/"
        if (machine, place) in taken:
            found += f", which is within the folder of {taken[machine, place]}"
            raise value.error(found, "expected a folder apart from it")
        taken.setdefault((machine, place, "has a folder in it"), name)
    if (machine, str(folder), "has a folder in it") in taken:
        inner = taken[machine, str(folder), "has a folder in it"]
        raise value.error(
            f"{found}, which has the folder of {inner} in it", "expected a folder apart from it"
        )


def claim(taken: dict[Hashable, str], thing: Hashable, name: str, value: Value) -> None:
    """Note that `name` has `thing`; refuse it if another has it."""
    if thing in taken:
        found = f"found {shown(value.text('a text'))}, already taken by {taken[thing]}"
        raise value.error(found, "expected one of its own")
    taken[thing] = name
