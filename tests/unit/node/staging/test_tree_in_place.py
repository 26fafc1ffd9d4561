"""Files of a tree that appear one by one: each whole, and nowhere but where they belong."""

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from shoal.node.staging.staged_tree import StagedTree
from shoal.node.staging.tree_in_place import TreeInPlace
from shoal.node.trees.selection import EVERYTHING, Selection
from shoal.protocol import bitmap
from shoal.protocol.errors import OperatorError
from shoal.protocol.listing import decode

from tests.unit.node.sample_trees import (
    FOLDER,
    ITEMS,
    TREE,
    Item,
    Items,
    Model,
    file,
    files_in_order,
    link,
    look,
    make,
    open_descriptors,
    run,
    seen,
)
from tests.unit.node.staging.test_staged_tree import MODEL, Others, appearing_in, begun, fill

EXTRA: Items = {"extra": file(b"e"), "d/extra": file(), "x/y/z": run(), "l": link("b.txt")}


def arriving(
    folder: Path,
    model: Model = MODEL,
    selection: Selection = EVERYTHING,
    others: Others = "go",
) -> tuple[StagedTree, set[int]]:
    return begun(folder, model, selection, appearing_in(folder, others))


def arrived(
    folder: Path,
    model: Model = MODEL,
    selection: Selection = EVERYTHING,
    others: Others = "go",
) -> dict[str, Item]:
    """Go on from whatever is there to the end; nothing may be left aside."""
    staging, have = arriving(folder, model, selection, others)
    fill(staging, set(bitmap.indices(staging.needed)) - have, model)
    tree = staging.publish(folder, "t")
    staging.close()
    assert list((folder / ".shoal/partial").iterdir()) == []
    assert tree.signature == look(folder / "t").signature
    return seen(folder / "t")


def whole_files(model: Model, have: set[int]) -> set[str]:
    """Return the files that are whole, and have bytes."""
    contents = {path: model.items[path][1] for path in files_in_order(model.items)}
    return {
        path
        for path, content in contents.items()
        if content and {model.chunk_of(path, at) for at in range(len(content))} <= have
    }


@given(items=ITEMS, chunk_bytes=st.integers(1, 40), rng=st.randoms(use_true_random=False))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_each_file_appears_as_soon_as_it_is_whole(
    tmp_path: Path, items: Items, chunk_bytes: int, rng: Random
) -> None:
    shutil.rmtree(tmp_path)
    model = Model(items, chunk_bytes)
    staging, have = arriving(tmp_path, model)
    chunks = sorted(set(range(model.manifest.chunk_count)) - have)
    rng.shuffle(chunks)
    for index in chunks:
        staging.write(index, model.chunks[index])
        have.add(index)
        there = seen(tmp_path / "t") if (tmp_path / "t").exists() else {}
        assert there == {path: items[path] for path in whole_files(model, have)}
        assert all(staging.read(one) == model.chunks[one] for one in have)
    staging.publish(tmp_path, "t")
    assert seen(tmp_path / "t") == items


@pytest.mark.parametrize("items", [{}, {"a/b": FOLDER}, {"a": file()}, {"a/l": link("x")}])
def test_a_tree_without_bytes_appears_too(tmp_path: Path, items: Items) -> None:
    assert arrived(tmp_path, Model(items)) == items
    make(tmp_path / "t", {"more": file()})
    assert arrived(tmp_path, Model(items)) == items


# What was there before.

BEFORE: dict[str, Callable[[bytes], Item | None]] = {
    "nothing": lambda _: None,
    "right": file,
    "right, but may be run": run,
    "wrong": lambda right: file(bytes(len(right))),
    "wrong at its end": lambda right: file(right[:-1] + b"!"),
    "longer": lambda right: file(right + b"!"),
    "shorter": lambda right: file(right[:-1]),
    "a directory": lambda _: FOLDER,
    "a link": lambda _: link("nowhere"),
}
PATHS = ("a", "b/c", "b/d", "e")
FOUR: Items = {path: file(path.encode() * 9) for path in PATHS}  # 9 and 27 bytes.


@given(
    there=st.tuples(*[st.sampled_from([*BEFORE])] * 4),
    staged=st.sets(st.integers(0, 99)),
    chunk_bytes=st.integers(3, 40),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_makes_the_best_of_what_is_there(
    tmp_path: Path, there: tuple[str, ...], staged: set[int], chunk_bytes: int
) -> None:
    """Faults 95 and 101, with chunks that files share."""
    shutil.rmtree(tmp_path)
    model = Model(FOUR, chunk_bytes)
    staging, have = begun(tmp_path, model)
    fill(staging, set(range(model.manifest.chunk_count)) & staged - have, model)
    old = {path: BEFORE[how](FOUR[path][1]) for path, how in zip(PATHS, there, strict=True)}
    before = {path: item for path, item in old.items() if item is not None}
    make(tmp_path / "t", before)

    staging, have = arriving(tmp_path, model)
    assert all(staging.read(index) == model.chunks[index] for index in have)
    files_in = [staging._plan.files_in([index]) for index in range(len(model.chunks))]
    wrong = {file for file, how in enumerate(there) if not how.startswith("right")}
    suspect = {file for files in files_in if files & wrong for file in files}
    for index in set(range(len(model.chunks))) - have:
        assert files_in[index] & suspect  # Else it would not have to come again.
    now = seen(tmp_path / "t") if (tmp_path / "t").exists() else {}
    assert all(now[path] in (before[path], FOUR[path]) for path in before)
    assert arrived(tmp_path, model) == FOUR


def test_what_is_right_is_not_touched(tmp_path: Path) -> None:
    arrived(tmp_path)
    (tmp_path / "t/b.txt").chmod(0o600)
    staging, have = arriving(tmp_path)
    assert have == set(range(len(MODEL.chunks)))
    staging.close()
    status = (tmp_path / "t/b.txt").stat()
    make(tmp_path / "t/extra", {})
    tree = arriving(tmp_path)[0].publish(tmp_path, "t")
    after = (tmp_path / "t/b.txt").stat()
    assert (after.st_ino, after.st_mode) == (status.st_ino, status.st_mode)
    assert tree.read(0, tree.size_bytes) == MODEL.bytes
    assert not (tmp_path / "t/extra").exists()


def test_a_file_with_wrong_bytes_stays_until_the_right_one_is_whole(tmp_path: Path) -> None:
    make(tmp_path / "t", {"b.txt": file(b"x" * 100)})
    staging, have = arriving(tmp_path)
    chunks = sorted({MODEL.chunk_of("b.txt", at) for at in range(100)} - have)
    for index in chunks:
        assert seen(tmp_path / "t")["b.txt"] == file(b"x" * 100)
        staging.write(index, MODEL.chunks[index])
        assert staging.read(index) == MODEL.chunks[index]
    assert seen(tmp_path / "t")["b.txt"] == TREE["b.txt"]


def test_a_good_file_that_shares_a_chunk_with_a_bad_one_is_good(tmp_path: Path) -> None:
    """It stays, while the chunk comes again for the other's sake."""
    model = Model({"a": file(b"aaaa"), "b": file(b"bbbb"), "c": file(b"cccc")}, 6)
    first = model.manifest.listing_chunks
    make(tmp_path / "t", {"a": file(b"aaaa"), "b": file(b"bb??"), "c": file(b"cccc")})
    staging, have = arriving(tmp_path, model)  # The chunks are aaaabb and bbcccc.
    assert have == set(range(first))
    fill(staging, [first + 1], model)
    assert staging.read(first + 1) == b"bbcccc"
    fill(staging, [first], model)
    staging.publish(tmp_path, "t")
    assert seen(tmp_path / "t") == model.items


def test_a_kill_while_it_is_completed_is_no_obstacle(tmp_path: Path) -> None:
    """Then links and empty directories stand there already."""
    staging, have = arriving(tmp_path)
    fill(staging, set(range(len(MODEL.chunks))) - have)._complete()
    assert arrived(tmp_path) == TREE
    (tmp_path / "t/a/up").unlink()
    (tmp_path / "t/a/up").symlink_to("elsewhere")
    assert arrived(tmp_path) == TREE


# What stands in the way.

IN_THE_WAY: dict[str, Items] = {
    "a link for a file": {"b.txt": link("../../out/a")},
    "a dangling link for a file": {"b.txt": link("nowhere")},
    "a directory for a file": {"b.txt/x/y": file(), "c/none/z": FOLDER},
    "a file for a link": {"a/up": file(b"old")},
    "a directory for a link": {"a/up/x": file()},
    "a file for an empty directory": {"a/empty": file(b"old")},
    "a link for an empty directory": {"a/empty": link("../../out")},
    "a full directory for an empty one": {"a/empty/x/y": file()},
}
OUT: Items = {"a": file(b"precious"), "run.sh": run(b"echo hello")}


@pytest.mark.parametrize(
    ("what", "others"),
    [
        (what, others)
        for what in IN_THE_WAY
        for others in ("go", "seen", "stay")
        # What leads out of the tree is not shared, and so never looked at.
        if others == "go" or what not in {"a link for a file", "a link for an empty directory"}
    ],
)
def test_what_stands_in_the_way_gives_way(tmp_path: Path, what: str, others: Others) -> None:
    make(tmp_path / "out", OUT)
    make(tmp_path / "t", IN_THE_WAY[what])
    descriptors = open_descriptors()
    stays = IN_THE_WAY[what] if others == "stay" and "a/empty/x/y" in IN_THE_WAY[what] else {}
    expected = {path: item for path, item in TREE.items() if not stays or path != "a/empty"}
    assert arrived(tmp_path, others=others) == {**expected, **stays}
    assert seen(tmp_path / "out") == OUT
    assert open_descriptors() == descriptors


@pytest.mark.parametrize("what", IN_THE_WAY)
def test_unless_nothing_of_it_must_be_lost(tmp_path: Path, what: str) -> None:
    make(tmp_path / "out", OUT)
    make(tmp_path / "t", IN_THE_WAY[what])
    with pytest.raises(
        OperatorError, match=r"already has a different t/.*; move it and run it again, or"
    ):
        arrived(tmp_path, others="hinder")
    now = seen(tmp_path / "t")
    assert {path: now[path] for path in IN_THE_WAY[what]} == IN_THE_WAY[what]
    assert seen(tmp_path / "out") == OUT


def test_a_file_with_other_bytes_hinders_too(tmp_path: Path) -> None:
    for content in (b"x" * 100, b"x"):
        make(tmp_path / "t", {"b.txt": file(content)})
        if len(content) == 1:  # That is known before anything is fetched.
            with pytest.raises(OperatorError, match=r"has a different t/b\.txt"):
                arriving(tmp_path, others="hinder")
        with pytest.raises(OperatorError, match=r"has a different t/b\.txt"):
            arrived(tmp_path, others="hinder")
        assert seen(tmp_path / "t")["b.txt"] == file(content)
    shutil.rmtree(tmp_path / "t")
    make(tmp_path / "t", TREE)
    assert arrived(tmp_path, others="hinder") == TREE


@pytest.mark.parametrize("name", ["t", "t/a", "t/d", "t/d/e"])
@pytest.mark.parametrize("is_right", [False, True])
def test_a_link_on_the_way_is_not_followed(tmp_path: Path, name: str, *, is_right: bool) -> None:
    """Fault 83. Not even if all that should be there is where it leads to."""
    make(tmp_path / "t", TREE)
    (tmp_path / name).rename(tmp_path / "out")
    if not is_right:
        shutil.rmtree(tmp_path / "out")
    out = make(tmp_path / "out", {"precious": file(b"mine")})
    before = seen(out)
    (tmp_path / name).symlink_to(out)
    with pytest.raises(OperatorError, match=r"is not a directory|neither a file nor a directory"):
        arrived(tmp_path, others="stay")
    assert seen(out) == before
    if name == "t":
        (tmp_path / name).unlink()
    assert arrived(tmp_path) == TREE  # In the tree, what may go is replaced.
    assert seen(out) == before


@pytest.mark.parametrize("items", [{}, {"a": FOLDER}])
def test_not_even_for_a_tree_without_files(tmp_path: Path, items: Items) -> None:
    out = make(tmp_path / "out", {"precious": file(b"mine")})
    (tmp_path / "t").symlink_to(out)
    with pytest.raises(OperatorError, match="neither a file nor a directory"):
        arrived(tmp_path, Model(items))
    assert seen(out) == {"precious": file(b"mine")}


@pytest.mark.parametrize("name", ["t", "t/d", "t/d/e"])
def test_a_file_in_the_way_of_a_directory_is_refused(tmp_path: Path, name: str) -> None:
    make(tmp_path, {name: file(b"mine")})
    refusing: list[Others] = ["hinder", "seen", "go"] if name == "t" else ["hinder"]
    for others in refusing:
        with pytest.raises(OperatorError, match="is not a directory; move it"):
            arrived(tmp_path, others=others)
    assert (tmp_path / name).read_bytes() == b"mine"


@pytest.mark.parametrize("others", ["go", "seen"])
@pytest.mark.parametrize("name", ["t/d", "t/d/e"])
def test_a_file_in_the_way_goes_if_it_may(tmp_path: Path, name: str, others: Others) -> None:
    make(tmp_path, {name: file(b"of another version")})
    assert arrived(tmp_path, others=others) == TREE


@pytest.mark.parametrize("path", ["b.txt", "a/up", "c/none"])
def test_what_is_neither_file_nor_directory_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "t" / path).parent.mkdir(parents=True)
    os.mkfifo(tmp_path / "t" / path)
    with pytest.raises(OperatorError, match="neither a file nor a directory"):
        arrived(tmp_path)
    assert (tmp_path / "t" / path).is_fifo()
    (tmp_path / "t" / path).unlink()
    assert arrived(tmp_path) == TREE


# What else lies there.


def test_what_else_lies_there_goes_if_all_was_wanted(tmp_path: Path) -> None:
    make(tmp_path / "t", {**TREE, **EXTRA, "empty/directory": FOLDER})
    os.mkfifo(tmp_path / "t/fifo")
    os.mkdir(os.fsencode(tmp_path) + b"/t/\xff")  # noqa: PTH102 (a Path is text)
    assert arrived(tmp_path) == TREE


@pytest.mark.parametrize("others", ["go", "stay"])
def test_it_stays_if_only_a_part_was_wanted_or_it_was_to_stay(
    tmp_path: Path, others: Others
) -> None:
    make(tmp_path / "t", EXTRA)
    selection = Selection(include=("b.txt", "empty")) if others == "go" else EVERYTHING
    chosen = TREE if others == "stay" else {path: TREE[path] for path in ("b.txt", "a/empty")}
    assert arrived(tmp_path, selection=selection, others=others) == {**EXTRA, **chosen}


def test_or_it_hinders_and_nothing_is_lost(tmp_path: Path) -> None:
    make(tmp_path / "t", {"d/extra": file(b"mine")})
    with pytest.raises(
        OperatorError, match=r"has a different t/d/extra, which may be the only copy"
    ):
        arrived(tmp_path, others="hinder")
    assert seen(tmp_path / "t")["d/extra"] == file(b"mine")
    (tmp_path / "t/d/extra").unlink()
    assert arrived(tmp_path, others="hinder") == TREE


# At the same time, and very deep.


def test_can_be_read_while_files_appear(tmp_path: Path) -> None:
    """A chunk that is there does not seem to be gone while one of its files is moved."""
    items = {f"{number:03}": file(b"%03d" % number * 5) for number in range(300)}
    model = Model(items, 20)
    staging, have = arriving(tmp_path, model)
    done, wrong = [*have], set[int]()
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            wrong.update(one for one in done[-20:] if staging.read(one) != model.chunks[one])

    def write(first: int) -> None:
        for index in range(first, len(model.chunks), 2):
            staging.write(index, model.chunks[index])
            done.append(index)

    start = model.manifest.listing_chunks
    readers = [threading.Thread(target=read)]
    writers = [threading.Thread(target=write, args=(start + more,)) for more in range(2)]
    for thread in (*readers, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    ended.set()
    readers[0].join()
    staging.publish(tmp_path, "t")
    assert (seen(tmp_path / "t"), wrong) == (items, set())


def test_nothing_is_too_deep(deep_path: Path) -> None:
    deep = "/".join(["d"] * 500)
    model = Model({f"{deep}/x": file(b"deep"), f"{deep}/e": FOLDER, f"{deep}/l": link("x")}, 999)
    (deep_path / "t").mkdir()
    assert arrived(deep_path, model) == model.items
    assert arrived(deep_path, Model({"a": file()})) == {"a": file()}


def test_a_path_that_is_too_long_is_the_disk_s_error(tmp_path: Path) -> None:
    path = "/".join(["n" * 250] * 16)
    with pytest.raises(OSError, match="too long"):
        arrived(tmp_path, Model({f"{path}/x": file(b"x")}, 5000))
    appearing = TreeInPlace(Path("/tmp"), "n" * 200)  # noqa: S108 (nothing is put there)
    appearing.begin([], decode(Model({}).listing), lambda _: 0o644)
    with pytest.raises(OSError, match="too long"):
        appearing.put_out(None, path.encode(), b"/nowhere")
