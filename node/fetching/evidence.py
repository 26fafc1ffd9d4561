"""What is proven of each holder: which chunks it has sent wrong, and how many right."""

import collections
import functools
import operator
from collections.abc import Collection

from shoal.protocol import bitmap

WRONG_CHUNKS = 3  # A disk may have rotted in places; after so many wrong chunks, and fewer right
# ones, a holder is banned. It gets one request at a time until then, so a liar wastes no more.
PARDONED_CHUNKS = 16  # The same for one that is asked again, since no other has what is missing.
NAMED = 3  # Chunks of one holder that a message names; the others are counted.


class Evidence:
    """Which chunks each holder has sent wrong, and how many right.

    A wrong chunk is proof: each comes from one holder. Kept until the download ends, whatever
    becomes of the connections.
    """

    def __init__(self) -> None:
        self._wrong: dict[str, int] = {}
        self._right: collections.Counter[str] = collections.Counter()
        self._pardoned: set[str] = set()

    def __bool__(self) -> bool:
        """Return whether any holder has sent a wrong chunk."""
        return bool(self._wrong)

    def sent_right(self, node: str) -> None:
        self._right[node] += 1

    def sent_wrong(self, node: str, index: int) -> bool:
        """Note a wrong chunk; return whether that is news."""
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
        """Return whether it sends too many wrong chunks for a disk with a few bad spots."""
        count = self.wrong(node).bit_count()
        most = PARDONED_CHUNKS if self.is_pardoned(node) else WRONG_CHUNKS
        return count >= most and count > self._right[node]

    def may_be_pardoned(self, node: str) -> bool:
        """Return whether it has sent nothing worse than wrong chunks, and was not pardoned yet."""
        return bool(self.wrong(node)) and not self.is_pardoned(node)

    def is_pardoned(self, node: str) -> bool:
        """Return whether it is taken for a disk with many bad spots."""
        return node in self._pardoned

    def pardon(self, node: str) -> None:
        """Take it for a disk with many bad spots from now on, until it has sent many more."""
        self._pardoned.add(node)

    def phrase(self, node: str) -> str:
        """Return what it did, as a phrase that follows its name; people count chunks from 1."""
        numbers = [index + 1 for index in bitmap.indices(self.wrong(node))]
        if not numbers:
            return ""
        if len(numbers) == 1:
            return f"sent wrong bytes of chunk {numbers[0]}"
        named, more = numbers[:NAMED], len(numbers) - NAMED
        last = f"{more} more" if more > 0 else str(named.pop())
        return f"sent wrong bytes of chunks {', '.join(map(str, named))} and {last}"
