"""Which files of a tree are wanted, and in which chunks they lie."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shoal.node.trees.plan import TreePlan
from shoal.node.trees.selection import EVERYTHING, Selection
from shoal.protocol import bitmap, listing

from tests.unit.node.sample_trees import ITEMS, TREE, Items, Model, file, files_in_order, run

FOUR: Items = {
    "a": file(b"0123456789"),  # Chunks 0 and 1 of the files' …
    "b/c": run(b"01234"),  # … 1, …
    "b/none": file(),
    "d": file(b"0123456789abcdef"),  # … 1, 2 and 3.
}


def plan(items: Items = FOUR, selection: Selection = EVERYTHING, chunk_bytes: int = 8) -> TreePlan:
    model = Model(items, chunk_bytes)
    return TreePlan(model.manifest, listing.decode(model.listing), selection)


def only(*patterns: str) -> Selection:
    return Selection(include=patterns)


def needed(one: TreePlan, items: Items = FOUR) -> str:
    """Return the chunks of the files that are needed; all of the listing's must be."""
    count = Model(items, 8).manifest.listing_chunks
    assert one.needed & bitmap.full(count) == bitmap.full(count)
    return "".join(map(str, bitmap.indices(one.needed >> count)))


@pytest.mark.parametrize(
    ("selection", "files", "chunks"),
    [
        (EVERYTHING, "0123", "0123"),
        (only("a"), "0", "01"),
        (only("b"), "12", "1"),
        (only("/d", "none"), "23", "123"),
        (only("none"), "2", ""),
        (only("*.iso"), "", ""),
        (Selection(exclude=("d",)), "012", "01"),
        (Selection(("b", "d"), ("c",)), "23", "123"),
        (Selection(inside="b"), "12", "1"),
        (Selection(inside="b/c"), "1", "1"),
    ],
)
def test_needs_the_chunks_that_the_chosen_files_lie_in(
    selection: Selection, files: str, chunks: str
) -> None:
    one = plan(selection=selection)
    assert needed(one) == chunks
    assert "".join(str(file) for file, _ in one.chosen_files()) == files
    assert [one.is_chosen(file) for file in range(4)] == [str(file) in files for file in range(4)]
    assert one.is_everything == (selection == EVERYTHING)


def test_names_what_is_chosen() -> None:
    one = plan(TREE)
    assert [path.decode() for _, path in one.chosen_files()] == files_in_order(TREE)
    assert list(one.chosen_links()) == [(b"a/up", b"../b.txt")]
    assert list(one.chosen_folders()) == [b"a/empty"]
    assert one.has_any


def test_names_no_more_than_is_chosen() -> None:
    one = plan(TREE, Selection(exclude=("a", "c/none*")))
    assert [path.decode() for _, path in one.chosen_files()] == ["b.txt", "d/e/f/data", "ü 🐟"]
    assert (list(one.chosen_links()), list(one.chosen_folders())) == ([], [])


@pytest.mark.parametrize("pattern", ["a/empty", "a/empty/", "empty", "empty/", "/a/", "a/**"])
def test_an_empty_directory_is_one_for_patterns_too(pattern: str) -> None:
    assert list(plan(TREE, only(pattern)).chosen_folders()) == [b"a/empty"]
    assert list(plan(TREE, Selection(exclude=(pattern,))).chosen_folders()) == []


@pytest.mark.parametrize("pattern", ["a/run.sh", "a/up", "a/empty/", "c/none"])
def test_one_item_of_whatever_kind_is_something(pattern: str) -> None:
    assert plan(TREE, only(pattern)).has_any
    assert not plan(TREE, only(f"x{pattern}")).has_any


def test_an_empty_tree_is_something_if_it_was_wanted() -> None:
    assert plan({}).has_any
    assert not plan({}, only("a")).has_any


def test_knows_who_may_be_run() -> None:
    assert [plan().mode(file) for file in range(4)] == [0o644, 0o755, 0o644, 0o644]


def test_no_mode_is_wider_than_is_allowed() -> None:
    known = Model(FOUR, 8)
    one = TreePlan(known.manifest, listing.decode(known.listing), EVERYTHING, 0o750)
    assert [one.mode(file) for file in range(2)] == [0o640, 0o750]


def test_says_of_what_a_chunk_is_made() -> None:
    one = plan()
    first = Model(FOUR, 8).manifest.listing_chunks
    assert list(one.pieces(0)) == [(-1, 0, 8)]
    assert list(one.pieces(first)) == [(0, 0, 8)]
    assert list(one.pieces(first + 1)) == [(0, 8, 2), (1, 0, 5), (3, 0, 1)]
    assert one.files_in([0, first + 1]) == {0, 1, 3}
    assert one.chunks_of([1, 2]) == 1 << first + 1
    assert (one.chunks_of([]), one.files_in([])) == (0, set())


def test_counts_the_bytes_of_chunks() -> None:
    one, model = plan(), Model(FOUR, 8)
    assert one.bytes_of(one.needed) == len(model.bytes)
    assert one.bytes_of(0) == 0
    assert one.bytes_of(1 << model.manifest.chunk_count - 1) == 31 % 8


@given(ITEMS, st.integers(1, 50))
def test_pieces_make_up_the_tree(items: Items, chunk_bytes: int) -> None:
    model = Model(items, chunk_bytes)
    one = TreePlan(model.manifest, listing.decode(model.listing), EVERYTHING)
    contents = [items[path][1] for path in files_in_order(items)]
    for index, chunk in enumerate(model.chunks):
        parts = [
            ([*contents, model.listing][file])[offset : offset + size_bytes]
            for file, offset, size_bytes in one.pieces(index)
        ]
        assert b"".join(parts) == chunk
    for number, content in enumerate(contents):
        start = len(model.listing) + one.start(number)
        assert model.bytes[start : start + len(content)] == content
        for at in bitmap.indices(one.chunks_of([number])):
            assert number in one.files_in([at])


@given(ITEMS, st.integers(1, 50), st.lists(st.sampled_from(["a", "b", "x", "x.y", "*!"])))
def test_whatever_is_chosen_can_be_had_from_the_needed_chunks(
    items: Items, chunk_bytes: int, patterns: list[str]
) -> None:
    model = Model(items, chunk_bytes)
    selection = Selection(include=tuple(patterns))
    one = TreePlan(model.manifest, listing.decode(model.listing), selection)
    chosen = {file for file, _ in one.chosen_files()}
    for index in range(model.manifest.listing_chunks, model.manifest.chunk_count):
        is_needed = bool(one.needed >> index & 1)
        assert is_needed == bool(chosen & one.files_in([index]))


def test_files_with_enough_chunks_have_a_turn_of_their_own() -> None:
    items: Items = {
        "a": file(bytes(8 * 40)),
        "b": file(bytes(8 * 10)),
        "c": file(),
        "d": file(bytes(8 * 30)),
        "e": file(bytes(8 * 5)),
    }
    count = Model(items, 8).manifest.listing_chunks
    assert [end - count for end in plan(items).turns()] == [40, 80]
    assert [end - count for end in plan(items, only("/d", "/e")).turns()] == [80]
    assert plan().turns() == ()
