"""What an action leads to is handed over at once."""

from shoal.node.serving.drive import drive
from shoal.node.serving.steps import Action, Event, FindState, StateFound, TimePassed
from shoal.protocol.messages import State


def test_hands_over_what_an_action_leads_to_before_the_next_one() -> None:
    said: list[str] = []

    def handle(event: Event) -> list[Action]:
        said.append(type(event).__name__)
        is_first = isinstance(event, TimePassed)
        return [FindState(1, "a", None), FindState(2, "b", None)] if is_first else []

    def carry_out(action: Action) -> Event | None:
        assert isinstance(action, FindState)
        said.append(action.name)
        return StateFound(1, State("none")) if action.name == "a" else None

    drive(handle, carry_out, TimePassed())
    assert said == ["TimePassed", "a", "StateFound", "b"]
