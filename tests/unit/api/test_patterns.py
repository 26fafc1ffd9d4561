"""What --include and --exclude may be."""

import pytest
from shoal.api.patterns import check_patterns
from shoal.protocol.control import MAX_PATTERN_CHARACTERS, MAX_PATTERNS
from shoal.protocol.errors import OperatorError


def test_patterns_as_in_gitignore_are_fine() -> None:
    check_patterns("--include", ())
    check_patterns("--include", ("*.txt", "/data/", "!a", "größe", "x" * MAX_PATTERN_CHARACTERS))
    check_patterns("--exclude", ["*"] * MAX_PATTERNS)


@pytest.mark.parametrize(
    ("patterns", "words"),
    [
        (["*", ""], "--include '' is not a valid pattern: it means nothing; write it as in"),
        (["# all"], "--include '# all' is not a valid pattern"),
        (["[z-a]\x1b"], r"--include '[z-a]\x1b' is not a valid pattern: bad character"),
        (["x" * (MAX_PATTERN_CHARACTERS + 1)], "… is longer than 1000 characters; shorten it"),
        (["x"] * (MAX_PATTERNS + 1), "--include was given 101 times; give it 100 times at most"),
    ],
)
def test_what_is_no_pattern_is_refused(patterns: list[str], words: str) -> None:
    with pytest.raises(OperatorError) as refused:
        check_patterns("--include", patterns)
    assert words in str(refused.value)
    assert type(refused.value) is OperatorError
