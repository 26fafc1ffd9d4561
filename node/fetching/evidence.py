"""What each holder of one thing has sent: which chunks wrong, and how many right.

Kept as long as the download, whatever becomes of the connections. Decides nothing about requests.
"""

import collections
import functools
import operator
from collections.abc import Collection

from shoal.node.scheduling.settings import FetchSettings
from shoal.protocol import bitmap

NAMED = 3  # Chunks of one holder that a message names; the others are counted.


class Evidence:
    """Right and wrong chunks by holder. A wrong one is proven: a chunk comes from one holder."""

    def __init__(self, settings: FetchSettings) -> None:
        self._settings = settings
        self._wrong: dict[str, int] = {}
        self._right: collections.Counter[str] = collections.Counter()

    def __bool__(self) -> bool:
        """Say whether anybody has sent a wrong chunk."""
        return bool(self._wrong)

    def sent_right(self, node: str) -> None:
        self._right[node] += 1

    def sent_wrong(self, node: str, index: int) -> bool:
        """Note a wrong chunk; say whether that is news."""
        before = self.wrong(node)
        self._wrong[node] = before | 1 << index
        return self._wrong[node] != before

    def wrong(self, node: str) -> int:
        """Return the chunks that `node` sent wrong (protocol.bitmap)."""
        return self._wrong.get(node, 0)

    def wrong_at_all(self, nodes: Collection[str]) -> int:
        """Return the chunks that each of `nodes` sent wrong; none if there are no nodes."""
        return functools.reduce(operator.and_, map(self.wrong, nodes)) if nodes else 0

    def is_liar(self, node: str) -> bool:
        """Say whether it sends too much that is wrong for a disk that has rotted in places."""
        count = self.wrong(node).bit_count()
        return count >= self._settings.wrong_chunks and count > self._right[node]

    def phrase(self, node: str) -> str:
        """Return what it did, to follow its name; chunks are counted from 1 for people."""
        numbers = [index + 1 for index in bitmap.indices(self.wrong(node))]
        if not numbers:
            return ""
        if len(numbers) == 1:
            return f"sent wrong bytes of chunk {numbers[0]}"
        named, more = numbers[:NAMED], len(numbers) - NAMED
        last = f"{more} more" if more > 0 else str(named.pop())
        return f"sent wrong bytes of chunks {', '.join(map(str, named))} and {last}"
