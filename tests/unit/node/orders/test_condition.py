"""What a node says of itself: before it runs, while it does, and when a loop hangs."""

import time
from pathlib import Path

import zmq
from shoal.node.orders.condition import STUCK_S, THREADS
from shoal.protocol.control import FetchOrder
from shoal.system.figures import Family, Histogram
from shoal.system.pulse import Pulse

from tests.unit.node.hostile import HONEST, NAME, swarm
from tests.unit.node.test_agent import DATA, a_node
from tests.unit.wire.places import LIMIT_S, eventually


def test_says_what_is_not_running_and_which_loop_hangs(
    context: "zmq.Context[zmq.Socket[bytes]]", tmp_path: Path
) -> None:
    with swarm(context, DATA, [HONEST]) as (tracker, _), a_node(tmp_path, tracker.address) as agent:
        condition = agent.condition
        missing = [f"the thread '{name}' is not running" for name in THREADS]
        assert condition.ailments() == missing
        assert condition.unready()[0] == "the folder is being looked through"
        agent.start()
        eventually(lambda: condition.ailments() == [])
        assert agent.wait_for_first_look(LIMIT_S)
        condition.pulses["orders"] = pulse = Pulse()
        pulse.since = time.monotonic() - STUCK_S - 5
        assert condition.ailments() == [f"the loop 'orders' has not turned for {STUCK_S + 5:.0f} s"]
        pulse.rest()
        assert condition.ailments() == []


def test_tells_what_was_fetched(context: "zmq.Context[zmq.Socket[bytes]]", tmp_path: Path) -> None:
    with swarm(context, DATA, [HONEST]) as (tracker, _), a_node(tmp_path, tracker.address) as agent:
        agent.start()
        agent.fetch(FetchOrder(NAME), lambda _: None)
        told = agent.condition.figures()
        figures = {one.name: one.values for one in told if isinstance(one, Family)}
        (took,) = (one for one in told if isinstance(one, Histogram))
        assert sum(took.counts) == figures["shoal_chunks_total"]["ok",]
        assert took.total > 0
        assert sum(figures["shoal_received_bytes_total"].values()) == len(DATA)
        assert figures["shoal_chunks_total"]["ok",] > 0
        assert figures["shoal_fetches_total"]["done",] == 1
        assert figures["shoal_holdings_bytes"][()] == len(DATA)
