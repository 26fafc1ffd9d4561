"""Who reads one version of a thing on this machine, and which order to fetch it they share."""

import itertools
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from shoal.node.network.attention import Attention
from shoal.node.orders.opened import Opened
from shoal.node.staging.remains import staging_place
from shoal.protocol.control import FetchOrder, ReadOrder
from shoal.protocol.errors import OperatorError
from shoal.protocol.manifest import ContentId

SURROGATES = re.compile("[\ud800-\udfff]")  # Of a path that is not valid UTF-8.
MOST_BEGUN = 1000  # Files of a tree of which some came for earlier readers: it is kept.


class Readership:
    """One version, who reads it, and the fetch for them."""

    def __init__(self, thing: Opened) -> None:
        self.thing = thing
        self.readers: dict[str, tuple[str, float]] = {}  # What of it, and when last heard of.
        self.left_at = 0.0  # By the last of them.
        self.order: FetchOrder | None = None  # What is being fetched: …
        self.paths: frozenset[str] = frozenset()  # … these.
        self.is_over = False  # It is to end, as more is read.
        self.ended = 0  # How many have, …
        self.trouble: OperatorError | None = None  # … and why the last one failed.

    def heard(self, reader: str) -> None:
        """Note that a reader is there: it waits."""
        if reader in self.readers:
            self.readers[reader] = self.readers[reader][0], time.monotonic()


def mover(order: ReadOrder, thing: Opened, attention: Attention) -> Callable[[], None]:
    """Return what has the chunks come first that are read, once it is known which these are."""
    has_moved = False

    def move() -> None:
        nonlocal has_moved
        if not has_moved:
            has_moved = thing.moved(order.reader, order.inside, order.offset, order.size_bytes)
            attention.urge(thing.id, thing.urged())

    return move


def begun(folder: Path, content_id: ContentId) -> frozenset[str]:
    """Return the files of a tree of which some has come: what is not fetched would be removed."""
    root = staging_place(folder, content_id) / "tree"
    files = (Path(at, name) for at, _, names in os.walk(root) for name in names)
    paths = (str(one.relative_to(root)) for one in itertools.islice(files, MOST_BEGUN))
    return frozenset(one for one in paths if not SURROGATES.search(one))


def order_for(what: str, paths: frozenset[str]) -> FetchOrder:
    """Return the order to fetch these files of a thing as they are read; "" is the thing."""
    if len(paths) == 1:
        (path,) = paths
        return FetchOrder(f"{what}/{path}" if path else what, on_demand=True)
    patterns = tuple(f"/{_escaped(path)}" for path in sorted(paths) if path)
    return FetchOrder(what, include=patterns, on_demand=True)


def _escaped(path: str) -> str:
    """Return a pattern, as in .gitignore, that only this path matches."""
    return re.sub(r"([\\*?\[ !#])", r"\\\1", path)
