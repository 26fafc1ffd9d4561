"""Having a node share something no longer."""

from shoal.api.local_node import LocalNode
from shoal.api.what import checked_what
from shoal.protocol.control import ForgetOrder, Forgotten


def forget(node: LocalNode, what: str, *, delete: bool = False) -> Forgotten:
    """Have a node share something no longer; return what it was.

    Args:
        node: one that was opened.
        what: a name, an id or NAME@ID.
        delete: delete its bytes too. By default they stay in the node's folder.

    Raises:
        NotFoundError: the node does not hold it.
        DiskError: it cannot be deleted, or the node cannot note that it is not to be shared.
        OperatorError: `what` is no name; or as `LocalNode.carry_out`.
    """
    done = node.carry_out(ForgetOrder(checked_what(what), delete))
    assert isinstance(done, Forgotten)
    return done
