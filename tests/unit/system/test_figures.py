"""Figures: families of plain numbers, and sums by names that strangers choose."""

from shoal.system.figures import OTHER, Family, Named, build_info, counter, each, gauge


def test_a_family_is_what_was_counted() -> None:
    assert counter("a_total", "A.", 3) == Family("a_total", "counter", "A.", (), {(): 3})
    assert gauge("b", "B.", 0.5).kind == "gauge"
    assert each("c", "gauge", "C.", "who", {"x": 1.0}).values == {("x",): 1.0}
    assert build_info("1", "2", "n1").labels == ("version", "libzmq", "name")


def test_only_so_many_names_have_sums_of_their_own() -> None:
    named = Named(2)
    for name in ("a", "b", "c", "a", "d"):
        named.add(name, 10)
    assert named.read() == {"a": 20, "b": 10, OTHER: 20}
    named.read()["a"] = 0
    assert named.read()["a"] == 20
