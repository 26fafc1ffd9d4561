"""Every call that a fetch makes of its disk fails once: what is there is whole, old or new.

The real machine, its driver and the real disk; only the network is missing. After each failure the
same command is run again, and has to come to the end.
"""

import collections
import contextlib
import errno
import os
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from shoal.node.fetching import steps
from shoal.node.fetching.download import Download
from shoal.node.fetching.drive import drive
from shoal.node.fetching.versions import Meant
from shoal.node.files import libc
from shoal.node.files.signature import Signature
from shoal.node.folder.inventory import Inventory
from shoal.node.folder.source import FileSource
from shoal.node.orders.copying import copy_into
from shoal.node.staging.spare import ANYTHING, NOTHING, Spare
from shoal.node.staging.write_behind import LEAST_BYTES
from shoal.node.trees.selection import EVERYTHING
from shoal.protocol import manifest
from shoal.protocol.errors import OperatorError
from shoal.protocol.messages import Holder, Holders

from tests.unit.node.faults import ERRORS, Faults
from tests.unit.node.fetching.test_roster import TRACKER
from tests.unit.node.sample_trees import (
    FOLDER,
    Item,
    Items,
    Model,
    file,
    link,
    look,
    make,
    run,
    seen,
)
from tests.unit.node.staging.taking import Taking
from tests.unit.node.things import rng

NEW: Items = {
    "a/run.sh": run(b"echo hello"),
    "a/up": link("../b.txt"),
    "b.txt": file(bytes(range(60))),
    "c/none": file(),
    "d": file(b"a directory before"),
    "e/f": FOLDER,
}
OLD: Items = {
    "a": file(b"a file before"),
    "b.txt": file(bytes(60)),
    "c/none": file(),
    "d/x": file(b"in a directory"),
    "gone/y": file(b"of the old version"),
}
TREE = Model(NEW)


class Thing:
    """What is fetched: its manifest and its chunks."""

    def __init__(self, known: manifest.Manifest, chunks: list[bytes]) -> None:
        self.manifest = known
        self.chunks = chunks
        self.data = manifest.encode(known)


def a_file(size_bytes: int) -> Thing:
    chunks = [bytes([index]) * size_bytes for index in range(3)]
    digests = b"".join(blake3(chunk).digest() for chunk in chunks)
    return Thing(manifest.of_file(manifest.PLAIN_MODE, [size_bytes] * 3, digests), chunks)


class Fetch:
    """One fetch of a thing, from a holder that answers at once."""

    def __init__(self, thing: Thing, taking: Taking) -> None:
        self.thing = thing
        self.intake = taking.intake()
        self.download = Download(Meant("t", "t"), "me", (TRACKER,), rng())
        self.coming: collections.deque[steps.Event] = collections.deque([steps.TimePassed()])
        self.path: str | None = None

    def run(self) -> None:
        """Raise OperatorError if it fails."""
        now = 0.0
        try:
            while self.path is None:
                now += 0.001
                event = self.coming.popleft() if self.coming else steps.TimePassed()
                drive(lambda one: self.download.handle(one, now), self.carry_out, event)  # noqa: B023
                assert now < 60
        finally:
            self.intake.close()

    def carry_out(  # noqa: C901, PLR0912 (one table of all actions)
        self, action: steps.Action
    ) -> steps.Event | None:
        match action:
            case steps.RequestManifest(node, request_id):
                self.coming.append(steps.ManifestReceived(node, request_id, self.thing.data))
            case steps.RequestChunk(node, request_id, _, index):
                chunk = self.thing.chunks[index]
                digest = blake3(chunk).digest()
                self.coming.append(
                    steps.ChunkReceived(node, request_id, index, len(chunk), digest, b"")
                )
            case steps.StoreChunk(index=index):
                return self.intake.store(index, memoryview(self.thing.chunks[index]))
            case steps.QueryTracker():
                holder = Holder("n1", "tcp://10.0.1.1:11001", complete=True, alive=True)
                size, known = self.thing.manifest.size_bytes, manifest.id_of(self.thing.data)
                self.coming.append(steps.HoldersFound(Holders("t", known, size, (holder,))))
            case steps.OpenStaging():
                return self.intake.open(action)
            case steps.LayOut():
                return self.intake.lay_out()
            case steps.Publish():
                return self.intake.publish()
            case steps.Finish(path):
                self.path = path
            case steps.Fail(kind, message, _):
                raise kind(message)
            case _:
                assert isinstance(action, steps.Connect | steps.Disconnect)
        return None


class Scene:
    """A node's folder with something in it, and a thing to be fetched."""

    def __init__(self, folder: Path, thing: Thing, before: Items, **to: Any) -> None:
        make(folder, {".shoal/x": file(), **before})
        self.folder = folder
        self.thing = thing
        self.spare: Spare | None = to.pop("spare", None)
        self.taking = Taking(folder, **to)
        self.rules = self.taking.rules

    def fetch(self) -> None:
        """Fetch it as the command does: what is there now may go, unless it is being replaced."""
        spare = NOTHING if self.rules.of("t").withheld else self._as_seen()
        self.taking.spare = spare if self.spare is None else self.spare
        self.taking.inventory = Inventory(lambda _: None)
        Fetch(self.thing, self.taking).run()

    def there(self) -> dict[str, Item]:
        return things_in(self.folder)

    def _as_seen(self) -> Spare:
        path = self.folder / "t"
        if path.is_dir():
            return Spare.as_seen(look(path))
        return (
            Spare.as_seen(FileSource(path, Signature.of(path.stat()))) if path.exists() else NOTHING
        )


def things_in(folder: Path) -> dict[str, Item]:
    """Return what a node's folder has, but for the node's own state."""
    found: dict[str, Item] = {}
    for path in folder.iterdir():
        if path.is_dir() and path.name != ".shoal":
            found.update(below(path.name, seen(path)) or {path.name: FOLDER})
        elif path.name != ".shoal":
            kind = run if path.stat().st_mode & 0o100 else file
            found[path.name] = kind(path.read_bytes())
    return found


def below(name: str, items: Items) -> Items:
    return {f"{name}/{path}": item for path, item in items.items()}


SMALL, LARGE = a_file(10), a_file(LEAST_BYTES)
A_TREE = Thing(TREE.manifest, TREE.chunks)
EQUAL: Items = {"x": file(bytes(range(16)) * 3), "y": file(b"y"), "z/z": file(bytes(15 + 48))}
EQUAL_TREE = Thing(Model(EQUAL).manifest, Model(EQUAL).chunks)
SPOILED = {".shoal/partial/" + manifest.id_of(EQUAL_TREE.data)[3:] + "/tree/z/z": file(b"x" * 60)}
AFTER_FILE: Items = {"t": file(b"".join(SMALL.chunks))}
AFTER_LARGE: Items = {"t": file(b"".join(LARGE.chunks))}
AFTER_TREE = below("t", NEW)
OLD_FILE: Items = {"t": file(b"old")}
OLD_TREE = below("t", OLD)

CASES: dict[str, tuple[Thing, Items, Items, dict[str, Any]]] = {
    "a new file": (SMALL, {}, AFTER_FILE, {}),
    "a large file": (LARGE, {}, AFTER_LARGE, {}),
    "a file for a file": (SMALL, OLD_FILE, AFTER_FILE, {}),
    "a file for a tree": (SMALL, OLD_TREE, AFTER_FILE, {}),
    "a new tree": (A_TREE, {}, AFTER_TREE, {}),
    "a tree for a file": (A_TREE, OLD_FILE, AFTER_TREE, {}),
    "a tree for a tree": (A_TREE, OLD_TREE, AFTER_TREE, {}),
    "equal files": (EQUAL_TREE, {}, below("t", EQUAL), {}),
    "equal files, and an earlier try": (EQUAL_TREE, SPOILED, below("t", EQUAL), {}),
    "equal files in place": (EQUAL_TREE, {}, below("t", EQUAL), {"in_place": True}),
    "a new tree in place": (A_TREE, {}, AFTER_TREE, {"in_place": True}),
    "a tree for a tree in place": (A_TREE, OLD_TREE, AFTER_TREE, {"in_place": True}),
}


def is_right(now: Items, before: Items, after: Items, *, in_place: bool) -> bool:
    """Say whether what is there is the old or the new: all of it or, in place, each file."""
    if not in_place:
        return now in (before, after)
    files = {path: item for path, item in now.items() if item != FOLDER}
    are_whole = all(item in (before.get(path), after.get(path)) for path, item in files.items())
    return are_whole and all(path in now for path in before.keys() & after.keys())


@pytest.fixture
def disk(case: str, tmp_path: Path, other_disk: Path) -> Path:
    """Give room for a case. A RAM disk, which has no room made ahead, is quicker for trees."""
    return other_disk if CASES[case][0].manifest.is_tree else tmp_path


@pytest.mark.parametrize("number", ERRORS)
@pytest.mark.parametrize("case", CASES)
def test_whatever_fails_what_is_there_is_whole_and_the_next_try_ends(
    disk: Path, monkeypatch: pytest.MonkeyPatch, case: str, number: int
) -> None:
    failed = try_each_call(disk, monkeypatch, case, number)
    assert failed["renameat2"]
    assert failed["open"]


@pytest.mark.parametrize("case", CASES)
def test_the_same_where_names_cannot_be_exchanged(
    disk: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(libc, "renameat2", refuse)
    assert try_each_call(disk, monkeypatch, case, errno.EIO)["rename"] or case == "a large file"


def try_each_call(
    disk: Path, monkeypatch: pytest.MonkeyPatch, case: str, number: int
) -> collections.Counter[str]:
    """Return which calls failed, each once; assert that nothing was lost, and that all went on."""
    thing, left, after, to = CASES[case]
    before = {path: item for path, item in left.items() if not path.startswith(".shoal")}
    faults, failed = Faults(monkeypatch), collections.Counter[str]()
    for at in range(1, 1000):
        scene = Scene(disk / str(at), thing, left, **to)
        with faults.armed(at, number):
            try:
                scene.fetch()
            except OperatorError:
                assert faults.failed
        now = scene.there()
        assert is_right(now, before, after, in_place="in_place" in to), (at, faults.failed)
        if faults.failed is None:
            break
        failed[faults.failed] += 1
        if now != after or scene.rules.of("t").withheld:
            scene.fetch()
        assert (scene.there(), scene.rules.of("t").withheld) == (after, ""), (at, faults.failed)
    return failed


@pytest.mark.parametrize("number", ERRORS)
@pytest.mark.parametrize("before", [{}, {"out": file(b"old")}])
def test_the_same_of_what_goes_elsewhere(
    tmp_path: Path, other_disk: Path, monkeypatch: pytest.MonkeyPatch, before: Items, number: int
) -> None:
    faults = Faults(monkeypatch)
    after: Items = {"out": AFTER_FILE["t"]}
    for at in range(1, 200):
        folder = make(other_disk / str(at), before)
        output, spare = folder / "out", ANYTHING if before else NOTHING
        scene = Scene(tmp_path / str(at), SMALL, {}, output=output, spare=spare)
        with faults.armed(at, number):
            try:
                scene.fetch()
            except OperatorError:
                assert faults.failed
        assert seen(folder) in (before, after), (at, faults.failed)
        if faults.failed is None:
            break
        if seen(folder) != after:
            scene.fetch()
        assert seen(folder) == after
    assert at > 10


@pytest.mark.parametrize("number", ERRORS)
@pytest.mark.parametrize("before", [{}, OLD_FILE, OLD_TREE])
def test_the_same_of_what_is_copied_to_be_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: Items, number: int
) -> None:
    faults = Faults(monkeypatch)
    source = make(tmp_path / "source", NEW)

    def copy(folder: Path) -> None:
        copy_into(source, folder, "t", EVERYTHING, lambda _: None, is_forced=True)

    for at in range(1, 200):
        folder = make(tmp_path / str(at), {".shoal/x": file(), **before})
        with faults.armed(at, number), contextlib.suppress(OSError):
            copy(folder)
        assert things_in(folder) in (before, AFTER_TREE), (at, faults.failed)
        if faults.failed is None:
            break
        copy(folder)
        assert seen(folder / "t") == NEW
    assert at > 10
