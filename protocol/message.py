"""The base of all messages."""

import msgspec


class Message(msgspec.Struct, frozen=True, tag_field="type"):
    """Any message. On the wire each also carries `v`, the protocol's version."""
