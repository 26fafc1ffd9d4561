"""What a node asks the tracker on behalf of an order: who else has a name or an id.

Says nothing of what the node has itself; that is the session's.
"""

from collections.abc import Callable

from shoal.node.orders.home import Home
from shoal.protocol.errors import TrackerError, WireCode
from shoal.protocol.messages import Error, Holders, Query
from shoal.protocol.names import display
from shoal.wire.tracker_client import TrackerClient


def ask(home: Home, check: Callable[[], None], what: str, prefix: str = "") -> Holders | None:
    """Return the tracker's answer, None if nobody else has it.

    Args:
        home: the node that asks; it is not taken to have lost the thing.
        check: called while the answer is awaited; may raise.
        what: a name or an id.
        prefix: how the version's id begins, if a name alone does not say which is meant.

    Raises:
        OperatorError: the tracker does not answer, or only nonsense.
    """
    address = home.identity.tracker_address
    client = TrackerClient(home.context, address)
    try:
        query = Query(what, home.identity.name, partial=True, prefix=prefix)
        reply = client.ask(query, check)
    finally:
        client.close()
    match reply:
        case Holders():
            return reply
        case Error(code=WireCode.NOT_FOUND):
            return None
        case Error(message=message):
            problem = f"the tracker at {address} refused: {display(message)}"
        case _:
            problem = f"the tracker at {address} answered something else than was asked"
    raise TrackerError(f"{problem}; look into its log")


def newest(answer: Holders) -> tuple[int, str | None]:
    """Return the number and the id of the newest version that an answer tells of."""
    versions = [(answer.version, answer.id), *((one.version, one.id) for one in answer.versions)]
    return max(versions, key=lambda version: version[0])
