"""What is told apart of all that changes."""

import pytest
from shoal.node.folder import changed
from shoal.node.folder.changed import Changed


def of(*paths: str) -> Changed:
    """Return what has changed: `t/x` is x in t, `t` all of t."""
    found = Changed()
    for path in paths:
        found.add(*path.split("/", 1))
    return found


def test_tells_things_and_paths_in_them_apart() -> None:
    assert not Changed()
    assert Changed(everything=True)
    assert of("t/x", "t/y/z", "u").things == {"t": {"x", "y/z"}, "u": {""}}


def test_all_of_a_thing_is_more_than_a_path_in_it() -> None:
    assert of("t/x", "t", "t/y").things == {"t": {""}}


def test_takes_over_what_another_has_noted() -> None:
    both = of("t/x", "u")
    both.update(of("t/y", "v"))
    assert (both.things, both.is_everything) == ({"t": {"x", "y"}, "u": {""}, "v": {""}}, False)
    both.update(Changed(everything=True))
    assert both.is_everything


def test_tells_only_so_many_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changed, "MOST_PATHS", 2)
    monkeypatch.setattr(changed, "MOST_THINGS", 2)
    assert of("t/x", "t/y").things == {"t": {"x", "y"}}
    assert of("t/x", "t/y", "t/z").things == {"t": {""}}
    assert not of("t", "u").is_everything
    assert of("t", "u", "v").is_everything
