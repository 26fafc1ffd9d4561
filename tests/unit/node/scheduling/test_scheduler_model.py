"""The scheduler under whatever its holders do: what must never happen, and what always must."""

import functools
import itertools
import math
import operator
from typing import Any
from unittest import mock

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from shoal.node.scheduling import holders
from shoal.node.scheduling.requests import Request
from shoal.node.scheduling.scheduler import Scheduler
from shoal.protocol import bitmap
from shoal.protocol.manifest import Manifest

from tests.unit.node.things import rng, thing

NODES = st.sampled_from(["n1", "n2", "n3", "n4"])
SIZES = st.lists(st.sampled_from([1, 10, 25, 60]), min_size=1, max_size=40)
WINDOW_BYTES = 90
SMALL: dict[str, Any] = {
    "WINDOW_BYTES": 50,
    "WINDOW_REQUESTS": 4,
    "MOST_PATIENCE_S": 8.0,
    "GIVE_UP_S": 20.0,
}


class AnyHolders(RuleBasedStateMachine):
    """Holders come, go, deliver, refuse, keep silent and contradict themselves."""

    thing: Manifest
    same: list[int]  # By chunk: those with its bytes, itself too.
    scheduler: Scheduler

    def __init__(self) -> None:
        super().__init__()
        self.small = mock.patch.multiple(holders, None, **SMALL)  # So that they are reached.
        self.small.start()
        self.now = 0.0
        self.out: dict[int, Request] = {}
        self.stored: set[int] = set()

    @initialize(sizes=SIZES, have=st.integers(0, 2**40))
    def begin(self, sizes: list[int], have: int) -> None:
        self.thing = thing(sizes)
        bytes_of = [(self.thing.digest(index), size) for index, size in enumerate(sizes)]
        self.same = [bitmap.of(at for at, b in enumerate(bytes_of) if a == b) for a in bytes_of]
        at_start = self.with_same(have & bitmap.full(len(sizes)))
        self.stored = set(bitmap.indices(at_start))
        self.scheduler = Scheduler(
            self.thing, at_start, bitmap.full(self.thing.chunk_count), rng(), WINDOW_BYTES
        )

    def with_same(self, chunks: int) -> int:
        """Return chunks, and all with the same bytes; those of one byte have few different ones."""
        return functools.reduce(operator.or_, map(self.same.__getitem__, bitmap.indices(chunks)), 0)

    @rule(node=NODES, complete=st.booleans())
    def come(self, node: str, complete: bool) -> None:  # noqa: FBT001 (drawn)
        self.scheduler.add(node, self.now, complete=complete)
        self.ask()

    @rule(node=NODES)
    def go(self, node: str) -> None:
        self.scheduler.drop(node, self.now)
        self.out = {key: request for key, request in self.out.items() if request.node != node}
        self.ask()

    @precondition(lambda self: self.out)
    @rule(data=st.data(), have=st.binary(max_size=5))
    def deliver(self, data: st.DataObject, have: bytes) -> None:
        request = self.answered(data)
        index = request.index
        self.scheduler.learn(request.node, have, self.now)
        came = self.scheduler.received(request.node, request.request_id, index, self.now)
        assert came == (0 if index in self.stored else self.same[index])
        self.stored.update(bitmap.indices(self.same[index]))
        self.ask()

    @precondition(lambda self: self.out)
    @rule(data=st.data(), have=st.binary(max_size=5))
    def have_nothing(self, data: st.DataObject, have: bytes) -> None:
        request = self.answered(data)
        self.scheduler.had_nothing(request.node, request.request_id, have, self.now)
        self.ask()

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def be_busy(self, data: st.DataObject) -> None:
        request = self.answered(data)
        self.scheduler.is_busy(request.node, self.now)
        self.scheduler.give_up(request.node, request.request_id, self.now)
        self.ask()

    @rule(seconds=st.sampled_from([0.001, 0.1, 0.3, 1.0, 5.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.ask()

    @rule()
    def wait_for_the_deadline(self) -> None:
        deadline = self.scheduler.deadline(self.now)
        if deadline is not None:
            self.now = deadline
            self.ask()

    def answered(self, data: st.DataObject) -> Request:
        request_id = data.draw(st.sampled_from(sorted(self.out)))
        return self.out.pop(request_id)

    def ask(self) -> None:
        """Do what the download does after each event."""
        for node in self.scheduler.silent(self.now):
            self.go(node)
        for request in self.scheduler.next_requests(self.now):
            self.out[request.request_id] = request

    @invariant()
    def the_deadline_lies_ahead(self) -> None:
        deadline = self.scheduler.deadline(self.now)
        assert deadline is None or self.now < deadline < math.inf

    @invariant()
    def no_window_is_exceeded(self) -> None:
        prompt = [request for request in self.out.values() if not request.is_overdue]
        in_flight = sum(request.size_bytes for request in prompt)
        assert in_flight <= WINDOW_BYTES or len(prompt) == 1
        for node in (peer.node for peer in self.scheduler._near.in_order):
            mine = [
                request
                for request in self.out.values()
                if request.node == node and not request.is_written_off
            ]
            assert len(mine) <= holders.WINDOW_REQUESTS
            assert len(mine) <= 1 or sum(each.size_bytes for each in mine) <= holders.WINDOW_BYTES
        for request in self.out.values():
            assert request.size_bytes == self.thing.chunk_size(request.index)

    @invariant()
    def no_chunk_is_asked_for_twice_unless_one_is_late_or_takes_over(self) -> None:
        prompt = [request for request in self.out.values() if not request.is_overdue]
        for index in range(self.thing.chunk_count if prompt else 0):
            for_it = [request for request in prompt if request.bits & self.same[index]]
            for first, second in itertools.pairwise(for_it):
                assert second.hedges == first.request_id

    @invariant()
    def knows_what_has_arrived(self) -> None:
        assert self.scheduler.wanted.have == bitmap.of(self.stored)

    @invariant()
    def a_holder_with_room_is_asked_for_a_free_chunk_that_it_has(self) -> None:
        prompt = [request for request in self.out.values() if not request.is_overdue]
        asked = self.with_same(bitmap.of(request.index for request in prompt))
        free = bitmap.full(self.thing.chunk_count) & ~bitmap.of(self.stored) & ~asked
        room_bytes = WINDOW_BYTES - sum(each.size_bytes for each in prompt)
        for peer in self.scheduler._near.in_order:
            wanted = free & peer.said_to_have or free & peer.believed_to_have(self.now)
            if wanted:
                size_bytes = max(map(self.thing.chunk_size, bitmap.indices(wanted)))
                is_room = size_bytes <= room_bytes or not prompt
                assert not is_room or not peer.may_be_asked(size_bytes, self.now)

    def teardown(self) -> None:
        """From now on n9 is honest, and the others are silent: the thing is complete soon."""
        if hasattr(self, "scheduler"):
            self.finish()
        self.small.stop()

    def finish(self) -> None:
        self.scheduler.add("n9", self.now, complete=True)
        self.ask()
        until = self.now + 100
        while not self.scheduler.wanted.is_complete:
            honest = [each for each in self.out.values() if each.node == "n9"]
            for request in honest:
                del self.out[request.request_id]
                index = request.index
                self.scheduler.received("n9", request.request_id, index, self.now)
                self.stored.update(bitmap.indices(self.same[index]))
            deadline = self.scheduler.deadline(self.now)
            if not honest and not self.scheduler.wanted.is_complete:
                assert deadline is not None
                self.now = deadline
                assert self.now < until
            self.ask()


AnyHolders.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
test_whatever_the_holders_do = AnyHolders.TestCase
