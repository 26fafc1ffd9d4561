"""What cannot be taken in, and what is said of it."""

from pathlib import Path

import pytest
from shoal.node.folder.quota import Quota
from shoal.node.staging.room import in_the_way, require_any, require_room
from shoal.node.trees.selection import EVERYTHING, Selection
from shoal.protocol.errors import NotFoundError, OperatorError

from tests.unit.node.sample_trees import TREE, Model
from tests.unit.node.things import thing

FILE, A_TREE = thing([10] * 4), Model(TREE).manifest


def test_a_file_has_no_parts() -> None:
    require_room("f", FILE, EVERYTHING, None)
    with pytest.raises(OperatorError, match="no such file was found: f/x; f is a file") as refused:
        require_room("f", FILE, Selection(inside="x"), None)
    assert isinstance(refused.value, NotFoundError)
    with pytest.raises(OperatorError, match="only be fetched as a whole; leave --include"):
        require_room("f", FILE, Selection(include=("x",)), None)
    require_room("t", A_TREE, Selection(include=("x",)), None)


def test_only_what_is_fetched_as_a_whole_is_weighed_as_a_whole(tmp_path: Path) -> None:
    quota = Quota(tmp_path, "n1", 39)
    with pytest.raises(OperatorError, match="more than the quota of n1"):
        require_room("f", FILE, EVERYTHING, quota)
    require_room("t", A_TREE, Selection(include=("x",)), quota)
    require_room("f", FILE, EVERYTHING, Quota(tmp_path, "n1", 40))


def test_something_must_match() -> None:
    require_any("t", EVERYTHING, has_any=True)
    with pytest.raises(OperatorError, match="nothing in t matches; `shoal fetch t` fetches all"):
        require_any("t", Selection(include=("x",)), has_any=False)
    with pytest.raises(OperatorError, match="no such file was found: t/x; `shoal fetch t`"):
        require_any("t", Selection(inside="x"), has_any=False)


def test_what_appeared_meanwhile_is_told_with_its_remedies() -> None:
    error = in_the_way("a.bin", Path("/srv"))
    assert type(error) is OperatorError
    assert str(error) == (
        "/srv already has a different a.bin that appeared while it was fetched; what has arrived"
        " is kept: move it and run it again, or pass --force"
    )
