"""Which paths of a tree are meant: by patterns as in .gitignore, or all that lies at one place.

And whether, where it is shared, its links are followed.
"""

import functools
import re
import warnings
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_ANYTHING = r"\[\^/\]\*"  # As pathspec translates `*`.
_ONE = (  # A character that is no slash.
    r"\\.|\[\^/\]|\[(?:[A-Za-z0-9]-[A-Za-z0-9]|[\w.])+-?\]|[^][/\\()*+?]"
)
_ANYTHING_AND = re.compile(rf"{_ANYTHING}((?:{_ONE})*?)(?={_ANYTHING})")


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
    # Imported here, as that takes 15 ms, and few have a pattern.
    from pathspec import GitIgnoreSpec  # noqa: PLC0415
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern  # noqa: PLC0415

    class Quick(GitIgnoreSpecPattern):
        @classmethod
        def pattern_to_regex(cls, pattern: Any) -> Any:
            regex, include = super().pattern_to_regex(pattern)
            return regex and _without_retries(regex), include

    with warnings.catch_warnings(action="ignore", category=FutureWarning):  # As for `[[a]`.
        return GitIgnoreSpec.from_lines(Quick, patterns)


def _without_retries(regex: str) -> str:
    """Return an expression that matches the same, but in a time that grows with the path alone.

    `*-*-*-*.gz` becomes one `[^/]*` after another. On a name of 250 hyphens, which a stranger may
    have chosen, `re` would try for a minute where each may end, and no other thread would run. What
    stands between two is as long as what it matches, so the first place where it fits is as good as
    any: there the group `(?>…)` ends for good.
    """
    return _ANYTHING_AND.sub(r"(?>[^/]*?\1)", regex)


def check_pattern(pattern: str) -> None:
    """Raise ValueError if it is no pattern, or none that can mean anything."""
    try:
        rules = _compiled((pattern,)).patterns
    except re.error as error:
        raise ValueError(str(error)) from None
    if all(rule.include is None for rule in rules):
        raise ValueError("it means nothing")
