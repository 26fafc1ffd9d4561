"""What is told of a fetch at its end."""

import msgspec
import pytest
from shoal.node.fetching.versions import Meant
from shoal.node.orders import outcomes
from shoal.protocol.control import Fetched
from shoal.protocol.errors import NotFoundError, OperatorError
from shoal.protocol.messages import Holders, OtherVersion
from shoal.protocol.titles import Title

from tests.unit.node.company import Company, Member

ID, OTHER = "b3:" + 64 * "0", "b3:" + 64 * "1"
DONE = Fetched("a", ID, 1, 0.5, 1, 0, {"n1": 1}, "/srv/a")


def test_the_version_that_was_taken_is_named() -> None:
    answer = Holders("a", ID, 1, (), (), (OtherVersion(OTHER, 1, 0, 1),), 3, "n1")
    told = outcomes.told(DONE, Meant(ID, "a", ID, answer))
    assert (told.version, told.publisher, told.other_versions) == (3, "n1", 1)
    assert outcomes.told(DONE, Meant("a", "a")) == DONE


def test_a_source_that_has_moved_on_is_told_by_its_number_or_id() -> None:
    answer = Holders("a", ID, 1, (), (), (), 3, "n1")
    assert "no node has v3 any more; fetching the new one" in outcomes.moved_on(
        Meant(ID, "a", ID, answer)
    )
    unnumbered = msgspec.structs.replace(answer, version=0)
    assert f"no node has {ID} any more" in outcomes.moved_on(Meant(ID, "a", ID, unnumbered))


def test_what_is_here_is_told_with_its_version(company: Company, asker: Member) -> None:
    company.put("asks", "f", b"mine")
    asker.share("f")
    thing = asker.agent.inventory.whole("f")
    assert thing is not None
    thing.title = Title(thing.id, 3, "n1")
    home = asker.agent._fetches._home
    told = outcomes.here(thing, "", home)
    assert (told.version, told.publisher, told.offline, told.fetched_bytes) == (3, "n1", False, 0)
    assert told.path == str(company.place("asks") / "f")
    assert outcomes.here(thing, "", home, is_asked=False).offline
    with pytest.raises(OperatorError, match="no such file was found: f/inside") as missing:
        outcomes.here(thing, "inside", home)
    assert isinstance(missing.value, NotFoundError)
