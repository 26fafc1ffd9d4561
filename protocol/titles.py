"""Which version of its name a thing is, and who published it. Remembers nothing (see register.py).

A name has published versions v1, v2, …. The node that first shares a thing under a name publishes
it, and its later versions; a fetched copy that was changed is not a version. See "Versions" in
docs/build/protocol.md.
"""

import msgspec

Published = tuple[int, str | None]  # The number and the id of a name's newest version.


class Title(msgspec.Struct, frozen=True, gc=False):
    """What is known of one thing: that the content `id` is version `version` of its name.

    `publisher` is None while it is unknown. With `claims`, no tracker has confirmed it yet.
    """

    id: str
    version: int = 0
    publisher: str | None = None
    claims: bool = False


def entitled(known: Title | None, content_id: str, node: str) -> Title | None:
    """Return the title of a thing in the folder of `node`; None if it may not have one.

    Args:
        known: the title of what was there under that name.
        content_id: the id of what is there now.
        node: the node's name.
    """
    if known is None:
        return Title(content_id, 1, node, claims=True)
    if known.id == content_id:
        return known
    if known.publisher == node:
        return Title(content_id, known.version + 1, node, claims=True)
    return None


def published_over(newest: Published, known: Title | None, content_id: str, node: str) -> Title:
    """Return the title of what the operator of `node` publishes with `--force`."""
    number, newest_id = newest
    if known is not None and known.id == content_id and newest_id in {None, content_id}:
        return known
    before = max(number, known.version if known is not None else 0)
    return Title(content_id, before + 1, node, claims=True)
