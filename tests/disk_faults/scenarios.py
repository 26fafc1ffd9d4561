"""What is done while the disk fails: one command each, with what is in the folder before and after.

A tracker and a holder run beside it, on disks that never fail.
"""

import contextlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from tests.disk_faults.log import Change, Op
from tests.disk_faults.processes import NO_FAULT, Ended, Fault, Warm, warm_in
from tests.integration.cluster import Cluster, cluster_in, noise
from tests.unit.node.sample_trees import FOLDER, Item, Items, file, link, make, run, seen

READY = "ready to serve"
OUTPUT = "out"  # Where things are put that are fetched to elsewhere, …
ELSEWHERE = "elsewhere"  # … and where there is one already, that is served from there.


def below(name: str, items: Items) -> dict[str, Item]:
    return {f"{name}/{path}": item for path, item in items.items()}


TREE: Items = {
    "a/run.sh": run(b"echo hello"),
    "a/up": link("../b.txt"),
    "b.txt": file(noise(700, 1)),
    "c/none": file(),
    "d": file(noise(300, 2)),
    "e/f": FOLDER,
}
GROWN: Items = {
    "a/run.sh": run(b"echo hello once more"),
    "b.txt": file(noise(700, 1)),
    "c/more": file(noise(400, 3)),
    "d": file(noise(300, 4)),
}
MINE: Items = {"mine.txt": file(b"the only copy")}
OWN: Items = {"own.bin": file(noise(1000, 5))}
OLD: Items = {"second.bin": file(noise(1000, 6)), **below("grown", TREE)}
NEW: Items = {"second.bin": file(noise(1100, 7)), **below("grown", GROWN)}
GONE: Items = {"gone.bin": file(noise(900, 8))}
LINKED: Items = {"linked.bin": file(noise(600, 14))}
PLACED: Items = {"placed.bin": file(noise(650, 15))}
BASE: Items = {**MINE, **OWN, **OLD, **GONE, **LINKED, **PLACED, **below(ELSEWHERE, PLACED)}
FETCHED: Items = {"new.bin": file(noise(1500, 9)), **below("tree", TREE)}
SOURCES: Items = {"shared.bin": file(noise(800, 10)), "own.bin": file(noise(900, 11))}
FRESH: Items = {"fresh.bin": file(noise(1000, 12)), **below("fresh", {"x": file(noise(500, 13))})}
PART = "b3:" + 64 * "7"


class Scenario(NamedTuple):
    """A command of node n2, and what it makes of the folder, which may not be there before."""

    name: str
    command: tuple[str, ...]
    after: Items  # What is there afterwards, of what was there before and besides.
    gone: tuple[str, ...] = ()  # What is not there any more.
    in_place: bool = False  # The files of a tree appear, and are replaced, one by one.
    is_order: bool = False  # The running node is told to do it.
    before: Items = BASE
    unsynced: Items = MappingProxyType({})  # What a user has just written, and nobody has synced.

    @property
    def is_node(self) -> bool:
        return self.command[0] == "node"

    @property
    def forgets(self) -> bool:
        return self.command[0] == "forget"

    @property
    def after_items(self) -> Items:
        """Return all that is there afterwards."""
        changed = {_top(path) for path in self.after} | {*self.gone}
        kept = {path: item for path, item in self.before.items() if _top(path) not in changed}
        return {**kept, **self.after}


def _top(path: str) -> str:
    return path.partition("/")[0]


def _only(items: Items, name: str) -> Items:
    return {path: one for path, one in items.items() if _top(path) == name}


FORGOTTEN = "gone.bin"
SCENARIOS = (
    Scenario("fetch-file", ("fetch", "new.bin"), _only(FETCHED, "new.bin")),
    Scenario("first-fetch", ("fetch", "new.bin"), _only(FETCHED, "new.bin"), before={}),
    Scenario("fetch-tree", ("fetch", "tree"), _only(FETCHED, "tree")),
    Scenario(
        "fetch-in-place", ("fetch", "tree", "--in-place"), _only(FETCHED, "tree"), in_place=True
    ),
    Scenario("second-file", ("fetch", "second.bin"), _only(NEW, "second.bin")),
    Scenario("second-tree", ("fetch", "grown"), _only(NEW, "grown")),
    Scenario(
        "second-in-place", ("fetch", "grown", "--in-place"), _only(NEW, "grown"), in_place=True
    ),
    Scenario("output", ("fetch", "new.bin", "--output", "out/x"), {"out/x": FETCHED["new.bin"]}),
    Scenario("share-file", ("share", "sources/shared.bin"), _only(SOURCES, "shared.bin")),
    Scenario("share-tree", ("share", "sources/tree"), below("tree", TREE)),
    Scenario("share-again", ("share", "sources/own.bin", "--force"), _only(SOURCES, "own.bin")),
    Scenario("link-file", ("share", "sources/shared.bin", "--link"), _only(SOURCES, "shared.bin")),
    Scenario("link-tree", ("share", "sources/tree", "--link"), below("tree", TREE)),
    Scenario(
        "to-file",
        ("fetch", "new.bin", "--to", "out/new.bin"),
        {**_only(FETCHED, "new.bin"), "out/new.bin": FETCHED["new.bin"]},
    ),
    Scenario(
        "to-tree",
        ("fetch", "tree", "--to", "out/tree"),
        {**below("tree", TREE), **below("out/tree", TREE)},
    ),
    Scenario("forget", ("forget", FORGOTTEN), {}),
    Scenario("delete-link", ("forget", "linked.bin", "--delete"), {}, gone=("linked.bin",)),
    Scenario("delete-placed", ("forget", "placed.bin", "--delete"), {}, gone=("placed.bin",)),
    Scenario("delete", ("forget", FORGOTTEN, "--delete"), {}, gone=(FORGOTTEN,)),
    Scenario("discard", ("fetch", "--discard", "part.bin"), {}),
    Scenario("node", ("node", "n2"), {}),
    Scenario("order-fetch", ("fetch", "new.bin"), _only(FETCHED, "new.bin"), is_order=True),
    Scenario("order-forget", ("forget", FORGOTTEN), {}, is_order=True),
    Scenario(
        "order-delete", ("forget", FORGOTTEN, "--delete"), {}, gone=(FORGOTTEN,), is_order=True
    ),
    Scenario("fresh", ("node", "n2"), FRESH, unsynced=FRESH),
)
BY_NAME: Mapping[str, Scenario] = {one.name: one for one in SCENARIOS}


class Done(NamedTuple):
    """What a command said, and the node that it was an order to, if it was one."""

    ended: Ended
    node: Ended | None
    told_bytes: int = 0  # How long the log of changes was then.

    @property
    def failed(self) -> str:
        return (self.node or self.ended).failed


class World:
    """The tracker, the holder n1, and the folder of n2, in which things go wrong."""

    def __init__(self, cluster: Cluster, warm: Warm, desk: Warm, place: Path) -> None:
        """The processes of `warm` have a disk, in `place`, that fails, those of `desk` do not."""
        self._cluster = cluster
        self._warm = warm
        self._desk = desk
        self._prepared = cluster.path / "prepared"
        self.disk = place / "disk"
        self.own: dict[str, Item] = {}  # What lies outside, as its user has left it.
        self.folder = folder_on(self.disk)
        text = cluster.file.read_text()
        cluster.file.write_text(text.replace("folder: n2", f"folder: {self.folder}"))

    def open(self) -> None:
        """Have n2 fetch the old versions, and n1 publish the new ones."""
        cluster = self._cluster
        make(
            cluster.folder("n1"),
            {**OLD, **GONE, **PLACED, **_only(FETCHED, "tree"), **_only(FETCHED, "new.bin")},
        )
        make(cluster.path / "sources", {**SOURCES, **LINKED, **below("tree", TREE)})
        make(self.folder, {**MINE, **OWN})
        self.own = self.sources()
        cluster.start_tracker()
        cluster.start_node("n1")
        for what in ("second.bin", "grown", "gone.bin"):
            done = self.run(("fetch", what))
            assert done.exit_code == 0, done
        (self.disk / ELSEWHERE).mkdir()
        for command in (
            ("share", "sources/linked.bin", "--link"),
            ("fetch", "placed.bin", "--to", f"{ELSEWHERE}/placed.bin"),
        ):
            done = self.run(command)
            assert done.exit_code == 0, done
        left = self.folder / ".shoal/partial" / PART.removeprefix("b3:")
        make(left, {"name": file(b"part.bin"), "data": file(b"some of it")})
        (self.disk / OUTPUT).mkdir()
        shutil.copytree(self.disk, self._prepared, symlinks=True)
        self._replace_versions()

    def sources(self) -> dict[str, Item]:
        """Return what is outside of the folder, and only to be read."""
        return seen(self._cluster.path / "sources")

    def reset(self, scenario: Scenario) -> None:
        """Have n2 as it is before a scenario."""
        shutil.rmtree(self.disk, ignore_errors=True)
        shutil.copytree(self._prepared, self.disk, symlinks=True)
        if not scenario.before:
            shutil.rmtree(self.folder)
            shutil.rmtree(self.disk / ELSEWHERE)
            (self.disk / ELSEWHERE).mkdir()

    def write_unsynced(self, scenario: Scenario) -> list[Change]:
        """Write what a user has just written; return how that changed the disk."""
        changes = []
        for path, (_, content) in scenario.unsynced.items():
            target = self.folder / path
            if not target.parent.exists():
                changes.append(_made(target.parent, None))
            changes += [_made(target, content), _written(target, content)]
        return changes

    def run(self, command: Sequence[str]) -> Ended:
        """Run a command of n2 on a disk that works."""
        return self._desk.run(self._line(command), self.disk)

    def carry_out(
        self, scenario: Scenario, fault: Fault = NO_FAULT, log: Path | None = None
    ) -> Done:
        """Do what the scenario says, on a disk that may fail."""
        at, line = self.disk, self._line(scenario.command)
        if not scenario.is_order and not scenario.is_node:
            return Done(self._warm.run(line, at, fault, log), None)
        answers: list[Ended] = []
        told_bytes = 0

        def order() -> None:
            nonlocal told_bytes
            if scenario.is_order:
                answers.append(self._desk.run(line, at))
            told_bytes = log.stat().st_size if log else 0

        node = self._warm.run(self._line(("node", "n2")), at, fault, log, READY, order)
        return Done(answers[0] if answers else node, node, told_bytes)

    def _line(self, command: Sequence[str]) -> list[str]:
        who = () if command[0] == "node" else ("--as", "n2")
        line = (*command, *who, "--config", str(self._cluster.file))
        return [self._placed(word) for word in line]

    def _placed(self, word: str) -> str:
        if word.startswith((f"{OUTPUT}/", f"{ELSEWHERE}/")):
            return str(self.disk / word)
        return str(self._cluster.path / word) if word.startswith("sources/") else word

    def _replace_versions(self) -> None:
        cluster = self._cluster
        make(cluster.path / "newer", NEW)
        for name in ("second.bin", "grown"):
            done = cluster.run("share", str(cluster.path / "newer" / name), "--force", "--as", "n1")
            assert done.exit_code == 0, done


def folder_on(disk: Path) -> Path:
    """Return the folder of n2."""
    return disk / "n2"


def things_on(disk: Path) -> dict[str, Item]:
    """Return what is in the folder of n2, but for its own state, and what was put elsewhere."""
    found = {**below(OUTPUT, seen(disk / OUTPUT)), **below(ELSEWHERE, seen(disk / ELSEWHERE))}
    folder = folder_on(disk)
    for path in sorted(folder.iterdir()) if folder.exists() else ():
        if not path.exists():
            continue  # A link comes before what it leads to.
        if path.is_dir() and path.name != ".shoal":
            found |= below(path.name, seen(path)) or {path.name: FOLDER}
        elif path.name != ".shoal":
            kind = run if path.stat().st_mode & 0o100 else file
            found[path.name] = kind(path.read_bytes())
    return found


@contextlib.contextmanager
def world_in(folder: Path, place: Path | None = None) -> Iterator[World]:
    """Give a world; the disk that fails is in a `place` of its own, if one is named."""
    with (
        warm_in(folder / "warm") as warm,
        warm_in(folder / "desk") as desk,
        cluster_in(folder / "cluster", nodes=("n1", "n2")) as cluster,
    ):
        world = World(cluster, warm, desk, place or cluster.path)
        world.open()
        yield world


def _made(place: Path, content: bytes | None) -> Change:
    """Make a file or, without content, a directory; return how that changed the disk."""
    place.mkdir() if content is None else place.write_bytes(content)
    status, op = place.stat(), Op.MKDIR if content is None else Op.CREATE
    above = place.parent.stat().st_ino
    return Change(op, status.st_ino, above, amount=status.st_mode, name=place.name)


def _written(place: Path, content: bytes) -> Change:
    status = place.stat()
    mtime_ns, size_bytes = status.st_mtime_ns, status.st_size
    return Change(Op.WRITE, status.st_ino, mtime_ns=mtime_ns, size_bytes=size_bytes, data=content)
