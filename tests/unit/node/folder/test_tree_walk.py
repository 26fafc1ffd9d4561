"""What of a directory can be shared: links that are followed or not, and what cannot be read."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shoal.node.files.unreadable import Unreadable
from shoal.node.folder.tree import Tree, look_through
from shoal.node.trees.left_out import LEADS_OUT
from shoal.node.trees.selection import EVERYTHING, Selection
from shoal.protocol import listing, manifest

from tests.unit.node.sample_trees import FOLDER, Items, file, link, make, run
from tests.unit.node.users import needs_root, somebody_else

FOLLOWING = Selection(follow_links=True)
LOOP = "it leads back to a directory above it"


def looked(root: Path, selection: Selection = FOLLOWING) -> Tree:
    return look_through(root, selection, lambda _, __: None, lambda: False)


def items_of(tree: Tree) -> Items:
    """Return what a tree has, with the bytes that can be read of it."""
    rest = tree.read(tree.listing_bytes, tree.size_bytes - tree.listing_bytes)
    found = {}
    for path, kind, size_bytes, target in tree.entries():
        found[path] = kind, rest[:size_bytes] or target.encode()
        rest = rest[size_bytes:]
    return found


# Links that are followed.


def test_a_directory_of_links_becomes_what_they_lead_to(tmp_path: Path) -> None:
    """As in the cache of Hugging Face: a snapshot has nothing but links to blobs."""
    make(tmp_path / "blobs", {"1": file(b"one"), "2": run(b"two"), "d/x": file(b"x")})
    links = {"a": link("../blobs/1"), "b/c": link("../../blobs/2"), "d": link("../blobs/d")}
    root = make(tmp_path / "snapshot", {**links, "e": link("a")})
    assert looked(root, EVERYTHING).left_out.count == 3
    assert list(items_of(looked(root, EVERYTHING))) == ["b", "e"]
    expected = {"a": file(b"one"), "b/c": run(b"two"), "d/x": file(b"x"), "e": file(b"one")}
    tree = looked(root)
    assert (items_of(tree), tree.left_out.count) == (expected, 0)
    made = make(tmp_path / "copy", expected)
    assert looked(made, EVERYTHING).listing_data == tree.listing_data


def test_what_a_link_leads_to_may_change(tmp_path: Path) -> None:
    make(tmp_path, {"out": file(b"1"), "t/a": link("../out")})
    before = looked(tmp_path / "t").signature
    (tmp_path / "out").write_bytes(b"22")
    assert looked(tmp_path / "t").signature != before


def test_circles_end(tmp_path: Path) -> None:
    ways = {"a/b/up": link("../.."), "a/self": link("."), "a/b/x": file(b"x"), "c": link("a/b")}
    tree = looked(make(tmp_path, ways))
    assert list(items_of(tree)) == ["a/b/x", "c/x"]
    assert dict(tree.left_out.named) == {"a/self": LOOP, "a/b/up": LOOP, "c/up": LOOP}


def test_two_directories_with_links_to_each_other_end_too(tmp_path: Path) -> None:
    tree = looked(make(tmp_path / "t", {"a/to": link("../b"), "b/to": link("../a")}))
    assert items_of(tree) == {"a/to": FOLDER, "b/to": FOLDER}
    assert dict(tree.left_out.named) == {"a/to/to": LOOP, "b/to/to": LOOP}


def test_many_ways_to_few_directories_are_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = "abcdef"
    pairs = {f"{one}/{two}": link(f"../{two}") for one in names for two in names if one != two}
    monkeypatch.setattr(listing, "MAX_ENTRIES", 500)
    with pytest.raises(ValueError, match="more than 500 entries"):
        looked(make(tmp_path, pairs))
    monkeypatch.setattr(listing, "MAX_ENTRIES", 50_000)
    monkeypatch.setattr(manifest, "MAX_LISTING_BYTES", 5000)
    with pytest.raises(ValueError, match="more than 5000 bytes"):
        looked(tmp_path)


def test_what_cannot_be_followed_is_left_out(tmp_path: Path) -> None:
    items = {"dangling": link("nothing"), "one": link("two"), "two": link("one"), "x": file(b"x")}
    make(tmp_path, {**items, "null": link("/dev/null")})
    tree = looked(tmp_path)
    assert list(items_of(tree)) == ["x"]
    assert dict(tree.left_out.named) == {
        "dangling": "it is a link that leads nowhere",
        "null": "it is a link to neither a file nor a directory",
        "one": "it cannot be read: Too many levels of symbolic links",
        "two": "it cannot be read: Too many levels of symbolic links",
    }
    chosen = looked(tmp_path, Selection(include=("x",), follow_links=True))
    assert (list(items_of(chosen)), chosen.left_out.count) == (["x"], 0)


@needs_root
def test_links_of_strangers_are_only_followed_to_what_is_theirs(tmp_path: Path) -> None:
    make(tmp_path, {"secret/key": file(b"k"), "theirs/x": file(b"x"), "t/ours": link("../secret")})
    (tmp_path / "secret/key").chmod(0o600)
    for name, target in (("file", "../secret/key"), ("all", "../secret"), ("own", "../theirs")):
        (tmp_path / "t" / name).symlink_to(target)
        os.chown(tmp_path / "t" / name, 12345, -1, follow_symlinks=False)
    os.chown(tmp_path / "theirs", 12345, -1)
    tree = looked(tmp_path / "t")
    assert list(items_of(tree)) == ["ours/key", "own/x"]
    assert [path for path, _ in tree.left_out.named] == ["all", "file"]
    assert all("a link that user 12345 made" in reason for _, reason in tree.left_out.named)


# Links that are not.


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("./x", "x"),
        ("x/", "x"),
        ("d//x", "d/x"),
        (".", "."),
        ("d/../x", "x"),
        ("to/../x", None),  # That is out/../x.
        ("nowhere/../x", None),
        ("x/../x", None),
        ("../t/x", None),
    ],
)
def test_harmless_targets_arrive_in_a_plain_spelling(
    tmp_path: Path, target: str, expected: str | None
) -> None:
    root = make(tmp_path / "t", {"x": file(), "d/x": file(), "to": link("d"), "l": link(target)})
    (root / "to").unlink()
    (root / "to").symlink_to(make(tmp_path / "out", {}))
    tree = looked(root, EVERYTHING)
    assert items_of(tree).get("l") == (None if expected is None else link(expected))
    assert dict(tree.left_out.named).get("l") == (LEADS_OUT if expected is None else None)


TARGETS = st.lists(st.sampled_from(["..", ".", "", "a", "b", "x"]), min_size=1, max_size=6)


@given(st.sampled_from(["l", "a/l", "a/b/l"]), TARGETS.map("/".join))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_spelling_leads_to_the_same_place(tmp_path: Path, path: str, target: str) -> None:
    root = tmp_path / "t"
    if not root.exists():
        make(root, {"a/b/x": file(b"1"), "a/x": file(b"2"), "b/x": file(b"3"), "x": file(b"4")})
    if not target or target.startswith("/"):
        return
    place = root / path
    place.symlink_to(target)
    try:
        before = os.path.realpath(place)
        kept = items_of(looked(root, EVERYTHING)).get(path)
        place.unlink()
        if kept is not None:
            place.symlink_to(kept[1].decode())
            if os.path.exists(before):  # noqa: PTH110 (realpath gives text)
                assert os.path.realpath(place) == before
    finally:
        place.unlink(missing_ok=True)


# What cannot be read.


@contextlib.contextmanager
def somebody_else_in(monkeypatch: pytest.MonkeyPatch, root: Path) -> Iterator[None]:
    monkeypatch.chdir(root)
    root.chmod(0o755)
    with somebody_else():
        yield


@needs_root
def test_what_is_empty_for_whoever_looks_arrives_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, {"a/b/secret": file(), "c/locked/x": file(), "d/l": link("/etc"), "e": FOLDER})
    (tmp_path / "a/b/secret").chmod(0)
    (tmp_path / "c/locked").chmod(0)
    with somebody_else_in(monkeypatch, tmp_path):
        tree = looked(Path(), EVERYTHING)
        assert items_of(tree) == {"a/b": FOLDER, "c": FOLDER, "d": FOLDER, "e": FOLDER}
    assert [path for path, _ in tree.left_out.named] == ["a/b/secret", "c/locked", "d/l"]


@needs_root
def test_what_becomes_readable_is_taken_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, {"a": file(b"a"), "b": file(b"b")})
    (tmp_path / "b").chmod(0o600)
    with somebody_else_in(monkeypatch, tmp_path):
        assert items_of(looked(Path(), EVERYTHING)) == {"a": file(b"a")}
    (tmp_path / "b").chmod(0o644)
    with somebody_else_in(monkeypatch, tmp_path):
        assert items_of(looked(Path(), EVERYTHING)) == {"a": file(b"a"), "b": file(b"b")}


def test_what_could_not_be_read_before_is_left_out(tmp_path: Path) -> None:
    make(tmp_path, {"a/x": file(b"x"), "b": file(b"b")})
    unreadable = Unreadable()
    unreadable.note(f"{tmp_path}/a/x", OSError(5, "Input/output error"))
    told: dict[str, str] = {}
    tree = look_through(tmp_path, EVERYTHING, told.__setitem__, lambda: False, unreadable)
    assert items_of(tree) == {"a": FOLDER, "b": file(b"b")}
    assert told == {"a/x": "it cannot be read: Input/output error"}
    assert looked(tmp_path, EVERYTHING).without("a/x", "why").signature == tree.signature


def test_a_file_may_have_any_time(tmp_path: Path) -> None:
    make(tmp_path, {"a": file(b"a"), "far": file(b"far"), "z": file(b"z")})
    os.utime(tmp_path / "far", (0, 10**10))  # The year 2286.
    if (tmp_path / "far").stat().st_mtime_ns < 2**63:
        pytest.skip("this disk keeps no such time")
    tree = looked(tmp_path, EVERYTHING)
    assert items_of(tree) == {"a": file(b"a"), "far": file(b"far"), "z": file(b"z")}
    assert not tree.left_out.named
