"""What an event may lead to an answer of."""

import pytest
from shoal.node.serving import steps
from shoal.node.serving.steps import Event, NonsenseArrived, Source
from shoal.protocol.errors import WireCode

SOURCE = Source("10.0.0.1", 1)
ONE, OTHER = (NonsenseArrived(number, SOURCE, WireCode.MALFORMED, "no") for number in (7, 8))


@pytest.mark.parametrize(
    ("event", "numbers"),
    [
        (ONE, [7]),
        (steps.ManyArrived([ONE, OTHER]), [7, 8]),
        (steps.AnswerFailed(9), [9]),
        (steps.ReplyLeft(9), []),
        (steps.AskerLeft(SOURCE), []),
        (steps.TimePassed(), []),
    ],
)
def test_the_requests_of_an_event(event: Event, numbers: list[int]) -> None:
    assert steps.requests_of(event) == numbers
