"""What of a directory is not shared, and why. Looks at no disk, and says nothing to anybody."""

from shoal.protocol.control import MAX_LEFT_OUT, Omission
from shoal.protocol.fields import MAX_TEXT_CHARACTERS
from shoal.protocol.names import MAX_NAME_BYTES

LEADS_OUT = "it is a link that may lead out of the directory"


class LeftOut:
    """All that is left out is counted, and some of it named: there may be a million links."""

    def __init__(self) -> None:
        self.count = 0
        self.named: list[tuple[str, str]] = []  # Paths in the directory, and why.

    def add(self, path: str, reason: str) -> None:
        self.count += 1
        if len(self.named) < MAX_LEFT_OUT:
            self.named.append((path, reason))

    def told(self) -> tuple[Omission, ...]:
        """Return what is named, as text that may be sent and printed in JSON."""
        return tuple(
            Omission(_sendable(path), reason[:MAX_TEXT_CHARACTERS]) for path, reason in self.named
        )

    def and_more(self, other: "LeftOut") -> "LeftOut":
        """Return this and what is only in the other, as far as it is named."""
        both = LeftOut()
        known = {path for path, _ in self.named}
        both.named = [*self.named, *(one for one in other.named if one[0] not in known)]
        both.count = max(self.count, other.count, len(both.named))
        both.named = both.named[:MAX_LEFT_OUT]
        return both


def _sendable(path: str) -> str:
    """Return a path with the bytes in it that are not UTF-8 escaped."""
    text = path.encode(errors="surrogateescape").decode(errors="backslashreplace")
    return text if len(text) <= MAX_NAME_BYTES else f"{text[: MAX_NAME_BYTES - 1]}…"
