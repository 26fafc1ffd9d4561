"""What is said of things that were verified."""

import msgspec
from shoal.commands import verify
from shoal.protocol.control import Examined

RIGHT = Examined("a\x1b.bin", "b3:" + 64 * "0", 8, 0)


def test_what_is_right_is_told_so() -> None:
    assert verify._sentence(RIGHT) == "a\\x1b.bin: right, all 8 chunks"


def test_what_was_damaged_is_told_with_what_came_of_it() -> None:
    damaged = msgspec.structs.replace(RIGHT, damaged=2)
    healed = msgspec.structs.replace(damaged, healed=True, fetched_bytes=100)
    assert verify._sentence(healed) == "a\\x1b.bin: 2 of 8 chunks were corrupt; healed"
    lost = msgspec.structs.replace(damaged, trouble="no other node has a good copy")
    assert verify._sentence(lost) == (
        "a\\x1b.bin: 2 of 8 chunks are corrupt; no longer sharing it: no other node has a good copy"
    )
