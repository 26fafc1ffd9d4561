"""What is copied into a folder is there whole or not at all; and when two things are the same."""

import functools
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from shoal.node.files.placing import remove
from shoal.node.files.unreadable import CannotReadError
from shoal.node.folder import leftovers
from shoal.node.orders.copying import copy_into, same
from shoal.node.trees.selection import EVERYTHING, Selection
from shoal.protocol.control import Omission
from shoal.protocol.errors import OperatorError, StoppedError

from tests.unit.node.disks import refuse_to_sync
from tests.unit.node.sample_trees import (
    FOLDER,
    ITEMS,
    TREE,
    Item,
    Items,
    file,
    link,
    make,
    open_descriptors,
    run,
    seen,
)

MIB = 1 << 20
alike = functools.partial(same, check=lambda: None)
Change = Callable[[Path], object]


@pytest.fixture(autouse=True)
def _nothing_is_left_aside(tmp_path: Path) -> Iterator[None]:
    (tmp_path / "folder/.shoal").mkdir(parents=True)
    before = open_descriptors()
    yield
    assert open_descriptors() == before
    if (tmp_path / "folder/.shoal").exists():
        assert list((tmp_path / "folder/.shoal").iterdir()) == []


class Counter:
    """Counts what is copied, in whatever threads."""

    def __init__(
        self, fails_after: int | None = None, on_first: Callable[[], object] = lambda: None
    ) -> None:
        self.count = 0
        self._on_first = on_first
        self._fails_after = fails_after
        self._lock = threading.Lock()

    def __call__(self, size_bytes: int) -> None:
        with self._lock:
            if not self.count:
                self._on_first()
            self.count += size_bytes
            if self._fails_after is not None and self.count > self._fails_after:
                raise RuntimeError("interrupted")


def copy(path: Path, selection: Selection = EVERYTHING, counter: Counter | None = None) -> Path:
    """Copy `path` to `it` in the folder beside it or above; return where that is."""
    folder = next(above / "folder" for above in path.parents if (above / "folder").exists())
    copy_into(path, folder, "it", selection, counter or Counter(), is_forced=True)
    return folder / "it"


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB + 5])
@pytest.mark.parametrize("mode", [0o644, 0o755, 0o600, 0o777])
def test_copies_a_file_and_counts_its_bytes_once(tmp_path: Path, size: int, mode: int) -> None:
    path, counter = tmp_path / "a", Counter()
    path.write_bytes(os.urandom(size))
    path.chmod(mode)
    there = copy(path, counter=counter)
    assert there.read_bytes() == path.read_bytes()
    assert there.stat().st_mode & 0o777 == (0o755 if mode & 0o100 else 0o644)
    assert counter.count == size


def test_copies_to_another_disk_too(tmp_path: Path, other_disk: Path) -> None:
    data = os.urandom(3 * MIB + 5)
    make(other_disk / "t", {"large": file(data), "small": run(b"x"), "up": link("large")})
    counter = Counter()
    copy_into(other_disk / "t", tmp_path / "folder", "it", EVERYTHING, counter)
    assert seen(tmp_path / "folder/it") == seen(other_disk / "t")
    assert counter.count == len(data) + 1


@given(ITEMS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_copies_any_tree(tmp_path: Path, items: Items) -> None:
    remove(tmp_path / "t")
    counter = Counter()
    assert seen(copy(make(tmp_path / "t", items), counter=counter)) == items
    assert counter.count == sum(len(content) for kind, content in items.values() if kind in "fx")


def test_copies_many_files(tmp_path: Path) -> None:
    items = {f"{number % 7}/{number}": file(b"%d" % number) for number in range(1500)}
    assert seen(copy(make(tmp_path / "t", items))) == items


@pytest.mark.parametrize(
    "selection", [Selection(include=("a/", "*.txt")), Selection(exclude=("c", "d/"))]
)
def test_copies_what_is_selected(tmp_path: Path, selection: Selection) -> None:
    there = copy(make(tmp_path / "t", TREE), selection)
    assert seen(there) == {path: item for path, item in TREE.items() if selection.chooses(path)}


def test_copies_what_can_be_shared(tmp_path: Path) -> None:
    make(tmp_path / "t", {**TREE, "bad\nname": file(), "out": link("../secret")})
    os.mkfifo(tmp_path / "t/fifo")
    assert seen(copy(tmp_path / "t")) == TREE


def test_copies_where_a_link_leads_if_it_is_named(tmp_path: Path) -> None:
    make(tmp_path, {"t/a": file(b"a"), "to t": link("t"), "to a": link("t/a")})
    assert seen(copy(tmp_path / "to t")) == {"a": file(b"a")}
    there = copy(tmp_path / "to a")
    assert (there.is_symlink(), there.read_bytes()) == (False, b"a")


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o000, 0o177])
def test_modes_follow_the_umask_but_for_what_the_owner_may(tmp_path: Path, umask: int) -> None:
    make(tmp_path / "t", {"plain": file(b"x"), "run": run(b"x")})
    was = os.umask(umask & 0o77)
    try:
        there = copy(tmp_path / "t")
        os.umask(umask)
        one = tmp_path / "folder/one"
        copy_into(tmp_path / "t/run", tmp_path / "folder", "one", EVERYTHING, Counter())
    finally:
        os.umask(was)
    most = 0o777 & ~(umask & 0o077)
    modes = [path.stat().st_mode & 0o777 for path in (there / "plain", there / "run", there)]
    assert modes == [0o644 & most, 0o755 & most, 0o777 & most]
    assert one.stat().st_mode & 0o777 == 0o755 & most


def test_nothing_is_too_deep(deep_path: Path) -> None:
    deep = "/".join(["d"] * 500)
    items: Items = {f"{deep}/x": file(b"deep"), f"{deep}/e": FOLDER, f"{deep}/l": link("x")}
    (deep_path / "folder/.shoal").mkdir(parents=True)
    make(deep_path / "t", items)
    assert seen(copy(deep_path / "t")) == items
    assert alike(deep_path / "t", deep_path / "folder/it", EVERYTHING)
    remove(deep_path / "folder/it")
    assert seen(deep_path / "folder") == {".shoal": FOLDER}


# Whole, or not at all.

NOTHING: Items = {".shoal": FOLDER}
OLD: Items = {"it/old": file(b"old")}


@pytest.mark.parametrize("fails_after", [0, 5, 50, 2 * MIB])
def test_when_it_is_interrupted_the_old_one_stays(tmp_path: Path, fails_after: int) -> None:
    make(tmp_path / "t", {**TREE, "large": file(bytes(3 * MIB))})
    make(tmp_path / "folder", OLD)
    with pytest.raises(RuntimeError, match="interrupted"):
        copy(tmp_path / "t", counter=Counter(fails_after))
    with pytest.raises(RuntimeError, match="interrupted"):
        copy(tmp_path / "t/large", counter=Counter(fails_after))
    assert seen(tmp_path / "folder") == {**NOTHING, **OLD}


@pytest.mark.parametrize("kind", [OSError, BrokenPipeError])
def test_a_failure_of_who_counts_is_not_passed_over(tmp_path: Path, kind: type[OSError]) -> None:
    make(tmp_path, {"large": file(bytes(3 * MIB))})
    failures = [kind("cannot tell")]

    def count(_: int) -> None:
        if failures:
            raise failures.pop()

    with pytest.raises(kind, match="cannot tell"):
        copy_into(tmp_path / "large", tmp_path / "folder", "it", EVERYTHING, count)
    assert seen(tmp_path / "folder") == NOTHING


def test_what_a_killed_process_of_this_number_left_is_no_obstacle(tmp_path: Path) -> None:
    """In a container they all have the same."""
    make(tmp_path / "t", TREE)
    aside = leftovers.incoming(tmp_path / "folder")
    for left in ({"it/half": file()}, {"it": file(b"half")}):
        make(aside.parent, {path.replace("it", aside.name): item for path, item in left.items()})
        assert seen(copy(tmp_path / "t")) == TREE
        make(aside.parent, {path.replace("it", aside.name): item for path, item in left.items()})
        assert copy(tmp_path / "t/b.txt").read_bytes() == TREE["b.txt"][1]


@pytest.mark.parametrize("before", [{}, {"it": file(b"old")}, OLD])
@pytest.mark.parametrize("what", ["t", "t/b.txt"])
def test_takes_the_place_of_what_is_there(tmp_path: Path, before: Items, what: str) -> None:
    make(tmp_path / "t", TREE)
    make(tmp_path / "folder", before)
    there = copy(tmp_path / what)
    assert alike(tmp_path / what, there, EVERYTHING)
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == [".shoal", "it"]


def test_what_is_not_durable_gets_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "t", TREE)
    make(tmp_path / "folder", OLD)
    refuse_to_sync(monkeypatch)
    with pytest.raises(OSError, match="Input/output"):
        copy(tmp_path / "t")
    assert seen(tmp_path / "folder") == {**NOTHING, **OLD}


def test_does_not_take_the_place_of_what_is_neither(tmp_path: Path) -> None:
    make(tmp_path / "t", TREE)
    os.mkfifo(tmp_path / "folder/it")
    with pytest.raises(OperatorError, match="neither a file nor a directory"):
        copy(tmp_path / "t")
    assert (tmp_path / "folder/it").is_fifo()


def test_what_cannot_be_read_or_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        copy(tmp_path / "nothing")
    make(tmp_path / "t", {"a": file(b"a" * 100), "b/c": file()})
    (tmp_path / "folder/.shoal").rmdir()
    for path in ("t", "t/a"):
        with pytest.raises(FileNotFoundError):
            copy(tmp_path / path)
    assert seen(tmp_path / "folder") == {}


def test_a_file_that_becomes_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match=r"Illegal seek|not a file"):
        copy(tmp_path / "fifo")
    assert seen(tmp_path / "folder") == NOTHING


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else for a moment")
def test_what_cannot_be_read_of_a_directory_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "t", {"a/secret": file(b"s"), "b": file(b"b"), "c": file(b"c")})
    for path in (tmp_path, tmp_path / "folder", tmp_path / "folder/.shoal"):
        path.chmod(0o777)
    (tmp_path / "t/a/secret").chmod(0)
    os.chown(tmp_path / "t/c", 65534, -1)
    monkeypatch.chdir(tmp_path)
    counter = Counter(on_first=lambda: Path("t/c").chmod(0))
    os.seteuid(65534)
    try:
        left_out = copy_into(Path("t"), Path("folder"), "it", EVERYTHING, counter)
        with pytest.raises(CannotReadError, match="Permission denied"):
            copy_into(Path("t/c"), Path("folder"), "c", EVERYTHING, Counter())
    finally:
        os.seteuid(0)
    assert seen(tmp_path / "folder/it") == {"a": FOLDER, "b": file(b"b")}
    assert left_out.told() == (
        Omission("a/secret", "it cannot be read: Permission denied"),
        Omission("c", "it cannot be read: Permission denied"),
    )


def test_what_has_too_long_a_path_there_is_left_out(deep_path: Path) -> None:
    deep = "/".join(["d" * 200] * 19)
    items = {f"{deep}/x": file(b"x"), f"{deep}/l": link("x"), f"{deep}/e": FOLDER, "y": file(b"y")}
    folder = deep_path / "/".join(["f" * 200] * 2)
    (folder / ".shoal").mkdir(parents=True)
    make(deep_path / "t", items)
    left_out = copy_into(deep_path / "t", folder, "it", EVERYTHING, Counter())
    assert (folder / "it/y").read_bytes() == b"y"
    assert sorted(path for path, _ in left_out.named) == sorted(set(items) - {"y"})
    assert {reason for _, reason in left_out.named} == {
        "its path is too long for the node's folder"
    }


def test_links_may_be_followed(tmp_path: Path) -> None:
    make(tmp_path, {"out/x": file(b"x"), "t/d": link("../out"), "t/f": link("d/x")})
    copy(tmp_path / "t", Selection(follow_links=True))
    assert seen(tmp_path / "folder/it") == {"d/x": file(b"x"), "f": file(b"x")}
    assert alike(tmp_path / "t", tmp_path / "folder/it", Selection(follow_links=True))


# What is the same.


@pytest.mark.parametrize("size", [0, 1, MIB, MIB + 1, 2 * MIB])
def test_files_are_the_same_if_their_bytes_are(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    make(tmp_path, {"a": file(data), "b": file(data), "longer": file(data + b"x")})
    assert alike(tmp_path / "a", tmp_path / "b", EVERYTHING)
    assert not alike(tmp_path / "a", tmp_path / "longer", EVERYTHING)
    if size:
        make(tmp_path, {"other": file(data[:-1] + bytes([data[-1] ^ 1]))})
        assert not alike(tmp_path / "a", tmp_path / "other", EVERYTHING)


def test_and_if_both_may_be_run_or_none(tmp_path: Path) -> None:
    """Shared, they have two ids."""
    make(tmp_path, {"a": file(b"x"), "b": run(b"x"), "c": run(b"x")})
    assert not alike(tmp_path / "a", tmp_path / "b", EVERYTHING)
    assert alike(tmp_path / "b", tmp_path / "c", EVERYTHING)
    (tmp_path / "c").chmod(0o700)
    assert alike(tmp_path / "b", tmp_path / "c", EVERYTHING)


def test_a_file_and_a_directory_are_not_the_same(tmp_path: Path) -> None:
    make(tmp_path, {"a": file(), "d/a": file()})
    assert not alike(tmp_path / "a", tmp_path / "d", EVERYTHING)
    assert not alike(tmp_path / "d", tmp_path / "a", EVERYTHING)


def replace(path: Path, make_one: Change) -> None:
    path.unlink()
    make_one(path)


DIFFERENCES: dict[str, Change] = {
    "bytes": lambda root: (root / "b.txt").write_bytes(bytes(100)),
    "a size": lambda root: os.truncate(root / "b.txt", 99),
    "a mode": lambda root: (root / "b.txt").chmod(0o755),
    "a name": lambda root: (root / "b.txt").rename(root / "c.txt"),
    "one less": lambda root: (root / "c/none").unlink(),
    "one more": lambda root: (root / "c/more").touch(),
    "an empty directory": lambda root: (root / "a/empty").rmdir(),
    "a target": lambda root: replace(root / "a/up", lambda at: at.symlink_to("../c")),
    "a link for a file": lambda root: replace(root / "b.txt", lambda at: at.symlink_to("c")),
}
NO_DIFFERENCES: dict[str, Change] = {
    "nothing": Path.exists,
    "a time": lambda root: os.utime(root / "b.txt"),
    "what others may": lambda root: (root / "b.txt").chmod(0o666),
    "what cannot be shared": lambda root: os.mkfifo(root / "fifo"),
}


@pytest.mark.parametrize("what", [*DIFFERENCES, *NO_DIFFERENCES])
def test_directories_are_the_same_if_what_is_shared_of_them_is(tmp_path: Path, what: str) -> None:
    one, two = make(tmp_path / "one", TREE), make(tmp_path / "two", TREE)
    (DIFFERENCES | NO_DIFFERENCES)[what](two)
    assert alike(one, two, EVERYTHING) == alike(two, one, EVERYTHING) == (what in NO_DIFFERENCES)


def test_what_is_not_selected_makes_no_difference(tmp_path: Path) -> None:
    one = make(tmp_path / "one", TREE)
    two = make(tmp_path / "two", {**TREE, "b.txt": file(b"another"), "x/y": FOLDER})
    assert not alike(one, two, EVERYTHING)
    assert alike(one, two, Selection(exclude=("b.txt", "x")))
    assert not alike(one, two, Selection(include=("b.txt",)))


@pytest.mark.parametrize("before", [file(b"mine"), None])
def test_what_appears_meanwhile_is_not_replaced(tmp_path: Path, before: Item | None) -> None:
    """A file, or a directory with something in it."""
    mine: Items = {"it": before} if before else {"it/x": file(b"mine")}
    folder = tmp_path / "folder"

    def appear(_: int) -> None:
        if not (folder / "it").exists():
            make(folder, mine)

    for path in (make(tmp_path / "t", TREE), tmp_path / "t/b.txt"):
        with pytest.raises(OperatorError, match="a different it that appeared while it was copied"):
            copy_into(path, folder, "it", EVERYTHING, appear)
        assert seen(folder) == {".shoal": FOLDER, **mine}


def test_comparing_can_be_stopped(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"x")

    def check() -> None:
        raise StoppedError("stopped")

    with pytest.raises(StoppedError):
        same(tmp_path / "a", tmp_path / "b", EVERYTHING, check)
