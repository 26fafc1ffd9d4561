"""Waiting for a condition with a limit, never for luck."""

import time
from collections.abc import Callable

POLL_INTERVAL_S = 0.01


def wait_until(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Return as soon as the condition holds; raise TimeoutError, naming `what`, if it does not."""
    give_up_at = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"not within {timeout_s} s: {what}")
        time.sleep(POLL_INTERVAL_S)
