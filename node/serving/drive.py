"""Feeds a server's machine and has its actions carried out. Carries out none itself."""

from collections.abc import Callable, Iterable

from shoal.node.serving import steps

Handle = Callable[[steps.Event], Iterable[steps.Action]]
CarryOut = Callable[[steps.Action], steps.Event | None]


def drive(handle: Handle, carry_out: CarryOut, event: steps.Event) -> None:
    """Hand `event` to the machine and carry out its actions in order.

    `carry_out` returns the event that an action led to, if any, which is handed over at once: a
    chunk that was read is sent before the next one is read, while the processor's caches have it.
    """
    for action in handle(event):
        led_to = carry_out(action)
        if led_to is not None:
            drive(handle, carry_out, led_to)
