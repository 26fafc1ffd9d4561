"""One line of what `shoal check` says."""

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """The result of one check; `state` is ok, note or wrong."""

    state: str
    thing: str
    message: str
