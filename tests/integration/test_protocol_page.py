"""What was written from docs/build/protocol.md alone works with ours, and ours with it.

Covers broker/server.py and node/network: chunk_server.py, link.py and session.py.
"""

import ast
import contextlib
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgpack  # type: ignore[import-untyped]  # It ships no stubs.
import pytest
import zmq

from tests.integration import page_peers
from tests.integration.cluster import free_address
from tests.integration.page_peers import Connection, Context, Map, Server

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
LIMIT_S = 30.0  # For anything to come about, on a busy machine.
SEEDS = random.Random(7).randbytes(3000)  # Eight chunks.
RELAY = random.Random(8).randbytes(5001)
PHOTOS: page_peers.Tree = {
    "a/b/c/up": ("l", b"../../../cat.jpg"),
    "a/empty": ("d", b""),
    "a/run.sh": ("x", b"#!/bin/sh\n"),
    "a.txt": ("f", b"after all that lies in a"),
    "cat.jpg": ("f", random.Random(9).randbytes(1500)),  # Larger than a chunk.
    "nothing": ("f", b""),
    "\u00fc \U0001f41f": ("f", b"the last"),
}


def until(find: Callable[[], T | None]) -> T:
    ends = time.monotonic() + LIMIT_S
    while time.monotonic() < ends:
        found = find()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come about")


class Cluster:
    """A cluster file of its own, the processes of ours that run by it, and the commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tracker = free_address()
        self.nodes = {name: free_address() for name in ("n1", "n2", "n3")}
        self._processes: list[subprocess.Popen[bytes]] = []
        entries = [
            f"  {name}: {{address: '{address}', folder: {name}}}"
            for name, address in self.nodes.items()
        ]
        self._file = folder / "cluster.yaml"
        lines = ["tracker:", f"  address: {self.tracker}", "nodes:", *entries, ""]
        self._file.write_text("\n".join(lines))
        for name in self.nodes:
            (folder / name).mkdir()

    def start(self, *command: str) -> None:
        with (self.folder / f"{'-'.join(command)}.log").open("wb") as log:
            process = subprocess.Popen(self._line(*command), stdout=log, stderr=log)
        self._processes.append(process)

    def run(self, *command: str) -> Any:
        """Return what a command prints with --json."""
        done = self._done(*command, "--json")
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    def fail(self, *command: str) -> str:
        """Return what a command says that cannot be carried out."""
        done = self._done(*command)
        assert done.returncode > 0, done.stdout.decode()
        return done.stderr.decode()

    def holders_of(self, name: str) -> dict[str, bool]:
        """Return who has it according to `where`, and whether it has all of it."""
        told = self.run("where", name)
        versions = told if isinstance(told, list) else [told]
        return {each["node"]: each["complete"] for one in versions for each in one["holders"]}

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _done(self, *command: str) -> subprocess.CompletedProcess[bytes]:
        line = self._line(*command)
        return subprocess.run(line, capture_output=True, timeout=LIMIT_S, check=False)

    def _line(self, *command: str) -> list[str]:
        return [sys.executable, str(ROOT / "cli.py"), *command, "--config", str(self._file)]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    try:
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def context() -> Iterator[Context]:
    with zmq.Context() as context:
        yield context


def announced(tracker: Connection, name: str, count: int) -> Map:
    """Return the tracker's word on `name` once so many live nodes have announced it."""

    def find() -> Map | None:
        reply, _ = tracker.ask("query", what=name)
        alive = [holder for holder in reply.get("holders", ()) if holder["alive"]]
        return reply if len(alive) == count else None

    return until(find)


def lay(tree: page_peers.Tree, folder: Path) -> None:
    """Make what is in `tree`, as whoever shares it would have it."""
    for path, (kind, content) in tree.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if kind == "d":
            place.mkdir()
        elif kind == "l":
            place.symlink_to(content.decode())
        else:
            place.write_bytes(content)
            place.chmod(0o755 if kind == "x" else 0o644)


def found_in(folder: Path) -> page_peers.Tree:
    """Return what lies there, as `lay` takes it."""
    tree = page_peers.Tree()
    for place in folder.rglob("*"):
        path = str(place.relative_to(folder))
        if place.is_symlink():
            tree[path] = "l", str(place.readlink()).encode()
        elif place.is_file():
            tree[path] = "x" if place.stat().st_mode & 0o100 else "f", place.read_bytes()
        elif not any(place.iterdir()):
            tree[path] = "d", b""
    return tree


def test_uses_nothing_of_ours() -> None:
    imported = set()
    for node in ast.walk(ast.parse(Path(page_peers.__file__).read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
    ours = {path.parent.name for path in ROOT.glob("*/__init__.py")} | {"cli"}
    assert not {name.split(".")[0] for name in imported} & ours


def test_a_client_from_the_page_fetches_and_becomes_a_holder(
    cluster: Cluster, context: Context
) -> None:
    for node in ("n2", "n3"):
        (cluster.folder / node / "seeds.txt").write_bytes(SEEDS)
    cluster.start("tracker")
    cluster.start("node", "n2")
    cluster.start("node", "n3")
    with Connection(context, cluster.tracker) as tracker:
        found = announced(tracker, "seeds.txt", count=2)
        holding = page_peers.copy_of(found)
        assert page_peers.file_of(SEEDS).holding("seeds.txt").items() <= found.items()
        assert page_peers.fetched(context, found, asker="n1") == (b"", SEEDS)
        update = {"node": "n1", "address": cluster.nodes["n1"], "epoch": 1, "sequence": 1}
        first, _ = tracker.ask("update", **update, holdings=[holding], replace=True)
        again, _ = tracker.ask("update", **update, holdings=[holding], replace=True)
        token = again["token"]  # The answer to the first may have been lost.
        renewed, _ = tracker.ask("renew", node="n1", epoch=1, holdings=1, token=token)
        assert (first["type"], first["holdings"]) == ("ok", 1)
        assert first | {"token": ""} == again | {"token": ""} == renewed
        refused, _ = tracker.ask("renew", node="n1", epoch=1, holdings=1, token=token[::-1])
        assert (refused["type"], refused["code"]) == ("error", 403)
        assert first["told"] == []
        assert cluster.holders_of("seeds.txt") == {"n1": True, "n2": True, "n3": True}
        other = update | {"address": "tcp://127.0.0.1:9999", "sequence": 2}
        assert tracker.ask("update", **other, token=token)[0]["code"] == 403
        tracker.ask("query", what="seeds.txt", node="n1")  # Anybody could say that.
        assert cluster.holders_of("seeds.txt") == {"n1": True, "n2": True, "n3": True}
        tracker.ask("query", what="seeds.txt", node="n1", token=token)  # It has lost it.
        assert cluster.holders_of("seeds.txt") == {"n2": True, "n3": True}
        assert tracker.ask("leave", node="n1", epoch=1, token=token)[0]["type"] == "ok"


def test_a_node_from_the_page_publishes_if_nobody_has(cluster: Cluster, context: Context) -> None:
    cluster.start("tracker")
    first, second = (page_peers.file_of(content).holding("a.txt") for content in (b"1", b"2"))
    n1, n2 = ({"node": node, "address": cluster.nodes[node], "epoch": 1} for node in ("n1", "n2"))
    told = {"name": "a.txt", "id": second["id"], "version": 1, "publisher": "n1"}
    told |= {"taken": False, "allowed": True}
    with Connection(context, cluster.tracker) as tracker:

        def claim(sender: Map, holding: Map, sequence: int, version: int) -> Map:
            holdings = [{**holding, "claims": True, "version": version}]
            return tracker.ask("update", **sender, sequence=sequence, holdings=holdings)[0]

        assert claim(n1, first, 1, version=1)["told"] == []
        for _ in range(2):  # As if the reply had been lost.
            refused = claim(n2, second, 1, version=1)
            assert (refused["holdings"], refused["told"]) == (0, [told])
        assert claim(n2, second, 2, version=2)["told"] == []
        found, _ = tracker.ask("query", what="a.txt", node="n1", partial=True)
        assert (found["id"], found["version"], found["publisher"]) == (second["id"], 2, "n2")
        assert [one["version"] for one in found["versions"]] == [1]
        prefix = first["id"][3:11]
        found, _ = tracker.ask("query", what="a.txt", prefix=prefix)
        assert (found["id"], found["versions"]) == (first["id"], [])
        assert tracker.ask("query", what="a.txt", prefix="0" * 64)[0]["code"] == 404


def test_a_client_from_the_page_fetches_a_tree(cluster: Cluster, context: Context) -> None:
    for node in ("n2", "n3"):
        lay(PHOTOS, cluster.folder / node / "photos")
    cluster.start("tracker")
    cluster.start("node", "n2")
    cluster.start("node", "n3")
    with Connection(context, cluster.tracker) as tracker:
        found = announced(tracker, "photos", count=2)
        assert page_peers.tree_of(PHOTOS).holding("photos").items() <= found.items()
        listing, contents = page_peers.fetched(context, found, asker="n1")
        assert page_peers.tree_in(listing, contents) == PHOTOS
        assert tracker.ask("query", what="photos/cat.jpg")[0]["code"] == 404


def test_a_client_from_the_page_is_told_what_is_wrong(cluster: Cluster, context: Context) -> None:
    cluster.start("tracker")
    cluster.start("node", "n2")
    with (
        Connection(context, cluster.tracker) as tracker,
        Connection(context, cluster.nodes["n2"]) as node,
    ):
        assert tracker.ask("query", what="nobody.txt")[0]["code"] == 404
        assert tracker.ask("renew", node="n9", epoch=1, holdings=0)[0]["code"] == 404
        assert node.ask("manifest", what="nobody.txt")[0]["code"] == 404
        for connection in (tracker, node):
            assert connection.ask_raw(b"\xc1")[0]["code"] == 400
            assert connection.ask("query" if connection is tracker else "chunk")[0]["code"] == 400
            assert connection.ask("sing")[0]["code"] == 501
            assert connection.ask_raw(msgpack.packb({"v": 3, "type": "query"}))[0]["code"] == 501


@contextlib.contextmanager
def served_from_the_page(
    cluster: Cluster, context: Context, name: str, thing: page_peers.Thing
) -> Iterator[Connection]:
    """Have our tracker know that n2, a node from the page, holds `thing`; give the tracker."""
    cluster.start("tracker")
    address = cluster.nodes["n2"]
    with (
        Connection(context, cluster.tracker) as tracker,
        Server(context, zmq.REP, address, page_peers.smallest_node(name, thing)),
    ):
        start = {"node": "n2", "address": address, "epoch": 1, "sequence": 1}
        reply, _ = tracker.ask("update", **start, holdings=[thing.holding(name)])
        assert reply["type"] == "ok"
        yield tracker


def test_a_node_from_the_page_serves_our_fetch(cluster: Cluster, context: Context) -> None:
    relay = page_peers.file_of(RELAY)
    with served_from_the_page(cluster, context, "relay.bin", relay):
        told = cluster.run("fetch", "relay.bin", "--as", "n1")
    assert (cluster.folder / "n1" / "relay.bin").read_bytes() == RELAY
    assert told["id"] == relay.id
    assert told["holders"] == {"n2": len(RELAY)}


def test_a_node_from_the_page_serves_our_fetch_of_a_tree(
    cluster: Cluster, context: Context
) -> None:
    photos = page_peers.tree_of(PHOTOS)
    with served_from_the_page(cluster, context, "photos", photos):
        told = cluster.run("fetch", "photos", "--as", "n1")
    assert found_in(cluster.folder / "n1" / "photos") == PHOTOS
    assert told["id"] == photos.id
    assert told["holders"] == {"n2": sum(map(len, photos.chunks))}


FORGED = {
    "a path out": {"../out.txt": ("f", b"x")},
    "an absolute path": {"/out.txt": ("f", b"x")},
    "a link out": {"a/out": ("l", b"../../out.txt")},
    "a link out by way of another": {"a/b/up": ("l", b".."), "out": ("l", b"a/b/up/../..")},
    "a file below a link": {"a": ("l", b"b"), "a/out.txt": ("f", b"x"), "b": ("d", b"")},
    "an unknown kind": {"a": ("p", b"")},
}


@pytest.mark.parametrize("case", FORGED)
def test_neither_ours_nor_a_client_from_the_page_takes_a_forged_tree(
    cluster: Cluster, context: Context, case: str
) -> None:
    forged = page_peers.tree_of(FORGED[case])
    with served_from_the_page(cluster, context, "photos", forged) as tracker:
        found = announced(tracker, "photos", count=1)
        with pytest.raises(AssertionError):
            page_peers.fetched(context, found, asker="n3")
        said = cluster.fail("fetch", "photos", "--as", "n1")
    assert "listing" in said
    assert [path.name for path in (cluster.folder / "n1").iterdir()] == [".shoal"]
    assert not list(cluster.folder.rglob("out*"))


def test_a_tracker_from_the_page_serves_our_nodes(cluster: Cluster, context: Context) -> None:
    (cluster.folder / "n2" / "seeds.txt").write_bytes(SEEDS)
    smallest = page_peers.SmallestTracker()
    with Server(context, zmq.ROUTER, cluster.tracker, smallest.answer):
        cluster.start("node", "n2")
        with Connection(context, cluster.tracker) as tracker:
            announced(tracker, "seeds.txt", count=1)
        cluster.run("fetch", "seeds.txt", "--as", "n1")
    assert (cluster.folder / "n1" / "seeds.txt").read_bytes() == SEEDS
    said = [
        holding.get("complete", True)
        for update in smallest.updates
        for holding in update["holdings"]
        if (update["node"], holding["name"]) == ("n1", "seeds.txt")
    ]
    assert said[-1:] == [True]  # From now on it is a holder too.
