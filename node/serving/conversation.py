"""What to say to the tracker next: the announcer's word, or the question what is wished of us.

Sends nothing. One message is out at a time, and it is known whose it was when the answer comes.
"""

from shoal.node.serving.announcer import Announcer
from shoal.node.serving.wished import Listing
from shoal.protocol.errors import WireCode
from shoal.protocol.message import Message
from shoal.protocol.messages import Error, Ok, TrackerReply
from shoal.protocol.pushing import Doing, Wish, Wishes, WishList

BUSY_S = 2.0  # How often the tracker hears what goes on: people may be watching.
LIST_AGAIN_S = 5.0  # If the tracker does not say what it wishes.


class Conversation:
    """Turns between the announcer and the list of wishes. `now` is monotonic, in seconds."""

    def __init__(self, announcer: Announcer) -> None:
        self.announcer = announcer
        self._listing = Listing()
        self._obeying: str | None = None  # For whom wishes are asked for.
        self._lists = False  # It is the wishes that were asked for, and not the announcer's turn.
        self._list_at = 0.0

    def obey_as(self, node: str) -> None:
        """Ask what is wished of a node, from now on."""
        self._obeying = node

    @property
    def deadline(self) -> float | None:
        """When there is something to say, if nothing happens before; None: an answer is awaited."""
        deadline = self.announcer.deadline
        is_due = self._obeying is not None and self._listing.is_due
        return self._list_at if is_due and (deadline or 0.0) > self._list_at else deadline

    def next_message(self, now: float) -> Message | None:
        """Return what to send now, if anything. It counts as sent."""
        message = self.announcer.next_message(now)
        if message is not None or self._obeying is None:
            return message
        if not self._listing.is_due or now < self._list_at:
            return None
        self._lists = True
        return Wishes(self._obeying, self._listing.after)

    def answered(self, reply: TrackerReply, now: float) -> bool:
        """Take in the answer to what is out; say whether the announcer had said it."""
        if self._lists:
            self._lists = False
            self._take_in(reply, now)
            return False
        self.announcer.answered(reply, now)
        if isinstance(reply, Ok):
            self._listing.told(reply.wishes)
        return True

    def _take_in(self, reply: TrackerReply, now: float) -> None:
        match reply:
            case WishList():
                self._listing.page(reply.revision, reply.wishes, reply.next)
            case Error(code=WireCode.UNSUPPORTED):
                self._listing.refused()
            case _:  # What was wished before still counts.
                self._list_at = now + LIST_AGAIN_S

    def unanswered(self, now: float) -> None:
        """Note that no answer came."""
        if self._lists:
            self._list_at = now + LIST_AGAIN_S
        else:
            self.announcer.unanswered(now)
        self._lists = False

    def moved(self, now: float) -> None:
        """Note that another tracker is asked from now on."""
        self.announcer.moved(now)

    def heard(self, revision: int) -> None:
        """Take in the revision of the wishes that the tracker tells without being asked."""
        self._listing.told(revision)

    def taken_wishes(self) -> list[Wish] | None:
        """Return all wishes, once each time they have changed."""
        return self._listing.taken()

    def tells_within_s(self, now: float, *, is_busy: bool, is_nudged: bool) -> float | None:
        """Return how soon the tracker is to hear what the node does; None if that can wait.

        `is_nudged`: something has begun or ended.
        """
        due, told = self.announcer.deadline, self.announcer.doing
        goes_on = is_busy or (told is not None and _goes_on(told))
        if not (is_nudged or goes_on or (due is not None and due <= now)):
            return None
        return 0.0 if is_nudged else BUSY_S


def _goes_on(told: Doing) -> bool:
    return bool(told.fetching or told.hashing)
