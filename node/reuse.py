"""Chunks that lie in this node's folder already, in other things or older versions: copied."""

import functools
import operator
from collections.abc import Callable, Iterable, Iterator

from blake3 import blake3

from node.hashing import map_with_all_cores
from node.whole import GoneError, Whole
from protocol import bitmap
from protocol.manifest import Manifest

_Found = tuple[Whole, int, list[int]]  # Where a chunk is, and which ones of ours it is.


def copy_chunks(
    thing: Manifest, missing: int, wholes: Iterable[Whole], write: Callable[[int, bytes], None]
) -> int:
    """Have those `missing` chunks of `thing` written that are found in `wholes`; return which.

    What is found is verified first: it may have rotted. `write` is called from several threads.

    Raises:
        OSError: `write` did.
    """

    def copy(one: _Found) -> int:
        whole, index, indices = one
        try:
            data = whole.read(index)
        except GoneError:
            return 0
        if blake3(data).digest() != whole.manifest.digest(index):
            return 0
        for ours in indices:
            write(ours, data)
        return bitmap.of(indices)

    found = list(_find(thing, missing, wholes))
    return functools.reduce(operator.or_, map_with_all_cores(copy, found), 0)


def _find(thing: Manifest, missing: int, wholes: Iterable[Whole]) -> Iterator[_Found]:
    wanted: dict[bytes, list[int]] = {}
    for index in bitmap.indices(missing):
        wanted.setdefault(thing.digest(index), []).append(index)
    for whole in wholes:
        for index in range(whole.chunk_count):
            indices = wanted.pop(whole.manifest.digest(index), None)
            if indices is not None:
                yield whole, index, indices
