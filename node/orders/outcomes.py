"""The report of a fetch: what came, or was here already. Fetches nothing."""

import os

import msgspec
from shoal.node.fetching.versions import Meant
from shoal.node.folder.whole import Whole
from shoal.node.orders.home import Home
from shoal.protocol.control import Fetched
from shoal.protocol.errors import NotFoundError
from shoal.protocol.names import display


def told(fetched: Fetched, meant: Meant) -> Fetched:
    """Return the result with the version that was taken, and how many others there were."""
    others = len(meant.answer.versions) if meant.answer is not None else 0
    version, publisher = meant.title.version, meant.title.publisher
    return msgspec.structs.replace(
        fetched, version=version, publisher=publisher, other_versions=others
    )


def moved_on(meant: Meant) -> str:
    name, version = display(meant.name or meant.what), meant.title.version
    number = f"v{version}" if version else str(meant.id)
    return (
        f"{name} changed while it was fetched: no node has {number} any more; fetching the new one"
    )


def here(thing: Whole, inside: str, home: Home, *, is_asked: bool = True) -> Fetched:
    """Return the report on what is here already; OperatorError if it has nothing `inside`.

    Unless the tracker `is_asked`, it may not be the newest version.
    """
    path = home.identity.place(thing.name) / inside
    if inside and not os.path.lexists(path):
        message = f"no such file was found: {display(thing.name)}/{display(inside)}"
        place = home.identity.place(thing.name)
        raise NotFoundError(f"{message}; see what is in {place}")
    return Fetched(
        name=thing.name,
        id=thing.id,
        size_bytes=thing.size_bytes,
        elapsed_s=0.0,
        fetched_bytes=0,
        reused_bytes=thing.size_bytes,
        holders={},
        path=str(path),
        version=thing.title.version,
        publisher=thing.title.publisher,
        offline=not is_asked,
    )
