"""Removing what interrupted fetches have left."""

from shoal.api.local_node import Worker
from shoal.api.what import checked_what
from shoal.protocol.control import Discarded, DiscardOrder


def discard(node: Worker, what: str) -> Discarded:
    """Have a node remove what interrupted fetches of `what` have left; return how much it was.

    Args:
        node: one that was opened.
        what: a name, an id or NAME@ID.

    Raises:
        OperatorError: it is being fetched, or `what` is no name; or as `Worker.carry_out`.
    """
    done = node.carry_out(DiscardOrder(checked_what(what)))
    assert isinstance(done, Discarded)
    return done
