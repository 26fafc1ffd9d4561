"""Copies chunks that are in this node's folder already, in other things or in older versions.

Does not know how they are written, nor where blocks of the disk can be shared instead.
"""

import contextlib
import functools
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from blake3 import blake3
from shoal.node.files.signature import GoneError
from shoal.node.folder.hashing import map_with_all_cores
from shoal.node.folder.whole import Whole
from shoal.node.staging.reflink import Origin
from shoal.protocol import bitmap
from shoal.protocol.manifest import Manifest

Place = tuple[Whole, int]  # A thing, and which of its chunks.
Find = Callable[[bytes], Sequence[Place]]  # Return where a chunk is, by its digest.


class _Wanted(NamedTuple):
    """One chunk: which ones of ours it is, and where it may be."""

    indices: list[int]
    places: Sequence[Place]


def copy_chunks(
    thing: Manifest,
    missing: int,
    find: Find,
    write: Callable[[int, bytes, Origin], None],
    check: Callable[[], None] = lambda: None,
) -> int:
    """Have those `missing` chunks of `thing` written that `find` finds; return which.

    Found chunks are verified first, as they may have rotted. `write` is called from several
    threads. It costs time for the chunks that are missing, not for those that there are. `check` is
    called before each, and may raise an error.

    Raises:
        OSError: `write` did.
    """

    def copy(one: _Wanted) -> int:
        check()
        found = _right_bytes(one.places)
        if found is None:
            return 0
        data, origin = found
        # A forged manifest may give a digest with another size: no bytes have both.
        indices = [index for index in one.indices if thing.chunk_size(index) == len(data)]
        for index in indices:
            write(index, data, origin)
        return bitmap.of(indices)

    wanted = _wanted(thing, missing, find)
    return functools.reduce(operator.or_, map_with_all_cores(copy, wanted), 0)


def _right_bytes(places: Iterable[tuple[Whole, int]]) -> tuple[bytes, Origin] | None:
    for whole, index in places:
        with contextlib.suppress(GoneError, OSError):  # Then it is fetched.
            data = whole.read(index)
            if blake3(data).digest() == whole.manifest.digest(index):
                return data, Origin(whole.source, whole.manifest.chunk_offset(index))
    return None


def chunks_of(wholes: Iterable[Whole]) -> Find:
    """Return a function that finds the chunks of a few things, one place in each."""
    places: dict[bytes, list[Place]] = {}
    for whole in wholes:
        for index in range(whole.chunk_count):
            known = places.setdefault(whole.manifest.digest(index), [])
            if not known or known[-1][0] is not whole:
                known.append((whole, index))
    return lambda digest: places.get(digest, ())


def _wanted(thing: Manifest, missing: int, find: Find) -> list[_Wanted]:
    """Return those that seem to be there."""
    indices: dict[bytes, list[int]] = {}
    for index in bitmap.indices(missing):
        indices.setdefault(thing.digest(index), []).append(index)
    wanted = (_Wanted(found, find(digest)) for digest, found in indices.items())
    return [one for one in wanted if one.places]
