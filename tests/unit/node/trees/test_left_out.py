"""What is said of what is left out: some by name, all in number."""

from shoal.node.trees.left_out import LeftOut
from shoal.protocol import fields
from shoal.protocol.control import MAX_LEFT_OUT, Omission
from shoal.protocol.names import MAX_NAME_BYTES


def left_out(*paths: str) -> LeftOut:
    found = LeftOut()
    for path in paths:
        found.add(path, f"why {path}")
    return found


def test_names_as_many_as_fit_and_counts_all() -> None:
    found = left_out(*map(str, range(1000)))
    assert (found.count, len(found.told())) == (1000, MAX_LEFT_OUT)
    assert found.told()[7] == Omission("7", "why 7")


def test_what_both_have_counts_once() -> None:
    both = left_out("a", "b").and_more(left_out("b", "c"))
    assert [path for path, _ in both.named] == ["a", "b", "c"]
    assert both.count == 3
    many = left_out(*map(str, range(1000)))
    for one, two in ((many, left_out("a")), (left_out("a"), many)):
        both = one.and_more(two)
        assert (both.count, len(both.named)) == (1000, MAX_LEFT_OUT)


def test_what_is_told_can_be_sent() -> None:
    found = left_out("caf\udce9\n", "d/" * MAX_NAME_BYTES)
    found.named[1] = (found.named[1][0], "r" * 10_000)
    short, long = found.told()
    assert short.path == "caf\\xe9\n"
    assert (len(long.path), len(long.reason)) == (MAX_NAME_BYTES, fields.MAX_TEXT_CHARACTERS)
    assert long.path.endswith("…")
