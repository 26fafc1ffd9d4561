"""Which holders a download asks: those connected, those lost for now, and those banned.

Of many holders only the nearest are asked (protocol.distance): each costs a connection, and every
connection makes each chunk dearer. Sends nothing, and does not decide who is asked for which chunk.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from shoal.node.fetching.evidence import Evidence
from shoal.node.fetching.settings import FetchSettings
from shoal.node.fetching.steps import Connect, Disconnect
from shoal.node.scheduling.holders import GIVE_UP_S
from shoal.protocol import addresses
from shoal.protocol.distance import distance
from shoal.protocol.messages import Holder

if TYPE_CHECKING:
    from shoal.node.scheduling.scheduler import Scheduler

WIDENED = 4  # So many times the usual holders are asked at most, if these bring nothing for long.
RETRY_LOST_S = 1.0  # A lost holder is tried again after this, doubled each time …
MOST_RETRY_S = 60.0  # … up to this …
RETRY_ALONE_S = 0.3  # … but after this while nobody else is there: a cable may be back any moment.
RETRY_REFUSED_S = 2.0  # One that refused may just be starting; …
REFUSED_GROWTH = 8  # … then after 16 s, then hardly ever.
MOST_GIVE_UP_S = 960.0  # A silent holder is lost after GIVE_UP_S, doubled up to this: 9 kbit/s.
MAX_SILENCES = 16  # Keeps the doubling finite; the limit is reached long before.


@dataclasses.dataclass(frozen=True)
class Trouble:
    """Why a holder is dropped; `reason` is a phrase that follows its name."""

    reason: str
    lied: bool = False
    was_silent: bool = False
    refused: bool = False


def refusal(reason: str) -> Trouble:
    """Return the trouble with a holder that answered, but will not send what it was asked for."""
    return Trouble(f"refused: {reason}", refused=True)


@dataclasses.dataclass
class _Contact:
    address: str
    complete: bool
    distance: int
    is_stranger: bool = False  # Not in our own cluster file, and has not sent anything yet.
    round_trip_s: float | None = None  # Known while it is connected.
    retry_at: float = 0.0  # When to reconnect, …
    alone_at: float = 0.0  # … and when if nobody else is connected.
    pause_s: float = 0.0
    silences: int = 0
    trouble: str = ""


class Roster:
    """The holders of one thing, as the tracker named them and as they turned out.

    Once the scheduler is known, it hears of every holder that comes and goes.
    """

    def __init__(
        self,
        node: str,
        trackers: tuple[str, ...],
        settings: FetchSettings,
        listed: Mapping[str, str] = {},
    ) -> None:
        """`listed` has the addresses of the nodes in the cluster file, by name."""
        self.evidence = Evidence()
        self.knows: Callable[[str], bool] = lambda _: True  # Whether a node's key is known.
        self._listed = listed
        self._listed_at = {address: node for node, address in listed.items()}
        self._node = node
        self._trackers = trackers
        self._settings = settings
        self._scheduler: Scheduler | None = None
        self._times = 1  # So many times the usual number of holders are asked.
        self._contacts: dict[str, _Contact] = {}
        self._connected: dict[str, _Contact] = {}
        self._settled_until = -math.inf  # Until then the last choice holds, unless it is unsettled.
        self._nodes: dict[str, str] = {}  # By their addresses.
        self._banned: dict[str, str] = {}
        self._condemned: dict[str, _Contact] = {}  # Banned for wrong chunks alone.
        self._shunned: dict[str, str] = {}

    @property
    def connected(self) -> list[str]:
        return sorted(self._connected)

    @property
    def is_alone(self) -> bool:
        """Return whether there is nobody to ask."""
        return not self._connected or not self._useful()

    @property
    def is_hoping(self) -> bool:
        """Return whether all that are asked were lost before, and have delivered nothing since."""
        useful = self._useful() if self._connected else ()
        return bool(useful) and all(one.pause_s > 0 for one in useful)

    @property
    def has_liars(self) -> bool:
        return bool(self._banned) or bool(self.evidence)

    @property
    def is_hopeless(self) -> bool:
        """Return whether there is no point in waiting.

        Either every holder that was ever named is banned, or there is a chunk that all the others
        have sent wrong.
        """
        if not self._contacts:
            return bool(self._banned)
        return bool(self._missing & self.evidence.wrong_at_all(self._contacts))

    def is_connected(self, node: str) -> bool:
        return node in self._connected

    def give_up_s(self, node: str) -> float:
        """Return how long it may be silent: longer each time, as its link may be that slow."""
        give_up_s: float = GIVE_UP_S * 2 ** self._contacts[node].silences
        return min(give_up_s, MOST_GIVE_UP_S)

    def begin(self, scheduler: "Scheduler", now: float) -> None:
        """Have `scheduler` ask the connected holders for chunks from now on."""
        self._scheduler = scheduler
        for node in self.connected:
            self._tell(scheduler, node, now)

    def met(self, node: str, round_trip_s: float) -> None:
        """Note that the connection to a holder is up, and how far away it is."""
        if node in self._connected:
            self._contacts[node].round_trip_s = round_trip_s
            if self._scheduler is not None:
                self._scheduler.met(node, round_trip_s)

    def learn(self, holders: tuple[Holder, ...]) -> None:
        """Take in what the tracker says.

        This node itself, an address that has another name already or in the cluster file, and
        addresses that no holder can have are left out. A lost holder that has moved is looked for
        at its new address.
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
                is_stranger = self._is_stranger(holder)
                contact = _Contact(holder.address, holder.complete, far, is_stranger)
                self._contacts[holder.node] = contact
                self._nodes[holder.address] = holder.node

    def _is_stranger(self, holder: Holder) -> bool:
        """Return whether our own cluster file does not have it: a tracker can make holders up."""
        listed = self._listed.get(holder.node)
        if listed is None:
            return bool(self._listed)
        is_named = not addresses.is_numeric(listed)
        return holder.address != listed and not is_named

    def order(self) -> dict[str, tuple[bool, bool]]:
        """Return in which order to ask those connected: smaller ones first.

        First those whose connection is up, if any is; of these, those of the cluster file.
        """
        any_met = any(one.round_trip_s is not None for one in self._connected.values())
        return {
            node: (any_met and one.round_trip_s is None, one.is_stranger)
            for node, one in self._connected.items()
        }

    def answered(self, node: str) -> None:
        """Note that a holder has sent something that is right: it is as good as any other."""
        self._contacts[node].is_stranger = False

    def widen(self) -> None:
        """Ask more holders than before, as the present ones deliver nothing."""
        self._times = min(2 * self._times, WIDENED)
        self._unsettle()

    def choose(self, now: float) -> list[Connect | Disconnect]:
        """Return the connections to open, for the first time or again, and those to close.

        Connections to holders that are farther than enough others are closed; they may be needed
        again later.
        """
        if now < self._settled_until:
            return []
        chosen = self._chosen(now)
        closed = [Disconnect(node) for node in self.connected if node not in chosen]
        new = sorted(chosen - self._connected.keys())
        opened = [Connect(node, self._contacts[node].address) for node in new]
        self._connected = {node: self._contacts[node] for node in chosen}
        self._settled_until = self._next_retry(now)
        for each in closed:
            self._contacts[each.node].round_trip_s = None
            self._drop(each.node, now)
        if self._scheduler is not None:
            for node in new:
                self._tell(self._scheduler, node, now)
        return [*closed, *opened]

    def _chosen(self, now: float) -> set[str]:
        """Return whom to ask: the nearest whole and partial holders.

        Those in trouble come last, and strangers before them.
        """
        ready = [
            (contact.pause_s > 0, contact.is_stranger, contact.distance, node)
            for node, contact in self._contacts.items()
            if self._retry_at(contact) <= now or node in self._connected
        ]
        nearest = [node for *_, node in sorted(ready)]
        wholes = [node for node in nearest if self._contacts[node].complete]
        partial = [node for node in nearest if not self._contacts[node].complete]
        most = self._settings.most_holders * self._times
        wholes = wholes[: self._settings.most_wholes * self._times]
        return {*wholes, *partial[: max(most // 2, most - len(wholes))]}

    def part_with(self, node: str, trouble: Trouble, now: float) -> Disconnect:
        """Drop a holder: for good if it lied, which proves it bad, else for a while."""
        self._unsettle()
        self._drop(node, now)
        if trouble.lied:
            self._forget(node)
            self._banned[node] = trouble.reason
        else:
            self._connected.pop(node, None)
            self._postpone(self._contacts[node], trouble, now)
        return Disconnect(node, trouble.reason)

    def _postpone(self, contact: _Contact, trouble: Trouble, now: float) -> None:
        contact.trouble, contact.round_trip_s = trouble.reason, None
        contact.silences = min(contact.silences + trouble.was_silent, MAX_SILENCES)
        if trouble.refused:
            pause_s = max(REFUSED_GROWTH * contact.pause_s, RETRY_REFUSED_S)
        else:
            pause_s = max(2 * contact.pause_s, RETRY_LOST_S)
        contact.pause_s = min(pause_s, MOST_RETRY_S)
        contact.retry_at = now + contact.pause_s
        contact.alone_at = contact.retry_at if trouble.refused else now + RETRY_ALONE_S

    def sent_wrong(self, node: str, now: float) -> list[Disconnect]:
        """Ban a holder that has sent too many wrong chunks; return what to do about it."""
        if not self.evidence.is_liar(node):
            return []
        if self.evidence.may_be_pardoned(node):
            self._condemned[node] = self._contacts[node]
        return [self.part_with(node, Trouble(self.evidence.phrase(node), lied=True), now)]

    def pardon(self) -> bool:
        """Ask those again that were banned for wrong chunks alone; say whether there are any.

        Once each, where nobody else has what is missing: a disk that has rotted in many places is
        not a liar, and may be the only one that has some of the chunks.
        """
        for node, contact in self._condemned.items():
            if self._nodes.setdefault(contact.address, node) == node:
                self.evidence.pardon(node)
                del self._banned[node]
                fresh = contact.address, contact.complete, contact.distance, contact.is_stranger
                self._contacts[node] = _Contact(*fresh)
        has_any = bool(self._condemned)
        if has_any:
            self._condemned.clear()
            self._unsettle()
        return has_any

    def proved_good(self, node: str) -> bool:
        """Note that a holder delivered, so its next trouble is its first; return if it had any."""
        contact = self._contacts[node]
        if not contact.pause_s:
            return False
        contact.pause_s, contact.silences = 0.0, 0
        return True

    def deadline(self, now: float) -> float | None:
        """Return when the next lost holder may be tried again, None if never."""
        retry_at = self._settled_until if now < self._settled_until else self._next_retry(now)
        return retry_at if retry_at < math.inf else None

    def troubles(self) -> str:
        """Return what is wrong with each holder, for people; empty when nothing is known."""
        troubles = {node: self._trouble(node) for node in self._contacts}
        everyone = sorted((self._shunned | troubles | self._banned).items())
        return "; ".join(f"{node} {trouble}" for node, trouble in everyone if trouble)

    def _trouble(self, node: str) -> str:
        phrases = self.evidence.phrase(node), self._contacts[node].trouble
        return " and ".join(phrase for phrase in phrases if phrase)

    def _unsettle(self) -> None:
        self._settled_until = -math.inf

    def _retry_at(self, contact: _Contact) -> float:
        return contact.retry_at if self._connected else min(contact.retry_at, contact.alone_at)

    def _next_retry(self, now: float) -> float:
        contacts = self._contacts.items()
        times = [self._retry_at(one) for node, one in contacts if node not in self._connected]
        return min((time for time in times if time > now), default=math.inf)

    @property
    def _missing(self) -> int:
        """The chunks that are missing (protocol.bitmap); all, while nothing is known of them."""
        return self._scheduler.wanted.missing if self._scheduler is not None else -1

    def _useful(self) -> list[_Contact]:
        """Return those connected that have not sent all that is missing wrong."""
        missing, wrong = self._missing, self.evidence.wrong
        return [one for node, one in self._connected.items() if missing & ~wrong(node)]

    def _may_be_asked(self, holder: Holder) -> bool:
        owner = self._listed_at.get(holder.address) or self._nodes.get(holder.address)
        is_other = owner not in {None, holder.node}
        if holder.node == self._node or holder.node in self._banned or is_other:
            return False
        if not self.knows(holder.node):
            self._shunned[holder.node] = "has no key in the cluster file here"
            return False
        listed = self._listed.get(holder.node)
        if addresses.may_be_holder(holder.address, self._trackers, listed):
            return True
        self._shunned[holder.node] = f"has an untrusted address, {holder.address}"
        return False

    def _forget(self, node: str) -> None:
        contact = self._contacts.pop(node, None)
        if contact is not None:
            del self._nodes[contact.address]
            self._connected.pop(node, None)

    def _tell(self, scheduler: "Scheduler", node: str, now: float) -> None:
        contact, give_up_s = self._contacts[node], self.give_up_s(node)
        complete, far, wrong = contact.complete, contact.distance, self.evidence.wrong(node)
        scheduler.add(node, now, complete=complete, give_up_s=give_up_s, far=far, wrong=wrong)
        if contact.is_stranger:
            scheduler.expect_nothing_of(node)
        if contact.round_trip_s is not None:
            scheduler.met(node, contact.round_trip_s)

    def _drop(self, node: str, now: float) -> None:
        if self._scheduler is not None:
            self._scheduler.drop(node, now)
