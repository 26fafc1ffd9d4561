"""What the fields of messages may hold, as types that msgspec checks."""

from typing import Annotated

from msgspec import Meta
from shoal.protocol import addresses, manifest, names, rates

MAX_TEXT_CHARACTERS = 4096  # Of a sentence for people.
MAX_NUMBER = 2**53  # Of a version; what every language's numbers can hold.

Node = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}\Z")]
Address = Annotated[str, Meta(pattern=addresses.PATTERN, max_length=300)]
Id = Annotated[str, Meta(pattern=r"^b3:[0-9a-f]{64}\Z")]
What = Annotated[str, Meta(min_length=1, max_length=names.MAX_NAME_BYTES)]  # A name or an id.
Count = Annotated[int, Meta(ge=0, le=2**53)]
Rate = Annotated[int, Meta(ge=rates.LEAST, le=rates.MOST)]  # Of a limit, in bytes/s.
Size = Annotated[int, Meta(ge=0, le=2**53)]
Index = Annotated[int, Meta(ge=0, lt=manifest.MAX_CHUNKS)]
Offered = Annotated[tuple[Index, ...], Meta(max_length=4096)]
Have = Annotated[bytes, Meta(max_length=manifest.MAX_CHUNKS // 8)]  # protocol.bitmap's bytes.
Number = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]  # Of a published version; 0: none told.
Prefix = Annotated[str, Meta(pattern=r"^[0-9a-f]{0,64}\Z")]  # Of an id, without its "b3:".
Token = Annotated[str, Meta(pattern=r"^[0-9A-Za-z_-]{0,64}\Z")]  # A node's; empty: none is shown.
Text = Annotated[str, Meta(max_length=MAX_TEXT_CHARACTERS)]
