"""Names: what is refused on every route, what is kept as it is, and how it is shown."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shoal.protocol import names

REFUSED = {  # The first rows are Syncthing's TestCheckFilename.
    "empty": ("", "is empty"),
    "this folder": (".", "'.' as a part"),
    "folder above": ("..", "'..' as a part"),
    "above, then down": ("../net.txt", "'..' as a part"),
    "up in the middle": ("a/../net.txt", "'..' as a part"),
    "up at the end": ("a/..", "'..' as a part"),
    "this folder first": ("./net.txt", "'.' as a part"),
    "this folder in the middle": ("a/./net.txt", "'.' as a part"),
    "this folder at the end": ("a/.", "'.' as a part"),
    "absolute": ("/etc/passwd", "absolute"),
    "only a slash": ("/", "absolute"),
    "two slashes first": ("//server/share", "absolute"),
    "two slashes in the middle": ("a//net.txt", "empty part"),
    "slash at the end": ("a/", "empty part"),
    "UNC": (r"\\server\share\net.txt", "backslash"),
    "backslash": (r"a\net.txt", "backslash"),
    "backslash up": (r"..\net.txt", "backslash"),
    "drive": ("C:/net.txt", "begins with C:, which is a drive"),
    "drive and relative": ("c:net.txt", "begins with c:"),
    "NUL": ("net\0.txt", "control character"),
    "newline": ("net\n.txt", "control character"),
    "carriage return": ("net\r.txt", "control character"),
    "terminal escape": ("\x1b[2Jnet.txt", "control character"),
    "delete": ("net\x7f.txt", "control character"),
    "C1 escape": ("net\x9b2J.txt", "control character"),
    "long component": ("n" * 256, "part longer than 255 bytes"),
    "long component in the middle": (f"a/{'n' * 256}/b", "part longer than 255 bytes"),
    "long component in bytes": ("ü" * 128, "part longer than 255 bytes"),
    "long": ("/".join(["n" * 100] * 41), "longer than 4096 bytes"),
    "a million characters": ("n" * 1_000_000, "longer than 4096 bytes"),
    "not UTF-8": ("net\udcff.txt", "not valid UTF-8"),
    "our own folder": (".shoal", "not shared"),
    "in our own folder": (".shoal/journal", "not shared"),
    "our own folder where case is folded": (".SHOAL/journal", "not shared"),
}

KEPT = {
    "plain": "net.txt",
    "in a folder": "models/v1/weights.bin",
    "dots": "...",
    "dots at both ends": "..net..",
    "hidden": ".bashrc",
    "like our folder": ".shoal2/net.txt",
    "our folder further down": "a/.shoal/net.txt",
    "spaces": " net txt ",
    "dash first": "-rf",
    "shell": "$(reboot); `ls` & * ? ~",
    "longest component": "n" * 255,
    "longest component in bytes": "ü" * 127,
    "longest": "/".join(["n" * 240] * 17),
    # Names that only Windows refuses. Nodes run on POSIX.
    "device": "CON",
    "device with an extension": "aux.txt",
    "numbered device": "COM1.log",
    "stream": "net.txt:stream",
    "dot at the end": "net.",
    "wildcards": '<net|"txt">',
    # Kept to the letter, shown escaped.
    "right to left": "net\u202etxt.exe",
    "homoglyph": "n\u0435t.txt",
    "emoji": "🐟.txt",
    "line separator": "net\u2028.txt",
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case: str) -> None:
    name, reason = REFUSED[case]
    with pytest.raises(ValueError, match=reason):
        names.check_name(name)


@pytest.mark.parametrize("case", KEPT)
def test_keeps(case: str) -> None:
    assert names.check_name(KEPT[case]) == KEPT[case]


def test_keeps_names_apart_that_only_look_alike() -> None:
    composed, decomposed = unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")
    assert names.check_name(composed) != names.check_name(decomposed)
    assert names.check_name("Net.txt") != names.check_name("net.txt")


@given(st.text() | st.from_regex(r"[./\\a:]{0,9}", fullmatch=True))
def test_whatever_is_kept_stays_below_its_folder(text: str) -> None:
    try:
        name = names.check_name(text)
    except ValueError:
        return
    components = name.split("/")
    assert name == text
    assert not {"", ".", ".."} & set(components)
    assert all(len(component.encode()) <= names.MAX_COMPONENT_BYTES for component in components)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("net.txt", "net.txt"),
        ("grün 🐟", "grün 🐟"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\nb", r"a\nb"),
        ("net\u202etxt", r"net\u202etxt"),
        ("net\u2028txt", r"net\u2028txt"),
        ("net\udcff", r"net\udcff"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_shows_what_does_not_print_escaped(text: str, shown: str) -> None:
    assert names.display(text) == shown


@given(st.text(st.characters()))
def test_whatever_is_shown_prints(text: str) -> None:
    assert names.display(text).isprintable()


def test_what_would_be_taken_for_an_id_is_no_name() -> None:
    with pytest.raises(ValueError, match="has the form of an id"):
        names.check_name(f"b3:{64 * 'a'}")
    for text in (f"b3:{63 * 'a'}", f"b3:{64 * 'A'}", f"x/b3:{64 * 'a'}"):
        assert names.check_name(text) == text
    assert names.check_path(f"b3:{64 * 'a'}")  # In a tree it is never asked for.
