"""Checking what a node stores, and repairing it."""

from shoal.api.local_node import OnProgress, Worker, ignore
from shoal.api.what import checked_what
from shoal.protocol.control import Examined, Verified, VerifyOrder


def verify(
    node: Worker, what: str | None = None, on_progress: OnProgress = ignore
) -> list[Examined]:
    """Hash again what a node stores; return the state of each thing, by name.

    Corrupt chunks are fetched again. What no other node can deliver is no longer shared.

    Args:
        node: one that was opened.
        what: a name, an id or NAME@ID. None: everything.
        on_progress: told how far it is.

    Raises:
        NotFoundError: the node does not hold it.
        OperatorError: `what` is no name; or as `Worker.carry_out`.
    """
    if what is not None:
        what = checked_what(what)
    things: list[Examined] = []
    after: str | None = ""
    while after is not None:  # A report has room for so many.
        done = node.carry_out(VerifyOrder(what, after), on_progress)
        assert isinstance(done, Verified)
        things += done.things
        after = done.next
    return things
