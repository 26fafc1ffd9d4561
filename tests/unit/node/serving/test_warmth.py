"""Which things are likely to be in memory."""

from shoal.node.serving import warmth
from shoal.node.serving.warmth import Warmth
from shoal.protocol.manifest import ContentId

ONE, OTHER = (ContentId(f"b3:{number:064x}") for number in (1, 2))


def test_after_a_quick_read_the_next_will_be_quick_for_a_while() -> None:
    known = Warmth()
    assert not known.is_warm(ONE, 5.0)
    known.note(ONE, 1 << 20, 0.001, 5.0)
    assert known.is_warm(ONE, 5.9)
    assert not known.is_warm(OTHER, 5.9)
    assert not known.is_warm(ONE, 5.0 + warmth.WARM_S)


def test_a_thing_stays_warm_while_it_is_read() -> None:
    known = Warmth()
    for tenth in range(100):
        now = 5.0 + tenth / 10
        assert known.is_warm(ONE, now) or not tenth
        known.note(ONE, 1 << 20, 0.001, now)


def test_a_slow_read_says_that_the_next_may_be_slow() -> None:
    known = Warmth()
    known.note(ONE, 1 << 20, 0.001, 5.0)
    known.note(ONE, 1 << 20, 0.01, 5.1)
    assert not known.is_warm(ONE, 5.2)
    known.note(ONE, 64 << 20, 0.01, 5.1)  # For so many bytes that is quick.
    assert known.is_warm(ONE, 5.2)


def test_remembers_only_so_many_things() -> None:
    known = Warmth()
    for number in range(1000):
        known.note(ContentId(f"b3:{number:064x}"), 1, 0.0, 5.0)
    assert len(known._until) == warmth.MOST_THINGS
