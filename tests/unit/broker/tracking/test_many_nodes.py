"""A tracker that all nodes of a large cluster join at once."""

from random import Random

from shoal.broker.tracking.initial import Initial, InitialNode
from shoal.broker.tracking.tracker import Tracker
from shoal.protocol.messages import MAX_HANDOUT, Holders, Holding, Ok, Query, Update
from shoal.protocol.permits import Asker

from tests.unit.broker.scene import TRACKER_ADDRESS, content_id

HOLDING = Holding("a.bin", content_id(1), 10)
NODES = {f"n{number}": f"10.1.{number >> 8}.{number & 255}" for number in range(20_000)}


def test_twenty_thousand_nodes_join_at_once_and_an_answer_stays_short() -> None:
    """Faults 53 and 76: all at one time of the clock. benchmark/tracker_load.py measures it."""
    listed = {node: InitialNode(f"tcp://{host}:11000") for node, host in NODES.items()}
    tracker = Tracker(Initial(TRACKER_ADDRESS, listed), Random(1), 0.0)
    for node, host in NODES.items():
        update = Update(node, f"tcp://{host}:11000", 1, 1, (HOLDING,))
        assert isinstance(tracker.handle(update, 0.0, Asker(host)).reply, Ok)
    reply = tracker.handle(Query("a.bin"), 0.0, Asker("10.2.0.1")).reply
    assert isinstance(reply, Holders)
    assert len(reply.holders) == len({holder.node for holder in reply.holders}) == MAX_HANDOUT
    assert tracker._state.catalogue.holding_count == len(NODES)
