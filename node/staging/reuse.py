"""Chunks that lie in this node's folder already, in other things or older versions: copied.

How they are written, and which blocks are shared instead, is the business of who writes them.
"""

import contextlib
import functools
import operator
from collections.abc import Callable, Iterable
from typing import NamedTuple

from blake3 import blake3
from shoal.node.files.signature import GoneError
from shoal.node.folder.hashing import map_with_all_cores
from shoal.node.folder.whole import Whole
from shoal.node.staging.reflink import Origin
from shoal.protocol import bitmap
from shoal.protocol.manifest import Manifest


class _Wanted(NamedTuple):
    """One chunk: which ones of ours it is, and where it may be."""

    indices: list[int]
    places: list[tuple[Whole, int]]


def copy_chunks(
    thing: Manifest,
    missing: int,
    wholes: Iterable[Whole],
    write: Callable[[int, bytes, Origin], None],
) -> int:
    """Have those `missing` chunks of `thing` written that are found in `wholes`; return which.

    What is found is verified first: it may have rotted. `write` is called from several threads.

    Raises:
        OSError: `write` did.
    """

    def copy(one: _Wanted) -> int:
        found = _right_bytes(one.places)
        if found is None:
            return 0
        data, origin = found
        # A forged manifest may give a digest with another size: no bytes have both.
        indices = [index for index in one.indices if thing.chunk_size(index) == len(data)]
        for index in indices:
            write(index, data, origin)
        return bitmap.of(indices)

    wanted = _find(thing, missing, wholes)
    return functools.reduce(operator.or_, map_with_all_cores(copy, wanted), 0)


def _right_bytes(places: Iterable[tuple[Whole, int]]) -> tuple[bytes, Origin] | None:
    for whole, index in places:
        with contextlib.suppress(GoneError):
            data = whole.read(index)
            if blake3(data).digest() == whole.manifest.digest(index):
                return data, Origin(whole.source, whole.manifest.chunk_offset(index))
    return None


def _find(thing: Manifest, missing: int, wholes: Iterable[Whole]) -> list[_Wanted]:
    """Return those that seem to be there; in each whole one place will do."""
    wanted: dict[bytes, _Wanted] = {}
    for index in bitmap.indices(missing):
        wanted.setdefault(thing.digest(index), _Wanted([], [])).indices.append(index)
    for whole in wholes if wanted else ():
        for index in range(whole.chunk_count):
            one = wanted.get(whole.manifest.digest(index))
            if one is not None and (not one.places or one.places[-1][0] is not whole):
                one.places.append((whole, index))
    return [one for one in wanted.values() if one.places]
