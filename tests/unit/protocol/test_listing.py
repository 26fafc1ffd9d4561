"""Listings: the canonical form, forged ones, and links that would lead out of the tree."""

import itertools
import struct
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from shoal.protocol import codec, listing, names
from shoal.protocol.errors import MalformedMessageError
from shoal.protocol.listing import EXECUTABLE, FILE, FOLDER, LINK, MAX_ENTRIES, Entry, Listing
from shoal.protocol.manifest import MAX_LISTING_BYTES, MAX_SIZE_BYTES

TREE = [
    Entry("a/empty", FOLDER),
    Entry("a/run.sh", EXECUTABLE, 7),
    Entry("a/up", LINK, target="../a.txt"),
    Entry("a.txt", FILE, 5),  # After a/…: the order is that of parts, though "." < "/".
    Entry("ü/.shoal/top", LINK, target="../.."),
    Entry("ü 🐟", FILE),
]


def read(*entries: Entry) -> Listing:
    return listing.decode(listing.encode(entries))


def test_has_these_bytes_for_ever() -> None:
    head = "95ac73686f616c2f312074726565"
    paths = "c40b612f7800622f6300622f64"
    kinds, sizes, targets = "c40378646c", "c4080000000000000007", "c4042e2e2f61"
    entries = [Entry("b/d", LINK, target="../a"), Entry("b/c", FOLDER), Entry("a/x", EXECUTABLE, 7)]
    assert listing.encode(entries).hex() == head + paths + kinds + sizes + targets


def test_gives_files_empty_folders_and_links() -> None:
    tree = read(*reversed(TREE))
    assert list(tree.entries()) == TREE
    files = range(len(tree.sizes))
    assert [tree.file_path(file).decode() for file in files] == ["a/run.sh", "a.txt", "ü 🐟"]
    assert [tree.is_executable(file) for file in files] == [True, False, False]
    assert tree.are_executable() == bytes([1, 0, 0])
    assert list(tree.sizes) == [7, 5, 0]
    assert tree.size_bytes == 12
    assert list(tree.empty_folders()) == [b"a/empty"]
    assert list(tree.links()) == [(b"a/up", b"../a.txt"), ("ü/.shoal/top".encode(), b"../..")]


def test_a_tree_may_be_empty() -> None:
    tree = read()
    assert (list(tree.entries()), tree.size_bytes) == ([], 0)
    assert (list(tree.empty_folders()), list(tree.links())) == ([], [])


FOLDERS = st.lists(st.sampled_from(["a", "b", "a.b", "a b", "ü", "..."]), max_size=4)
LEAVES = st.sampled_from(["x", "x!", "x.y", "é", "\U0010ffff"])  # None is a folder's name.
PATHS = st.builds(lambda folders, leaf: "/".join([*folders, leaf]), FOLDERS, LEAVES)
SIZES = st.integers(0, MAX_SIZE_BYTES // 50)
ENTRIES = st.one_of(
    st.builds(Entry, PATHS, st.sampled_from([FILE, EXECUTABLE]), SIZES, st.just("")),
    st.builds(Entry, PATHS, st.just(FOLDER), st.just(0), st.just("")),
    st.builds(Entry, PATHS, st.just(LINK), st.just(0), PATHS),
)
TREES = st.lists(ENTRIES, unique_by=lambda entry: entry.path, max_size=50)


@given(TREES, st.randoms(use_true_random=False))
def test_survives_the_wire_in_one_order_only(entries: list[Entry], rng: object) -> None:
    data = listing.encode(entries)
    tree = list(listing.decode(data).entries())
    assert tree == sorted(entries, key=lambda entry: entry.path.encode().split(b"/"))
    assert listing.encode(reversed(tree)) == data


@given(TREES)
def test_a_folder_follows_in_one_piece(entries: list[Entry]) -> None:
    parents = [path.split(b"/")[:-1] for path in read(*entries).paths]
    for length in range(1, 5):
        prefixes = [tuple(parent[:length]) for parent in parents]
        runs = [prefix for prefix, _ in itertools.groupby(prefixes) if len(prefix) == length]
        assert len(runs) == len(set(runs))


# Forged listings.


def forged(
    paths: bytes = b"a\0b", kinds: bytes = b"fl", sizes: Sequence[int] = (5,), targets: bytes = b"a"
) -> list[object]:
    return [listing.FORMAT, paths, kinds, struct.pack(f">{len(sizes)}Q", *sizes), targets]


def two_files(paths: bytes) -> list[object]:
    return forged(paths, b"ff", (1, 1), b"")


def link(path: bytes, target: bytes) -> list[object]:
    return forged(path, b"l", (), target)


LONG = b"/".join([b"n" * 240] * 18)
FORGED: dict[str, tuple[object, str]] = {
    "other format": (["shoal/2 tree", *forged()[1:]], "format"),
    "a field less": (forged()[:-1], "array"),
    "a field more": ([*forged(), b""], "not msgpack"),
    "a map": ({"format": listing.FORMAT}, "array"),
    "paths as text": ([listing.FORMAT, "a\0b", *forged()[2:]], "Expected `bytes`"),
    "unknown kind": (forged(kinds=b"fs"), "unknown kind"),
    "a kind more": (forged(kinds=b"fld"), "has 2 paths where there should be 3"),
    "a kind less": (forged(kinds=b"f", targets=b""), "has 2 paths where there should be 1"),
    "kinds and no paths": (forged(paths=b""), "has 1 paths where there should be 2"),
    "paths and no kinds": (forged(b"a", b"", (), b""), "has 1 paths where there should be 0"),
    "too many entries": (forged(kinds=b"f" * (MAX_ENTRIES + 1)), "more than 2000000 entries"),
    "no sizes": (forged(sizes=()), "one size for each file"),
    "a size for a folder": (forged(b"a", b"d", (5,), b""), "one size for each file"),
    "a size cut off": ([*forged()[:3], bytes(7), b"a"], "one size for each file"),
    "negative size": (forged(sizes=(2**64 - 5,)), "files of more than"),
    "huge size": (forged(sizes=(MAX_SIZE_BYTES + 1,)), "files of more than"),
    "huge together": (forged(b"a\0b", b"ff", (MAX_SIZE_BYTES, 1), b""), "files of more than"),
    "no target": (forged(targets=b""), "target is ''"),
    "a target more": (forged(targets=b"a\0a"), "has 2 targets where there should be 1"),
    "a target and no link": (forged(b"a", b"f"), "has 1 targets where there should be 0"),
    "16 MiB of NULs": (forged(paths=bytes(1 << 24)), "has 16777217 paths"),
    "no path": (forged(b"", b"d", (), b""), "'', which is empty"),
    "NUL first": (two_files(b"\0a"), "'', which is empty"),
    "NUL last": (two_files(b"a\0"), "'', which is empty"),
    "absolute": (two_files(b"/etc/passwd\0b"), "absolute"),
    "this folder": (two_files(b".\0b"), "'.' as a part"),
    "backslash": (two_files(b"..\\a\0b"), "backslash"),
    "drive": (two_files(b"C:a\0b"), "drive on Windows"),
    "terminal escape": (two_files(b"\x1b[2J\0b"), r"'\\x1b\[2J', which has a control"),
    "C1 escape": (two_files(b"\xc2\x9b2J\0b"), "control character"),
    "long part": (two_files(b"a/" + b"n" * 256 + b"/b\0c"), "longer than 255"),
    "long path": (two_files(LONG + b"\0z"), "path longer than 4096"),
    "not UTF-8": (two_files(b"a\xff\0b"), "not valid UTF-8"),
    "UTF-8 spelled too long": (two_files(b"..\xc0\xafb\0c"), "not valid UTF-8"),
    "a surrogate": (two_files(b"a\xed\xa0\x80\0b"), "not valid UTF-8"),
    "a character across a NUL": (two_files(b"a\xc3\0\xbc"), "not valid UTF-8"),
    "twice": (two_files(b"a\0a"), "'a' twice, in the wrong place"),
    "unsorted": (two_files(b"b\0a"), "'a' twice, in the wrong place"),
    "sorted by bytes, not by parts": (two_files(b"a.b\0a/b"), "'a/b' twice, in the wrong place"),
    "below a file": (two_files(b"a\0a/b"), "below another"),
    "below a file, last of all": (two_files("a\0a/\U0010ffff".encode()), "below another"),
    "below a folder": (forged(b"a\0a/b", b"df", (1,), b""), "below another"),
    "below a link": (forged(b"a\0a/b", b"lf", (1,), b"b"), "below another"),
    "link out": (link(b"a", b"../b"), "link 'a', whose target is '../b'"),
    "link out from below": (link(b"a/b/c", b"../../../d"), "target"),
    "link up to above": (link(b"a/b", b"../.."), "target"),
    "link out by way of a folder": (link(b"a", b"b/../../c"), "target"),
    "link back by way of a link": (forged(b"a/b\0c", b"ll", (), b"..\0a/b/.."), "target is 'a/b/"),
    "absolute link": (link(b"a", b"/etc/passwd"), "target"),
    "link by way of itself": (link(b"a", b"./b"), "target"),
    "link to itself and up": (link(b"a", b"./.."), "target"),
    "link to a backslash": (link(b"a", b"..\\b"), "target"),
    "link to an escape": (link(b"a", b"\x1b[2J"), r"target is '\\x1b\[2J'"),
    "link with a slash at the end": (link(b"a/b", b"../"), "target"),
    "link not UTF-8": (link(b"a", b"\xff"), "not valid UTF-8"),
    "long link": (link(b"a", LONG), "target longer than 4096"),
}


@pytest.mark.parametrize("case", FORGED)
def test_refuses(case: str) -> None:
    content, reason = FORGED[case]
    with pytest.raises(MalformedMessageError, match=reason):
        listing.decode(codec.pack(content))


def test_accepts_what_the_forged_ones_were_made_from() -> None:
    data = codec.pack(forged())
    assert list(listing.decode(data).entries()) == [Entry("a", FILE, 5), Entry("b", LINK, 0, "a")]


def test_accepts_what_is_just_within_the_limits() -> None:
    longest = LONG[: names.MAX_NAME_BYTES].decode()
    entries = [Entry("a", LINK, target=longest), Entry(longest, FILE, MAX_SIZE_BYTES)]
    assert list(read(*entries).entries()) == entries


def test_refuses_another_spelling_of_the_same() -> None:
    canonical = listing.encode([Entry("a", FILE, 1)])
    spelled = canonical.replace(b"\xc4\x01a", b"\xc5\x00\x01a")  # Its length in two bytes.
    assert spelled != canonical
    with pytest.raises(MalformedMessageError, match="canonical"):
        listing.decode(spelled)


def test_refuses_a_listing_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MalformedMessageError, match="at most"):
        listing.decode(bytes(MAX_LISTING_BYTES + 1))
    size_bytes = len(listing.encode(TREE))
    monkeypatch.setattr(listing, "MAX_LISTING_BYTES", size_bytes)
    assert read(*TREE).size_bytes == 12
    monkeypatch.setattr(listing, "MAX_LISTING_BYTES", size_bytes - 1)
    with pytest.raises(ValueError, match="has more than"):
        listing.encode(TREE)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_nothing_else(data: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        listing.decode(data)


@given(st.integers(0, 150), st.binary(min_size=1, max_size=3))
def test_a_listing_changed_anywhere_is_refused_or_another_one(at: int, change: bytes) -> None:
    data = listing.encode(TREE)
    changed = data[:at] + change + data[at + len(change) :]
    try:
        tree = listing.decode(changed)
    except MalformedMessageError:
        return
    assert listing.encode(tree.entries()) == changed


UNSHARABLE = {
    "kind": ([Entry("a", "s")], "'a' of an unknown kind, 's'"),
    "two kinds in one": ([Entry("a", "fx"), Entry("b", "")], "unknown kind"),
    "negative size": ([Entry("a", FILE, -1)], "'a' with a size of -1"),
    "huge size": ([Entry("a", FILE, 2**64)], "'a' with a size"),
    "a folder's size": ([Entry("a", FOLDER, 1)], "'a' with a size"),
    "a file's target": ([Entry("a", FILE, 1, "b")], "'a' with a target"),
    "no target": ([Entry("a", LINK)], "target is ''"),
    "NUL": ([Entry("a\0b", FILE)], "NUL"),
    "not UTF-8": ([Entry("a\udcff", FILE)], "not valid UTF-8"),
    "below a file": ([Entry("a/b", FILE), Entry("a", FILE)], "below another"),
}


@pytest.mark.parametrize("case", UNSHARABLE)
def test_does_not_encode(case: str) -> None:
    entries, reason = UNSHARABLE[case]
    with pytest.raises(ValueError, match=reason):
        listing.encode(entries)


# The rules for one path and one target.

CHARACTERS = [bytes([byte]) for byte in b"/..\\:a\0\n\x7f\xc2\x9f\xa0\xff"]
RUNS = [b"n" * 254, b"n" * 255, b"\xc3\xbc" * 127, (b"n" * 240 + b"/") * 17]
TRAPS = st.sampled_from(CHARACTERS + RUNS)
TRICKY = st.text().map(str.encode) | st.binary() | st.lists(TRAPS, max_size=8).map(b"".join)


def is_path(data: bytes) -> bool:
    try:
        names.check_path(data.decode())
    except ValueError:
        return False
    return True


@given(TRICKY)
@example(b"a/" + b"n" * 255)
@example(b"a/" + b"n" * 256)
def test_the_fast_check_of_paths_is_the_slow_one(data: bytes) -> None:
    fits = len(data) <= names.MAX_NAME_BYTES and data.decode(errors="ignore").encode() == data
    assert (fits and listing._PATH.fullmatch(data) is not None) == is_path(data)


def test_the_fast_check_knows_every_character() -> None:
    for code in itertools.chain(range(0xD800), range(0xE000, 0x11000)):
        for data in (chr(code).encode(), f"a{chr(code)}b".encode()):
            assert (listing._PATH.fullmatch(data) is not None) == is_path(data)


@given(st.integers(0, 3), st.integers(0, 4), TRICKY)
@example(0, 0, LONG)
def test_a_target_goes_up_and_then_down(depth: int, ups: int, rest: bytes) -> None:
    target = b"../" * ups + rest
    down = list(itertools.dropwhile(b"..".__eq__, target.split(b"/")))
    ups = target.count(b"/") + 1 - len(down)
    expected = ups <= depth and len(target) <= names.MAX_NAME_BYTES
    expected = expected and (not down or is_path(b"/".join(down)))
    expected = expected or target == b"."
    text = target.decode(errors="surrogateescape")
    assert listing.is_inside("f/" * depth + "l", text) == expected


LINKS = st.dictionaries(
    st.from_regex(r"([ab]/){0,3}[xyz]", fullmatch=True),
    st.from_regex(r"(\.\./){0,3}(([ab]/){0,3}[abxyz](/[abxyz]){0,2}|\.\.)|\.", fullmatch=True),
)


@given(LINKS)
def test_no_chain_of_links_leads_out(links: dict[str, str]) -> None:
    kept = {path: target for path, target in links.items() if listing.is_inside(path, target)}
    for path in kept:
        here: list[str] = []
        steps = path.split("/")
        for _ in range(100):  # Links may go round in circles.
            if not steps:
                break
            step = steps.pop(0)
            if step == ".":
                continue
            if step == "..":
                here.pop()  # IndexError: out of the tree.
            elif (target := kept.get("/".join([*here, step]))) is not None:
                steps = target.split("/") + steps
            else:
                here.append(step)


@given(st.binary(), st.binary(), st.binary())
def test_the_common_beginning_is_the_longest(start: bytes, one: bytes, two: bytes) -> None:
    one, two = start + one, start + two
    common = listing._common(one, two)
    assert common >= len(start)
    assert one[:common] == two[:common]
    assert one[: common + 1] != two[: common + 1] or common == min(len(one), len(two))


@pytest.mark.parametrize(
    ("path", "target", "expected", "left"),
    [
        ("l", "./x", "x", ""),
        ("l", "x/", "x", ""),
        ("l", "d//x", "d/x", ""),
        ("l", "./d/.//x/.", "d/x", ""),
        ("l", ".", ".", ""),
        ("l", "./", ".", ""),
        ("a/l", "./..", "..", ""),
        ("a/l", "../", "..", ""),
        ("a/l", "..//b", "../b", ""),
        ("a/l", "./../b/", "../b", ""),
        ("a/l", "../a", "../a", ""),  # As it was written, if that is allowed.
        ("a/l", "../a/", ".", ""),
        ("a/b/l", "./../c/d", "../c/d", ""),
        ("l", "d/../x", "x", "d"),
        ("l", "d/e/../../x", "x", "d/e d"),
        ("a/l", "b/../../x", "../x", "a/b"),
        ("a/l", "../a/../x", "../x", ""),  # The link's own directory is one.
        ("l", "d/..", ".", "d"),
    ],
)
def test_spells_harmless_targets_as_a_listing_can_have_them(
    path: str, target: str, expected: str, left: str
) -> None:
    found = listing.respelled(path, target)
    assert found == (expected, tuple(left.split()))
    assert listing.is_inside(path, expected)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("l", ".."),
        ("l", "./.."),
        ("l", "../t/x"),
        ("l", "d/../../x"),
        ("a/l", "../../t/a/x"),
        ("l", "/etc/passwd"),
        ("l", "//"),
        ("l", "./a\\b"),
        ("l", "./a\nb"),
        ("l", "./\udcff"),
        ("l", "./" + "n" * 256),
        ("l", "./" + "d/" * 2100),
    ],
)
def test_spells_nothing_that_leads_out_or_cannot_travel(path: str, target: str) -> None:
    assert listing.respelled(path, target) is None
