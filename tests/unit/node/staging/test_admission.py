"""What may not come in, and what is said of it."""

from pathlib import Path
from typing import Any

import pytest
from shoal.node.folder.quota import Quota
from shoal.node.staging.admission import Admission, require_any, require_such_part
from shoal.node.staging.destination import Destination
from shoal.node.staging.publication import in_the_way
from shoal.node.trees.selection import EVERYTHING, Selection
from shoal.protocol.errors import NotFoundError, OperatorError
from shoal.protocol.manifest import Manifest

from tests.unit.node.sample_trees import TREE, Model
from tests.unit.node.things import id_of, thing

FILE, A_TREE = thing([10] * 4), Model(TREE).manifest


def test_a_file_has_no_parts() -> None:
    require_such_part("f", FILE, EVERYTHING)
    with pytest.raises(OperatorError, match="no such file was found: f/x; f is a file") as refused:
        require_such_part("f", FILE, Selection(inside="x"))
    assert isinstance(refused.value, NotFoundError)
    with pytest.raises(OperatorError, match="only be fetched as a whole; leave --include"):
        require_such_part("f", FILE, Selection(include=("x",)))
    require_such_part("t", A_TREE, Selection(include=("x",)))


def test_only_what_is_fetched_as_a_whole_is_weighed_as_a_whole(tmp_path: Path) -> None:
    def admit(limit_bytes: int, thing: Manifest, **to: Any) -> None:
        quota = Quota(tmp_path, "n1", limit_bytes)
        Admission(Destination(tmp_path, **to), quota).admit("f", id_of(thing), thing)

    with pytest.raises(OperatorError, match="more than the quota of n1"):
        admit(39, FILE)
    admit(40, FILE)
    admit(39, FILE, output=tmp_path / "elsewhere")
    admit(39, A_TREE, selection=Selection(include=("x",)))


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
        "/srv already has a different a.bin that appeared while it was fetched; the fetched"
        " data is kept: move the other one and run it again, or pass --force"
    )
