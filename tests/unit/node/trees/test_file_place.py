"""Where a file's bytes are in those of its tree."""

from shoal.node.trees.file_place import place_of
from shoal.protocol import listing
from shoal.protocol.listing import FILE, FOLDER, LINK, Entry

LISTING = listing.decode(
    listing.encode(
        [
            Entry("a", FILE, 3),
            Entry("b/c", FILE, 5),
            Entry("d", LINK, 0, "b"),
            Entry("e", FOLDER),
            Entry("f", FILE, 0),
            Entry("g", LINK, 0, "d/c"),
        ]
    )
)


def test_a_file_is_behind_those_before_it() -> None:
    assert [place_of(LISTING, path) for path in ("a", "b/c", "f")] == [(0, 3), (3, 5), (8, 0)]


def test_links_in_the_tree_lead_to_files() -> None:
    assert place_of(LISTING, "g") == place_of(LISTING, "d/c") == (3, 5)


def test_nothing_else_is_a_file() -> None:
    assert [place_of(LISTING, path) for path in ("", "b", "d", "e", "h", "a/b")] == [None] * 6
