"""Asks the tracker, on behalf of an order, which other nodes hold a name or an id.

Does not tell it what this node has; that is the session's.
"""

from collections.abc import Callable

from shoal.node.orders.home import Home
from shoal.protocol.errors import NotAllowedError, TrackerError, WireCode
from shoal.protocol.keyring import towards_tracker
from shoal.protocol.messages import Error, Holders, Query
from shoal.protocol.names import quoted
from shoal.wire.tracker_client import TrackerClient


def ask(home: Home, check: Callable[[], None], what: str, prefix: str = "") -> Holders | None:
    """Return the tracker's answer, None if no other node has it.

    Args:
        home: the node that asks; asking does not mean that it has lost the thing.
        check: called while waiting for the answer; may raise.
        what: a name or an id.
        prefix: how the version's id begins, if the newest one is not meant.

    Raises:
        OperatorError: the tracker does not answer, or its answer makes no sense.
    """
    identity = home.identity
    client = TrackerClient(home.context, identity.trackers, towards=towards_tracker(identity.ring))
    try:
        query = Query(what, identity.name, partial=True, prefix=prefix)
        reply = client.ask(query, check)
    finally:
        client.close()
    match reply:
        case Holders():
            return reply
        case Error(code=WireCode.NOT_FOUND):
            return None
        case Error(code=code, message=message):
            problem = f"the tracker at {client.address} refused: {quoted(message)}"
            if code is WireCode.NOT_ALLOWED:
                raise NotAllowedError(problem)
        case _:
            problem = f"the tracker at {client.address} sent an answer to another question"
    raise TrackerError(f"{problem}; look into its log")


def newest(answer: Holders) -> tuple[int, str | None]:
    """Return the number and the id of the newest version that an answer tells of."""
    versions = [(answer.version, answer.id), *((one.version, one.id) for one in answer.versions)]
    return max(versions, key=lambda version: version[0])
