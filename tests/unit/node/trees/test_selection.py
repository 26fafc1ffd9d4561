"""Which paths of a tree are meant."""

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec
from shoal.node.trees.selection import EVERYTHING, Selection, check_pattern

PATHS = ["a.txt", "b.bin", "data/a.txt", "data/raw/c.bin", "data.txt", "logs/1.log"]


def chosen(selection: Selection) -> str:
    return " ".join(filter(selection.chooses, PATHS))


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        ("", "", "a.txt b.bin data/a.txt data/raw/c.bin data.txt logs/1.log"),
        ("*.txt", "", "a.txt data/a.txt data.txt"),
        ("/*.txt", "", "a.txt data.txt"),
        ("data", "", "data/a.txt data/raw/c.bin"),
        ("data/", "", "data/a.txt data/raw/c.bin"),
        ("data/*", "", "data/a.txt data/raw/c.bin"),
        ("data/**/c.*", "", "data/raw/c.bin"),
        ("*.txt *.log", "", "a.txt data/a.txt data.txt logs/1.log"),
        ("*.txt !data.txt", "", "a.txt data/a.txt"),
        ("", "*.txt logs", "b.bin data/raw/c.bin"),
        ("data", "*.bin", "data/a.txt"),
        ("[ab].*", "", "a.txt b.bin data/a.txt"),
        ("*", "*", ""),
    ],
)
def test_patterns_are_those_of_gitignore(include: str, exclude: str, expected: str) -> None:
    selection = Selection(tuple(include.split()), tuple(exclude.split()))
    assert chosen(selection) == expected
    assert selection.is_everything == (not include and not exclude)


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ("data", "data/a.txt data/raw/c.bin"),  # And not data.txt.
        ("data/raw/c.bin", "data/raw/c.bin"),
        ("dat", ""),
        ("data/*", ""),  # It is a path, and no pattern.
    ],
)
def test_a_place_means_what_lies_there_and_below(inside: str, expected: str) -> None:
    assert chosen(Selection(inside=inside)) == expected
    assert not Selection(inside=inside).is_everything


@pytest.mark.parametrize(
    "pattern", ["*-*-*-*-*.gz", "*" * 30 + ".gz", "*?*?*?*?*?.gz", "*[a-z_-]*[0-9-]*[.-]*[x-]*.gz"]
)
def test_many_stars_take_no_longer_than_one(pattern: str) -> None:
    """Each of these would take hours, were all the ways to fit them tried."""
    named = Selection((pattern,))
    assert not named.chooses("-" * 250)
    assert named.chooses("-" * 200 + ".gz")


@given(
    pattern=st.text("ab-*?[]/", min_size=1, max_size=8),
    path=st.text("ab-/", min_size=1, max_size=8),
)
def test_stars_mean_what_they_mean_to_pathspec(pattern: str, path: str) -> None:
    try:
        with warnings.catch_warnings(action="ignore"):
            expected = GitIgnoreSpec.from_lines([pattern]).match_file(path)
    except ValueError:
        return
    assert Selection((pattern,)).chooses(path) == expected


def test_a_place_and_patterns_must_both_be_met() -> None:
    assert chosen(Selection(("*.txt",), (), "data")) == "data/a.txt"
    assert chosen(Selection((), ("*.txt",), "data")) == "data/raw/c.bin"


def test_everything_is_everything() -> None:
    assert chosen(EVERYTHING) == " ".join(PATHS)
    assert EVERYTHING.is_everything


@pytest.mark.parametrize("pattern", ["*", "/*", "a/**/b", "!a", "[a]", "data/", " x", "größe*"])
def test_patterns_may_be_strange(pattern: str) -> None:
    check_pattern(pattern)


@pytest.mark.parametrize("pattern", ["", " ", "# all", "!", "/", "[", "a\\", "[z-a]"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        check_pattern(pattern)
