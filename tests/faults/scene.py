"""A cluster on a lab whose hosts and cables fail, and a node on host 1 that fetches meanwhile."""

import contextlib
import dataclasses
import json
import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.faults.meter import Meter, sent_bytes
from tests.integration.cluster import SIGNS_OF_A_BUG
from tests.multihost.lab import Lab
from tests.multihost.swarm import Swarm
from tests.multihost.wait import wait_until

FETCHER = "n1"
COMMAND_S = 30.0
DROPPED = re.compile(r": dropped (n\d+): it (.+)$", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Fetched:
    """How one fetch ended; `document` is what the command printed."""

    document: dict[str, Any]
    elapsed_s: float
    stall_s: float
    dropped: list[tuple[str, str]]  # By the fetcher's log: whom, and why.


class Scene:
    """The hosts and what they hold; `folder` gets all files."""

    def __init__(self, lab: Lab, folder: Path, things: Mapping[str, Sequence[str]]) -> None:
        """`things` are the sources' names in `folder`, and the nodes that hold each."""
        self.lab = lab
        self.folder = folder
        self.sources = folder / "sources"
        self.things = things
        self.swarm = Swarm(lab, folder / "cluster")
        self._stopped: set[str] = set()

    def start(self) -> None:
        """Give the holders what they hold, and start all nodes."""
        for name, holders in self.things.items():
            for node in holders:
                _copy(self.sources / name, self.swarm.folder(node) / name)
        self.swarm.start(self.things)

    def fetch(self, name: str, strike: Callable[[], None], at: float, limit_s: float) -> Fetched:
        """Fetch, and strike once such a share of the bytes has come; check what has arrived.

        What was fetched is deleted again.
        """
        seen = len(self.log(FETCHER))
        count = self.sending(self.things[name])
        began, begin = time.monotonic(), count()
        with Meter(count) as meter:
            fetching = self.swarm.fetch(FETCHER, name)
            middle = begin + at * size_bytes(self.sources / name)
            wait_until(
                lambda: count() >= middle or fetching.exit_code is not None,
                limit_s,
                f"{at:.0%} of {name} have come",
            )
            strike()
            code = fetching.wait(limit_s)
        elapsed_s = time.monotonic() - began
        assert code == 0, f"{fetching}\n{self.log(FETCHER)[seen:]}"
        assert same(self.sources / name, self.swarm.folder(FETCHER) / name), f"{name} is wrong"
        dropped = DROPPED.findall(self.log(FETCHER)[seen:])
        self.forget(name)
        return Fetched(json.loads(fetching.stdout), elapsed_s, meter.stall_s, dropped)

    def forget(self, name: str) -> None:
        forgetting = self.swarm.spawn(1, "forget", name, "--delete", "--as", FETCHER)
        assert forgetting.wait(COMMAND_S) == 0, forgetting

    def sending(self, nodes: Sequence[str]) -> Callable[[], int]:
        """Return what counts the bytes that the hosts of these nodes have sent."""
        counted = dict.fromkeys(nodes, 0)

        def count() -> int:
            for node in nodes:  # One that was killed has sent what it had sent.
                with contextlib.suppress(OSError):
                    counted[node] = sent_bytes(self.swarm.process(node).pid)
            return sum(counted.values())

        return count

    # What befalls the hosts.

    def kill(self, node: str) -> None:
        self.swarm.process(node).kill()

    def stop(self, node: str) -> None:
        os.kill(self.swarm.process(node).pid, signal.SIGSTOP)
        self._stopped.add(node)

    def cut(self, node: str) -> None:
        self.lab.link(self.swarm.nodes[node], up=False)

    def restore(self) -> None:
        """Have all nodes run, and all links up; returns when the tracker knows all again."""
        for node, host in self.swarm.nodes.items():
            self.lab.link(host, up=True)
            process = self.swarm.process(node)
            if process.exit_code is not None:
                self.swarm.restart(node)
            elif node in self._stopped:
                os.kill(process.pid, signal.SIGCONT)
        self._stopped.clear()
        self.swarm.wait_for(self.things)

    # Looking back.

    def log(self, node: str) -> str:
        return self.swarm.process(node).stderr

    def check_logs(self) -> None:
        """Raise AssertionError if any process has said that it has a bug."""
        for path in sorted(self.folder.glob("*.std*")):
            text = path.read_text(errors="replace")
            assert not SIGNS_OF_A_BUG.search(text), f"{path.name}:\n{text}"


@contextlib.contextmanager
def scene(
    hosts: int, rate_mbit: float, sources: Mapping[str, bytes], things: Mapping[str, Sequence[str]]
) -> Iterator[Scene]:
    """Give a running scene in a folder of its own. `sources` are files by their paths."""
    with tempfile.TemporaryDirectory(prefix="shoal-faults-") as made:
        folder = Path(made)
        for path, content in sources.items():
            target = folder / "sources" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        with Lab(hosts, rate_mbit, directory=folder) as lab:
            made_scene = Scene(lab, folder, things)
            made_scene.start()
            yield made_scene
            made_scene.check_logs()


def size_bytes(path: Path) -> int:
    return sum(one.stat().st_size for one in _files(path))


def same(one: Path, other: Path) -> bool:
    """Return whether two files, or two directories, have the same content."""
    if one.is_file():
        return other.is_file() and one.read_bytes() == other.read_bytes()
    names = [path.relative_to(one) for path in _files(one)]
    if names != [path.relative_to(other) for path in _files(other)]:
        return False
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy(source, target)
