"""A part of a tree comes with what its links lead to, or it is said what is missing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shoal.node.trees.part import Lack, TreePart
from shoal.node.trees.selection import Selection
from shoal.protocol import listing

from tests.unit.node.sample_trees import FOLDER, ITEMS, Items, entries_of, file, link

LIBRARY: Items = {
    "bin/tool": link("../lib/libz.so"),
    "bin/up": link(".."),
    "blobs/1": file(b"1"),
    "blobs/2": file(b"2"),
    "current": link("releases/3"),
    "lib/libz.so": link("libz.so.1"),
    "lib/libz.so.1": link("libz.so.1.2"),
    "lib/libz.so.1.2": file(b"z"),
    "loop/a": link("b"),
    "loop/b": link("a"),
    "loop/self": link("."),
    "nowhere": link("gone/x"),
    "releases/3/conf": link("../../shared/conf"),
    "releases/3/x": file(b"x"),
    "releases/4/y": link("../../current/x"),
    "shared/conf/a": file(b"a"),
    "shared/conf/empty": FOLDER,
    "shared/conf-2": file(),
    "snapshot/config": link("../blobs/1"),
    "snapshot/model": link("../blobs/2"),
}


def part_of(items: Items, selection: Selection) -> TreePart:
    return TreePart(listing.decode(listing.encode(entries_of(items))), selection)


def chosen(selection: Selection, items: Items = LIBRARY) -> str:
    part = part_of(items, selection)
    entries = listing.decode(listing.encode(entries_of(items))).entries()
    flags = zip(entries, part.is_chosen, strict=True)
    return " ".join(entry.path for entry, is_chosen in flags if is_chosen)


def test_thousands_of_links_to_the_same_thousands_of_files_are_no_matter() -> None:
    """Looking at each file for each link would take minutes."""
    links = {f"a/{number:05}": link("../b") for number in range(20_000)}
    files = {f"b/{number:05}": file() for number in range(20_000)}
    part = part_of({**links, **files}, Selection(include=("a",), exclude=("b/00007",)))
    assert sum(part.is_chosen) == 39_999
    assert part.lack is None


SHARED = "shared/conf/a shared/conf/empty"


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ("blobs", "blobs/1 blobs/2"),
        ("snapshot", "blobs/1 blobs/2 snapshot/config snapshot/model"),
        ("snapshot/model", "blobs/2 snapshot/model"),
        ("lib/libz.so", "lib/libz.so lib/libz.so.1 lib/libz.so.1.2"),
        ("bin/tool", "bin/tool lib/libz.so lib/libz.so.1 lib/libz.so.1.2"),
        ("bin", "bin/tool bin/up lib/libz.so lib/libz.so.1 lib/libz.so.1.2"),
        ("current/x", "current releases/3/x"),  # And not all of the release.
        ("current", f"current releases/3/conf releases/3/x {SHARED}"),
        ("current/conf/a", "current releases/3/conf shared/conf/a"),
        ("releases/3", f"releases/3/conf releases/3/x {SHARED}"),
        ("releases/4", "current releases/3/x releases/4/y"),
        ("shared/conf", SHARED),
        ("loop", "loop/a loop/b loop/self"),
        ("loop/self/self/a", ""),  # Nobody can open it either.
        ("nowhere", ""),
        ("current/nothing", ""),
        ("con", ""),
    ],
)
def test_what_lies_at_a_place_comes_with_the_targets_of_its_links(
    inside: str, expected: str
) -> None:
    assert chosen(Selection(inside=inside)) == expected


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        ("snapshot", "", "blobs/1 blobs/2 snapshot/config snapshot/model"),
        ("snapshot", "model", "blobs/1 snapshot/config"),
        ("conf", "a", "releases/3/conf shared/conf/empty"),  # Not all of it is left out.
        ("nowhere", "", "nowhere"),  # As in the whole tree.
        ("x", "", "releases/3/x"),
    ],
)
def test_so_does_what_matches_a_pattern(include: str, exclude: str, expected: str) -> None:
    selection = Selection(tuple(include.split()), tuple(exclude.split()))
    assert chosen(selection) == expected
    assert part_of(LIBRARY, selection).lack is None


@pytest.mark.parametrize(
    ("selection", "link", "target"),
    [
        (Selection(exclude=("blobs",)), "snapshot/model", "blobs/2"),
        (Selection(("current",), ("3/",)), "current", "releases/3"),
        (Selection(inside="nowhere"), "nowhere", "gone/x"),
        (Selection(inside="current/nothing"), "current/nothing", "releases/3/nothing"),
    ],
)
def test_says_what_is_not_to_come(selection: Selection, link: str, target: str) -> None:
    assert part_of(LIBRARY, selection).lack == Lack(link, target)


@pytest.mark.parametrize(
    ("inside", "link", "target"),
    [
        ("snapshot", "snapshot/config", "blobs/1"),
        ("bin", "bin/tool", "lib/libz.so.1.2"),
        ("current", "releases/3/conf", "shared/conf"),
        ("releases/4/y", None, None),  # The file itself.
        ("lib", None, None),
        ("loop", None, None),
        ("shared", None, None),
    ],
)
def test_says_what_would_be_missing_elsewhere(
    inside: str, link: str | None, target: str | None
) -> None:
    part = part_of(LIBRARY, Selection(inside=inside))
    lack = part.leads_out_of(part.inside)
    assert lack == (None if link is None else Lack(link, str(target)))


def test_links_to_what_they_lie_in_bring_nothing_but_lead_out_of_a_part() -> None:
    items = {"a/up": link(".."), "a/here": link("."), "b": file()}
    assert chosen(Selection(inside="a"), items) == "a/here a/up"
    part = part_of(items, Selection(inside="a"))
    assert part.leads_out_of(part.inside) == Lack("a/up", "")


def test_a_link_that_leads_nowhere_leads_nowhere_elsewhere() -> None:
    part = part_of({"a/b": file(), "a/gone": link("../c"), "d": file()}, Selection(inside="a"))
    assert part.leads_out_of(part.inside) is None


@given(ITEMS, st.sampled_from(["a", "b", "x", "x.y", "a/x", "a/b"]))
def test_no_chosen_link_leads_to_what_is_not_chosen(items: Items, inside: str) -> None:
    part = part_of(items, Selection(inside=inside))
    entries = list(listing.decode(listing.encode(entries_of(items))).entries())
    here = {entry.path for entry, is_in in zip(entries, part.is_chosen, strict=True) if is_in}
    everything = {entry.path for entry in entries}
    for entry in entries:
        if entry.path in here and entry.kind == listing.LINK:
            way = part._way(entry.path.rpartition("/")[0].encode(), entry.target.encode())
            target = None if way is None else way[0].decode()
            if target in everything:
                assert target in here
