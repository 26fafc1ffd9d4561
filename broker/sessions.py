"""Over which connection each node speaks, so that it can be told something without its asking.

What gets lost costs nothing but time: a node hears the same with the answer to its next renewal.
"""

from collections.abc import Callable, Iterable

from shoal.protocol import messages
from shoal.protocol.messages import Renew, Update
from shoal.protocol.pushing import News
from shoal.wire.connections import Connection
from shoal.wire.listener import Letter, Listener
from shoal.wire.tracker_client import NEWS_TAG

FRAMES = 3  # Of the envelope of our own clients: who, which question, and the delimiter.


class Sessions:
    """The latest letter of each node that was heard, without what was in it."""

    def __init__(self) -> None:
        self._letters: dict[str, Letter] = {}
        self._nodes: dict[Connection, str] = {}

    def heard(self, request: Update | Renew, letter: Letter) -> None:
        """Note that a node has spoken, and was believed."""
        if len(letter.envelope) != FRAMES:
            return
        before = self._letters.get(request.node)
        if before is not None and before.connection is not letter.connection:
            self.over(before.connection)
        identity, _, delimiter = letter.envelope
        envelope = [identity, NEWS_TAG, delimiter]
        self._letters[request.node] = letter._replace(envelope=envelope, body=[])
        self._nodes[letter.connection] = request.node

    def over(self, connection: Connection) -> None:
        """Forget a connection."""
        node = self._nodes.pop(connection, None)
        if node is not None:
            self._letters.pop(node, None)

    def notify(
        self, listener: Listener, nodes: Iterable[str], news_for: Callable[[str], News]
    ) -> None:
        """Tell those of the nodes that are connected their news."""
        for node in nodes:
            letter = self._letters.get(node)
            if letter is not None and not letter.connection.is_ended:
                listener.send(letter, messages.encode(news_for(node)))
