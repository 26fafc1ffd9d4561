"""Faults in what is done with things outside of the folders, and for readers."""

import shutil
from typing import Any

import msgspec
from shoal.node.folder.inventory import Part
from shoal.node.orders.forgetting import Forgetting
from shoal.node.orders.identity import Identity
from shoal.node.orders.opened import Opened
from shoal.node.orders.reading import Reading
from shoal.protocol.control import There

from tests.simulation.faults.plant import Plant


def _deleted_where_it_is(forgetting: Any, name: str, _: Any) -> None:
    place = forgetting._home.identity.place(name).resolve()
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink()


def _pointed_at_all(opened: Any, part: Part, offset: int, size_bytes: int) -> There | None:
    there = _place_in_part(opened, part, offset, size_bytes)
    return there and msgspec.structs.replace(there, size_bytes=size_bytes)


_place_in_part = Opened._place_in_part


PLACES: dict[str, Plant] = {
    "what a link leads to is deleted with it": Plant(
        [(Forgetting, "_delete", _deleted_where_it_is)], {"linked"}
    ),
    "a folder that is only read is written to": Plant(
        [(Identity, "writable", property(lambda identity: identity.folder))], {"linked"}
    ),
    "readers are told of places too early": Plant(
        [(Opened, "_place_in_part", _pointed_at_all)], {"read"}, first=57
    ),
    "who has closed is not forgotten": Plant([(Reading, "_leave", lambda *_: None)], {"given up"}),
}
