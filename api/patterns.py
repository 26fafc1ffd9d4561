"""Checks the patterns of --include and --exclude before they are used."""

from collections.abc import Iterable

from shoal.node.trees.selection import check_pattern
from shoal.protocol.control import MAX_PATTERN_CHARACTERS, MAX_PATTERNS
from shoal.protocol.errors import OperatorError
from shoal.protocol.names import display


def check_patterns(option: str, patterns: Iterable[str]) -> None:
    """Raise OperatorError if a pattern is invalid, or there are too many."""
    every = list(patterns)
    if len(every) > MAX_PATTERNS:
        message = f"{option} was given {len(every)} times; give it {MAX_PATTERNS} times at most"
        raise OperatorError(message)
    for pattern in every:
        shown = f"{option} '{display(pattern[:80])}'"
        if len(pattern) > MAX_PATTERN_CHARACTERS:
            raise OperatorError(
                f"{shown}… is longer than {MAX_PATTERN_CHARACTERS} characters; shorten it"
            )
        try:
            check_pattern(pattern)
        except ValueError as error:
            reason = display(str(error))
            raise OperatorError(
                f"{shown} is not a valid pattern: {reason}; write it as in a .gitignore"
            ) from None
