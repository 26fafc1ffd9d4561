"""Stopping to share something."""

from shoal.api.local_node import Worker
from shoal.api.what import checked_what
from shoal.protocol.control import ForgetOrder, Forgotten


def forget(node: Worker, what: str, *, delete: bool = False) -> Forgotten:
    """Stop sharing something; return what it was.

    Args:
        node: one that was opened.
        what: a name, an id or NAME@ID.
        delete: delete its bytes too. By default they stay in the node's folder.

    Raises:
        NotFoundError: the node does not hold it.
        DiskError: it cannot be deleted, or the node cannot record that it is no longer shared.
        OperatorError: `what` is no name; or as `Worker.carry_out`.
    """
    done = node.carry_out(ForgetOrder(checked_what(what), delete))
    assert isinstance(done, Forgotten)
    return done
