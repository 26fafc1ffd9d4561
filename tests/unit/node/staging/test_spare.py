"""What may be replaced: that which was looked at, as long as it is the same."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgpack  # type: ignore[import-untyped]  # It ships no stubs.
import pytest
from blake3 import blake3
from shoal.node.files.placing import remove
from shoal.node.files.signature import Signature
from shoal.node.folder.source import FileSource
from shoal.node.staging.spare import ANYTHING, NOTHING, Seen, Spare

from tests.unit.node.sample_trees import FOLDER, TREE, Items, file, link, look, make, run


def as_seen(path: Path) -> Spare:
    if path.is_dir():
        return Spare.as_seen(look(path))
    return Spare.as_seen(FileSource(path, Signature.of(path.stat())))


def allows(spare: Spare, place: Path, path: str = "") -> bool:
    return spare.allows(path.encode(), os.fsencode(place / path if path else place))


def changed(path: Path) -> None:
    """Change a file's bytes, not its size."""
    status = path.stat()
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(1, status.st_mtime_ns + 1))  # Not in the same tick of the clock.


def gone(path: Path) -> Path:
    path.unlink()
    return path


def copied(path: Path) -> None:
    """Put a copy in place of a file, with its time."""
    copy = path.with_name("copy")
    shutil.copy2(path, copy)
    copy.rename(path)


CHANGES: dict[str, Callable[[Path], object]] = {
    "another file": lambda root: (root / "new").write_bytes(b""),
    "a file in a directory that was empty": lambda root: (root / "a/empty/x").write_bytes(b""),
    "another link": lambda root: (root / "new").symlink_to("b.txt"),
    "a link that leads elsewhere": lambda root: gone(root / "a/up").symlink_to("run.sh"),
    "a link in place of a file": lambda root: gone(root / "b.txt").symlink_to("a/run.sh"),
    "another empty directory": lambda root: (root / "d/new").mkdir(),
    "another file that has the bytes": lambda root: copied(root / "b.txt"),
    "other bytes": lambda root: changed(root / "d/e/f/data"),
    "another mode": lambda root: (root / "b.txt").chmod(0o755),
    "a FIFO": lambda root: os.mkfifo(root / "fifo"),
    "a directory in place of a file": lambda root: gone(root / "b.txt").mkdir(),
}


def test_nothing_or_anything(tmp_path: Path) -> None:
    make(tmp_path / "t", TREE)
    assert not allows(NOTHING, tmp_path / "t")
    assert allows(ANYTHING, tmp_path / "t")
    assert [spare.is_nothing for spare in (NOTHING, ANYTHING, as_seen(tmp_path / "t"))] == [
        True,
        False,
        False,
    ]


def test_a_tree_as_it_was_wherever_it_is_now(tmp_path: Path) -> None:
    spare = as_seen(make(tmp_path / "t", TREE))
    assert allows(spare, tmp_path / "t")
    (tmp_path / "t").rename(tmp_path / "out")
    assert allows(spare, tmp_path / "out")
    assert allows(spare, tmp_path / "out", "d/e")
    assert allows(spare, tmp_path / "out", "a/empty")
    assert not spare.allows(b"d/e/f", os.fsencode(tmp_path / "out/d/e"))
    assert allows(spare, tmp_path / "t")  # Where nothing is, nothing is lost.


@pytest.mark.parametrize("change", CHANGES)
def test_but_not_when_anything_in_it_has_changed(tmp_path: Path, change: str) -> None:
    spare = as_seen(make(tmp_path / "t", TREE))
    CHANGES[change](tmp_path / "t")
    assert not allows(spare, tmp_path / "t")


def test_what_has_gone_from_it_is_lost_already(tmp_path: Path) -> None:
    spare = as_seen(make(tmp_path / "t", TREE))
    for path in ("a/empty", "b.txt", "d/e/f/data"):
        remove(tmp_path / "t" / path)
        assert allows(spare, tmp_path / "t")


def test_what_cannot_be_looked_into_may_not_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spare = as_seen(make(tmp_path / "t", TREE))

    def refuse(path: bytes) -> list[bytes]:
        raise PermissionError(path)

    monkeypatch.setattr(os, "listdir", refuse)
    assert not allows(spare, tmp_path / "t")


@pytest.mark.parametrize("content", [b"", b"content"])
def test_a_file_as_it_was(tmp_path: Path, content: bytes) -> None:
    make(tmp_path, {"a": run(content), "other": run(content)})
    spare = as_seen(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "out")
    assert allows(spare, tmp_path / "out")
    assert not allows(spare, tmp_path / "other")
    make(tmp_path, {"empty": FOLDER, "full/x": run(content), "link": link("out")})
    assert not any(allows(spare, tmp_path / name) for name in ("empty", "full", "link"))
    (tmp_path / "out").chmod(0o644)
    assert not allows(spare, tmp_path / "out")


def test_what_is_beside_it_may_be_anything(tmp_path: Path) -> None:
    seen = Seen.of(look(make(tmp_path / "t", TREE)))
    make(tmp_path / "t", {"new/x": file(), "d/empty": FOLDER})
    place = os.fsencode(tmp_path / "t")
    assert seen.is_all_of(b"", place, beside={b"new/x", b"d/empty"})
    assert not seen.is_all_of(b"", place, beside={b"new/x"})
    assert not seen.is_all_of(b"", place, beside={b"d/empty"})


# Over an interruption.


@pytest.mark.parametrize(
    "items", [{"t": run(b"a file")}, {f"t/{path}": TREE[path] for path in TREE}]
)
def test_is_remembered(tmp_path: Path, items: Items) -> None:
    make(tmp_path, items)
    for _ in range(2):  # The second is written over the first.
        seen = as_seen(tmp_path / "t").seen
        assert seen is not None
        seen.save(tmp_path / "replaces")
        loaded = Spare(Seen.load(tmp_path / "replaces"))
        assert allows(loaded, tmp_path / "t")
        some = tmp_path / "t" if (tmp_path / "t").is_file() else tmp_path / "t/b.txt"
        changed(some)
        assert not allows(loaded, tmp_path / "t")


def test_what_is_not_whole_allows_nothing(tmp_path: Path) -> None:
    path = tmp_path / "replaces"
    assert Seen.load(path) is None
    seen = as_seen(make(tmp_path / "t", TREE)).seen
    assert seen is not None
    seen.save(path)
    data = path.read_bytes()
    for broken in (b"", data[:-1], data[:20], bytes([data[0] ^ 1]) + data[1:], data + b"x"):
        path.write_bytes(broken)
        assert Seen.load(path) is None
    path.unlink()
    path.mkdir()
    assert Seen.load(path) is None


@pytest.mark.parametrize(
    "document",
    [
        [],
        [b"no listing", b"\0", bytes(8), bytes(8), bytes(8)],
        [b"", b"\0", bytes(8), bytes(16), bytes(8)],
        [b"", b"\0", bytes(7), bytes(8), bytes(8)],
        [b"", b"", b"", b"", b""],
        [b"", b"\0", bytes(8), bytes(8), bytes(8), 1],
    ],
)
def test_what_only_has_the_right_checksum_allows_nothing(
    tmp_path: Path, document: list[object]
) -> None:
    """Anybody who may write to `.shoal` can make that."""
    data = msgpack.packb(document)
    (tmp_path / "replaces").write_bytes(blake3(data).digest() + data)
    assert Seen.load(tmp_path / "replaces") is None


def test_is_not_written_through_a_link(tmp_path: Path) -> None:
    make(tmp_path, {"victim": file(b"mine"), "a": file()})
    seen = as_seen(tmp_path / "a").seen
    assert seen is not None
    for put in (Path.symlink_to, Path.hardlink_to):
        put(tmp_path / "replaces", tmp_path / "victim")
        seen.save(tmp_path / "replaces")
        assert Seen.load(tmp_path / "replaces") is not None
        (tmp_path / "replaces").unlink()
    assert (tmp_path / "victim").read_bytes() == b"mine"
