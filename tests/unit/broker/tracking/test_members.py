"""The nodes that have spoken. Most of it is tested through the tracker."""

from shoal.broker.tracking.changes import Offered, Seen
from shoal.broker.tracking.members import Members


def test_a_token_is_offered_again_to_those_that_are_known_and_have_not_shown_it() -> None:
    members = Members(30, 60, ())
    members.see(Seen("n1", "tcp://10.0.0.1:11001", 1, 1), 100)
    members.settle([Offered("n1", "given"), Offered("n2", "to nobody")])
    assert members.by_node["n1"].tokens.offered == "given"
    assert members.find("n2") is None
