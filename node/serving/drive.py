"""Feeds a server's machine and has its actions carried out. Carries out none itself."""

from collections.abc import Callable, Iterable

from shoal.node.serving import steps

Handle = Callable[[steps.Event], Iterable[steps.Action]]
CarryOut = Callable[[steps.Action], steps.Event | None]


def drive(handle: Handle, carry_out: CarryOut, event: steps.Event) -> None:
    """Hand `event` to the machine, carry out its actions in order, and hand over what they lead to.

    `carry_out` returns the event that an action led to, if any.
    """
    events = [event]
    for each in events:  # More join meanwhile.
        for action in handle(each):
            led_to = carry_out(action)
            if led_to is not None:
                events.append(led_to)
