"""Which holders a download may ask: those it has, has lost for now, and has banned.

Of many only the nearest are asked (protocol.distance): each costs a connection, and a chunk costs
the more the more there are. Sends nothing and knows nothing of chunks.
"""

import dataclasses
import math

from shoal.node.fetching.evidence import Evidence
from shoal.node.fetching.steps import Connect, Disconnect
from shoal.node.scheduling.settings import FetchSettings
from shoal.protocol import addresses
from shoal.protocol.distance import distance
from shoal.protocol.messages import Holder

REFUSED_GROWTH = 8  # It is asked again once, soon, and then hardly ever (fault 42).
MAX_SILENCES = 16  # Keeps the doubling finite; the settings' limit is reached long before.


@dataclasses.dataclass(frozen=True)
class Trouble:
    """Why a holder is not to be asked any more; `reason` is a phrase that follows its name."""

    reason: str
    lied: bool = False
    was_silent: bool = False
    refused: bool = False


def refusal(reason: str) -> Trouble:
    """Return the trouble with one that answered, but will not send what it is asked for."""
    return Trouble(f"refused: {reason}", refused=True)


@dataclasses.dataclass
class _Contact:
    address: str
    complete: bool
    distance: int
    retry_at: float = 0.0  # If it is not connected, …
    alone_at: float = 0.0  # … or this, while nobody is.
    pause_s: float = 0.0
    silences: int = 0
    trouble: str = ""


class Roster:
    """The holders of one thing, as the tracker named them and as they turned out."""

    def __init__(
        self, node: str, tracker_address: str, settings: FetchSettings, evidence: Evidence
    ) -> None:
        self._node = node
        self._tracker_address = tracker_address
        self._settings = settings
        self._evidence = evidence
        self._missing = -1  # The chunks that are, as far as is known.
        self._times = 1  # As many are asked as the settings say.
        self._contacts: dict[str, _Contact] = {}
        self._connected: dict[str, _Contact] = {}
        self._settled_until = -math.inf  # The last choice holds, unless something changes.
        self._nodes: dict[str, str] = {}  # By their addresses.
        self._banned: dict[str, str] = {}
        self._shunned: dict[str, str] = {}

    @property
    def connected(self) -> list[str]:
        return sorted(self._connected)

    @property
    def is_alone(self) -> bool:
        """Say whether there is nobody to be asked."""
        return not self._connected or not self._useful()

    @property
    def is_hoping(self) -> bool:
        """Say whether all who are asked were lost before, and have delivered nothing since."""
        useful = self._useful() if self._connected else ()
        return bool(useful) and all(one.pause_s > 0 for one in useful)

    @property
    def has_liars(self) -> bool:
        return bool(self._banned) or bool(self._evidence)

    @property
    def is_hopeless(self) -> bool:
        """Say whether waiting helps nobody.

        Either every holder that was ever named is banned, or there is a chunk that all the others
        have sent wrong.
        """
        if not self._contacts:
            return bool(self._banned)
        return bool(self._missing & self._evidence.wrong_at_all(self._contacts))

    def is_connected(self, node: str) -> bool:
        return node in self._connected

    def is_complete(self, node: str) -> bool:
        """Say whether the tracker called it a holder of the whole thing."""
        return self._contacts[node].complete

    def distance(self, node: str) -> int:
        """Return how far it is from us (protocol.distance)."""
        return self._contacts[node].distance

    def give_up_s(self, node: str) -> float:
        """Return how long it may be silent: longer each time, as its link may be that slow."""
        give_up_s: float = self._settings.give_up_s * 2 ** self._contacts[node].silences
        return min(give_up_s, self._settings.most_give_up_s)

    def learn(self, holders: tuple[Holder, ...]) -> None:
        """Take in what the tracker says.

        Ourselves, one address under two names, and addresses that no holder can have are left out.
        A lost holder that moved to another address is sought there.
        """
        for holder in holders:
            contact = self._contacts.get(holder.node)
            if contact is not None:
                if holder.complete and not contact.complete:
                    contact.complete = True
                    self._unsettle()
                if holder.node in self._connected or contact.address == holder.address:
                    continue
            if self._may_be_asked(holder):
                self._unsettle()
                self._shunned.pop(holder.node, None)
                self._forget(holder.node)
                far = distance(self._node, holder.node)
                self._contacts[holder.node] = _Contact(holder.address, holder.complete, far)
                self._nodes[holder.address] = holder.node

    def widen(self) -> None:
        """Have more of them asked than before, as those who are bring nothing."""
        self._times = min(2 * self._times, self._settings.widened_holders)
        self._unsettle()

    def miss(self, chunks: int) -> None:
        """Note which chunks (protocol.bitmap) are missing: who sent all of them wrong is no use."""
        self._missing = chunks

    def part_with(self, node: str, trouble: Trouble, now: float) -> None:
        """Leave a holder alone: for good if it lied, which proves it bad, else for a while."""
        self._unsettle()
        if trouble.lied:
            self._forget(node)
            self._banned[node] = trouble.reason
            return
        contact = self._contacts[node]
        self._connected.pop(node, None)
        contact.trouble = trouble.reason
        contact.silences = min(contact.silences + trouble.was_silent, MAX_SILENCES)
        settings = self._settings
        if trouble.refused:
            pause_s = max(REFUSED_GROWTH * contact.pause_s, settings.retry_refused_s)
        else:
            pause_s = max(2 * contact.pause_s, settings.retry_lost_s)
        contact.pause_s = min(pause_s, settings.most_retry_s)
        contact.retry_at = now + contact.pause_s
        contact.alone_at = contact.retry_at if trouble.refused else now + settings.retry_alone_s

    def choose(self, now: float) -> list[Connect | Disconnect]:
        """Return the connections to open, for the first time or again, and those to close.

        Closed are those to holders that are farther than as many others; they may be needed yet.
        """
        if now < self._settled_until:
            return []
        chosen = self._chosen(now)
        closed = [Disconnect(node) for node in self.connected if node not in chosen]
        new = sorted(chosen - self._connected.keys())
        opened = [Connect(node, self._contacts[node].address) for node in new]
        self._connected = {node: self._contacts[node] for node in chosen}
        self._settled_until = self._next_retry(now)
        return [*closed, *opened]

    def _chosen(self, now: float) -> set[str]:
        """Return whom to ask: the nearest whole and partial holders, those in trouble last."""
        ready = [
            (contact.pause_s > 0, contact.distance, node)
            for node, contact in self._contacts.items()
            if self._retry_at(contact) <= now or node in self._connected
        ]
        nearest = [node for *_, node in sorted(ready)]
        wholes = [node for node in nearest if self._contacts[node].complete]
        partial = [node for node in nearest if not self._contacts[node].complete]
        most = self._settings.most_holders * self._times
        wholes = wholes[: self._settings.most_wholes * self._times]
        return {*wholes, *partial[: max(most // 2, most - len(wholes))]}

    def proved_good(self, node: str) -> bool:
        """Note that a holder delivered: its next trouble is its first. Say whether it had any."""
        contact = self._contacts[node]
        if not contact.pause_s:
            return False
        contact.pause_s, contact.silences = 0.0, 0
        return True

    def deadline(self, now: float) -> float | None:
        """Return when a lost one may be tried again, None if never."""
        retry_at = self._settled_until if now < self._settled_until else self._next_retry(now)
        return retry_at if retry_at < math.inf else None

    def _unsettle(self) -> None:
        self._settled_until = -math.inf

    def _retry_at(self, contact: _Contact) -> float:
        return contact.retry_at if self._connected else min(contact.retry_at, contact.alone_at)

    def _next_retry(self, now: float) -> float:
        contacts = self._contacts.items()
        times = [self._retry_at(one) for node, one in contacts if node not in self._connected]
        return min((time for time in times if time > now), default=math.inf)

    def troubles(self) -> str:
        """Return what is wrong with each holder, for people; empty when nothing is known."""
        troubles = {node: self._trouble(node) for node in self._contacts}
        everyone = sorted((self._shunned | troubles | self._banned).items())
        return "; ".join(f"{node} {trouble}" for node, trouble in everyone if trouble)

    def _trouble(self, node: str) -> str:
        phrases = self._evidence.phrase(node), self._contacts[node].trouble
        return " and ".join(phrase for phrase in phrases if phrase)

    def _useful(self) -> list[_Contact]:
        """Return those connected that have not sent all that is missing wrong."""
        missing, wrong = self._missing, self._evidence.wrong
        return [one for node, one in self._connected.items() if missing & ~wrong(node)]

    def _may_be_asked(self, holder: Holder) -> bool:
        is_other = self._nodes.get(holder.address, holder.node) != holder.node
        if holder.node == self._node or holder.node in self._banned or is_other:
            return False
        if addresses.may_be_holder(holder.address, self._tracker_address):
            return True
        self._shunned[holder.node] = f"has an address not to be trusted, {holder.address}"
        return False

    def _forget(self, node: str) -> None:
        contact = self._contacts.pop(node, None)
        if contact is not None:
            del self._nodes[contact.address]
            self._connected.pop(node, None)
