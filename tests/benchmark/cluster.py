"""A shoal cluster as real processes, run as its users run it. Knows nothing of what is measured."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.benchmark.processes import ROOT, Child, Children, wait_until

SHOAL = [sys.executable, str(ROOT / "cli.py")]


class Cluster:
    """The tracker and some nodes of one cluster file."""

    def __init__(self, config: Path, children: Children) -> None:
        self._config = config
        self._children = children
        self._tracker: Child | None = None
        self._nodes: list[Child] = []

    @property
    def processes(self) -> list[Child]:
        return [*([self._tracker] if self._tracker else []), *self._nodes]

    def start(self, nodes: Sequence[str]) -> None:
        self._tracker = self._children.start("tracker", self.command("tracker"))
        self._nodes = [self._children.start(node, self.command("node", node)) for node in nodes]

    def wait_for_holders(self, what: str, nodes: Sequence[str]) -> None:
        """Return once the tracker lists all `nodes` as holding the whole of `what`."""
        wait_until(
            lambda: self._complete_holders(what) >= set(nodes),
            f"{what}, complete, on {', '.join(nodes)}",
            self.processes,
        )

    def command(self, *words: str) -> list[str]:
        return [*SHOAL, *words, "--config", str(self._config)]

    def _complete_holders(self, what: str) -> set[str]:
        asked = self._children.start("where", self.command("where", what, "--json"))
        asked.reap()
        if asked.process.returncode != 0:
            return set()  # nobody has announced it yet, or the tracker is not up
        answer: Any = json.loads(asked.output())
        things = answer if isinstance(answer, list) else [answer]
        return {
            holder["node"] for thing in things for holder in thing["holders"] if holder["complete"]
        }
