"""What the machine decides is carried out in order, and nothing after a failure."""

import pytest
from shoal.node.fetching import steps
from shoal.node.fetching.drive import drive
from shoal.protocol.errors import DiskError

FAILED = steps.DiskFailed("full")
REFUSED = steps.ListingRefused("has none")
PASSED = steps.TimePassed()
STORE: list[steps.Action] = [steps.StoreChunk("n1", 7, index) for index in range(4)]


class Machine:
    """Decides as it is told, and notes what it hears and what is carried out."""

    def __init__(self, decides: dict[steps.Event, list[steps.Action]]) -> None:
        self.decides = decides
        self.answers: dict[steps.Action, steps.Event] = {}
        self.heard: list[steps.Event] = []
        self.done: list[steps.Action] = []

    def handle(self, event: steps.Event) -> list[steps.Action]:
        self.heard.append(event)
        return self.decides.get(event, [])

    def carry_out(self, action: steps.Action) -> steps.Event | None:
        self.done.append(action)
        return self.answers.get(action)

    def drive(self, event: steps.Event) -> None:
        drive(self.handle, self.carry_out, event)


def test_all_is_carried_out_in_order_and_what_it_leads_to_is_heard() -> None:
    found = steps.StagingOpened(0, 1)
    decides: dict[steps.Event, list[steps.Action]] = {PASSED: STORE[:2], found: STORE[2:]}
    machine = Machine(decides)
    machine.answers[STORE[0]] = found
    machine.drive(PASSED)
    assert machine.done == STORE
    assert machine.heard == [PASSED, found]


@pytest.mark.parametrize("failure", [FAILED, REFUSED])
def test_after_a_failure_nothing_is_carried_out_that_was_decided_before(
    failure: steps.Event,
) -> None:
    found, fail = steps.StagingOpened(0, 1), steps.Fail(DiskError, "full")
    machine = Machine({PASSED: [STORE[0], STORE[1], steps.Publish()], failure: [fail]})
    machine.answers = {STORE[0]: found, STORE[1]: failure}
    machine.drive(PASSED)
    assert machine.done == [STORE[0], STORE[1], fail]
    assert machine.heard == [PASSED, failure]
