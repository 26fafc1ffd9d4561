"""Which paths of a tree are meant, by patterns as in .gitignore: what to take, what to leave."""

import functools
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import pathspec


class Selection(msgspec.Struct, frozen=True, dict=True):
    """What matches one of `include` (or everything, if there is none) but none of `exclude`."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @property
    def is_everything(self) -> bool:
        return not self.include and not self.exclude

    def chooses(self, path: str) -> bool:
        """Say whether the file, link or empty directory at `path`, in its tree, is meant."""
        if self.include and not self._included.match_file(path):
            return False
        return not (self.exclude and self._excluded.match_file(path))

    @functools.cached_property
    def _included(self) -> "pathspec.PathSpec[Any]":
        return _compiled(self.include)

    @functools.cached_property
    def _excluded(self) -> "pathspec.PathSpec[Any]":
        return _compiled(self.exclude)


def _compiled(patterns: tuple[str, ...]) -> "pathspec.PathSpec[Any]":
    import pathspec  # noqa: PLC0415 (takes 7 ms, and most fetches have no pattern)

    return pathspec.PathSpec.from_lines("gitignore", patterns)


EVERYTHING = Selection()
