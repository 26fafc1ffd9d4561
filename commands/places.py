"""The cluster file that a command line means, and the node in it. Imports what it needs late."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from shoal.commands import terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoal.config.cluster import Cluster, NodeEntry

_AS = "--as NAME"


class Places:
    """Finds them. Each method raises OperatorError if there is none, or it is not valid."""

    def __init__(self) -> None:
        self.in_clone = False  # If it is, the shipped example is used by default.

    def file(self, config: str | None) -> Path:
        """Return the path of the cluster file, given --config."""
        from shoal.config import cluster  # noqa: PLC0415 (--help stays quick)

        return cluster.find(config, os.environ, Path(), in_clone=self.in_clone)

    def cluster(self, config: str | None) -> "Cluster":
        """Return the cluster."""
        from shoal.config import cluster  # noqa: PLC0415 (the same)

        path = self.file(config)
        if path == cluster.EXAMPLE:
            terminal.say(f"using the example cluster file {path}")
        return cluster.load(path)

    def node(
        self, config: str | None, name: str | None, way: str = _AS
    ) -> "tuple[Cluster, NodeEntry]":
        """Return the cluster, and a node of it that may run on this machine.

        Without a name, it is the only one that has an address of this machine. If there is none
        such, or several, the message tells the `way` to name one.
        """
        from shoal.config.cluster import node_named  # noqa: PLC0415 (the same)

        return self._here(self.cluster(config), name, node_named, way)

    def fetcher(self, config: str | None, name: str | None) -> "tuple[Cluster, NodeEntry]":
        """Return the cluster, and a node or reader of it that may be on this machine.

        Without a name, it is the only node that has an address of this machine.
        """
        from shoal.config.cluster import fetcher_named  # noqa: PLC0415 (the same)

        return self._here(self.cluster(config), name, fetcher_named)

    @staticmethod
    def _here(
        loaded: "Cluster",
        name: str | None,
        named: "Callable[[Cluster, str], NodeEntry]",
        way: str = _AS,
    ) -> "tuple[Cluster, NodeEntry]":
        from shoal.api.here import only_node_here, require_apart, require_here  # noqa: PLC0415

        entry = only_node_here(loaded, way) if name is None else named(loaded, name)
        require_here(entry, loaded.path)
        require_apart(entry, loaded)
        return loaded, entry


PLACES = Places()  # Of this process.
