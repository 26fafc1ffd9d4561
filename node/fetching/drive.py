"""Feeds a download's machine and has its actions carried out. Carries out none itself.

The fetcher, the simulator and the model tests share it, and so its rule: after a failure of the
disk, nothing that was decided before it is carried out.
"""

import collections
from collections.abc import Callable, Iterable

from shoal.node.fetching import steps

Handle = Callable[[steps.Event], Iterable[steps.Action]]
CarryOut = Callable[[steps.Action], steps.Event | None]


def drive(handle: Handle, carry_out: CarryOut, event: steps.Event) -> None:
    """Hand `event` to the machine and carry out its actions, in order.

    `carry_out` returns the event that an action led to, if any; it is handed over in turn. When it
    is a failure, the rest of the batch and all events that wait are dropped, and the machine is
    told of the failure alone: a chunk that could not be written must not be followed by the
    publishing that counted on it.
    """
    waiting = collections.deque([event])
    while waiting:
        for action in handle(waiting.popleft()):
            answer = carry_out(action)
            if isinstance(answer, steps.DiskFailed | steps.ListingRefused):
                waiting.clear()
                waiting.append(answer)
                break
            if answer is not None:
                waiting.append(answer)
