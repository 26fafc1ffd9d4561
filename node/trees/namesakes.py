"""Paths that a disk may take for one: they differ in case, or in how accents are spelled, alone.

Knows no disk, and so not whether one does.
"""

import unicodedata
from collections.abc import Iterable


def namesakes(paths: Iterable[bytes]) -> tuple[bytes, bytes] | None:
    """Return two of `paths`, or of the directories above them, that would be one; None if none are.

    The paths are UTF-8.
    """
    known: dict[str, bytes] = {}
    passed: set[bytes] = set()
    for path in paths:
        place = path
        while place and place not in passed:
            passed.add(place)
            other = known.setdefault(_folded(place), place)
            if other != place:
                return other, place
            place = place.rpartition(b"/")[0]
    return None


def _folded(path: bytes) -> str:
    """Return the same for all paths that are equal by Unicode's canonical caseless matching."""
    folded = unicodedata.normalize("NFD", path.decode()).casefold()
    return unicodedata.normalize("NFD", folded)
