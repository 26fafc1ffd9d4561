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
        (["*", ""], "--include '' is no pattern as in .gitignore; it means nothing"),
        (["# all"], "--include '# all' is no pattern"),
        (["[z-a]\x1b"], r"--include '[z-a]\x1b' is no pattern as in .gitignore; bad character"),
        (["x" * (MAX_PATTERN_CHARACTERS + 1)], "… is too long; 1000 fit"),
        (["x"] * (MAX_PATTERNS + 1), "--include was given 101 times; give it 100 times at most"),
    ],
)
def test_what_is_no_pattern_is_refused(patterns: list[str], words: str) -> None:
    with pytest.raises(OperatorError) as refused:
        check_patterns("--include", patterns)
    assert words in str(refused.value)
    assert type(refused.value) is OperatorError
