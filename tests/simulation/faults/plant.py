"""A fault that is planted in the running product, to see that a checker finds it."""

from typing import Any, NamedTuple


class Plant(NamedTuple):
    """What is put in place of what, and which checkers may find it."""

    changes: list[tuple[Any, str, Any]]
    checkers: set[str]
    first: int = 1  # The seed from which on a search is short.
