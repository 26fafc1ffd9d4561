"""What is said of what interrupted fetches have left."""

from shoal.commands import discard
from shoal.node.staging.remains import Remain
from shoal.protocol.control import Discarded
from shoal.protocol.manifest import ContentId

ID = ContentId("b3:" + 64 * "0")


def test_what_was_freed_is_told() -> None:
    assert discard._sentence(Discarded("a\x1b", 1, 5_000_000)) == "a\\x1b: freed 5.0 MB"
    nothing = "a: no interrupted fetch has left any data"
    assert discard._sentence(Discarded("a", 0, 0)) == nothing


def test_what_is_left_is_told_in_one_line() -> None:
    left = [Remain("a\x1b", ID, 5_000_000, 7200.0), Remain("", ID, 1000, -5.0)]
    assert discard.described("n1", left).startswith(
        "unfinished fetches, running or interrupted: a\\x1b 5.0 MB (2 h old), "
    )
    assert ID in discard.described("n1", left)
    assert discard.described("n1", left).endswith("--discard --as n1` removes them")
