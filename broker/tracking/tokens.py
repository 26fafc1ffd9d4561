"""The tokens by which a node is known, where there are no keys. Makes none up.

The tracker gives a node a token with its first `ok`, and the node shows it from then on. A node
that lost its token, and one that pretends so, gets another when nobody uses the name. What was
shown before stays valid: its owner gets the name back at once, and ends all later ones by that.
"""

from typing import NamedTuple, Self

MOST_SHOWN = 4  # A node that is installed anew needs another; impostors share the last place.


class Tokens(NamedTuple):
    """A node's tokens."""

    shown: tuple[str, ...] = ()  # The eldest first.
    offered: str = ""  # Given out and never shown, so whoever has the name now may not know it.

    @classmethod
    def of(cls, text: str) -> Self:
        """Return what `text` made a text of."""
        return cls(tuple(text.split()))

    @property
    def text(self) -> str:
        """Return those that were shown, as one text for the log."""
        return " ".join(self.shown)

    @property
    def guard(self) -> bool:
        """Return whether the name is in use by somebody who shows a token."""
        return bool(self.shown) and not self.offered

    def has(self, token: str) -> bool:
        return token != "" and (token in self.shown or token == self.offered)

    def is_elder(self, token: str) -> bool:
        """Return whether it was shown before the name went to somebody else."""
        return token in self.shown and (token != self.shown[-1] or self.offered != "")

    def after(self, token: str) -> Self:
        """Return them after one was shown, which may be unknown: all later ones are void."""
        if token in self.shown:
            return self._replace(shown=self.shown[: self.shown.index(token) + 1], offered="")
        return self._replace(shown=(*self.shown[: MOST_SHOWN - 1], token), offered="")


NO_TOKENS = Tokens()
