"""Which paths of a tree are meant: by patterns as in .gitignore, or all that lies at one place.

And whether, where it is shared, its links are followed.
"""

import functools
import re
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec


class Selection(msgspec.Struct, frozen=True, dict=True):
    """What matches one of `include` (or everything, if there is none) but none of `exclude`.

    If `inside` names a path, only that, or what lies below it. To `follow_links` is to take what
    they lead to for what lies there.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    inside: str = ""
    follow_links: bool = False

    @property
    def is_everything(self) -> bool:
        return not (self.include or self.exclude or self.inside)

    def chooses(self, path: str) -> bool:
        """Say whether the file, link or empty directory at `path`, in its tree, is meant."""
        if self.inside and path != self.inside and not path.startswith(f"{self.inside}/"):
            return False
        if self.include and not self._included.match_file(path):
            return False
        return not self.excludes(path)

    def excludes(self, path: str) -> bool:
        """Say whether a pattern leaves out what is at `path`, with "/" at the end a directory."""
        return bool(self.exclude) and self._excluded.match_file(path)

    @functools.cached_property
    def _included(self) -> "GitIgnoreSpec":
        return _compiled(self.include)

    @functools.cached_property
    def _excluded(self) -> "GitIgnoreSpec":
        return _compiled(self.exclude)


EVERYTHING = Selection()


def _compiled(patterns: tuple[str, ...]) -> "GitIgnoreSpec":
    from pathspec import GitIgnoreSpec  # noqa: PLC0415 (takes 15 ms, and few have a pattern)

    return GitIgnoreSpec.from_lines(patterns)


def check_pattern(pattern: str) -> None:
    """Raise ValueError if it is no pattern, or none that can mean anything."""
    try:
        rules = _compiled((pattern,)).patterns
    except re.error as error:
        raise ValueError(str(error)) from None
    if all(rule.include is None for rule in rules):
        raise ValueError("it means nothing")
