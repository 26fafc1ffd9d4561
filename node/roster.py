"""Which holders a download may ask: those it has, has lost for now, and has banned.

Sends nothing and knows nothing of chunks.
"""

import dataclasses

from node.settings import FetchSettings
from node.steps import Connect
from protocol import addresses
from protocol.messages import Holder


@dataclasses.dataclass
class _Contact:
    address: str
    complete: bool
    is_connected: bool = True
    retry_at: float = 0.0
    pause_s: float = 0.0
    trouble: str = ""


class Roster:
    """The holders of one thing, as the tracker named them and as they turned out."""

    def __init__(self, node: str, tracker_address: str, settings: FetchSettings) -> None:
        self._node = node
        self._tracker_address = tracker_address
        self._settings = settings
        self._contacts: dict[str, _Contact] = {}
        self._banned: dict[str, str] = {}

    @property
    def connected(self) -> list[str]:
        return sorted(node for node, contact in self._contacts.items() if contact.is_connected)

    @property
    def has_liars(self) -> bool:
        return bool(self._banned)

    @property
    def is_hopeless(self) -> bool:
        """Every holder that was ever named has lied: waiting helps nobody."""
        return bool(self._banned) and not self._contacts

    def is_connected(self, node: str) -> bool:
        return node in self._contacts and self._contacts[node].is_connected

    def is_complete(self, node: str) -> bool:
        """Say whether the tracker called it a holder of the whole thing."""
        return self._contacts[node].complete

    def learn(self, holders: tuple[Holder, ...]) -> list[Connect]:
        """Take in what the tracker says; return the connections to open.

        Ourselves, one address under two names, and addresses that no holder can have are left out.
        """
        known = {contact.address for contact in self._contacts.values()}
        connects: list[Connect] = []
        for holder in holders:
            if holder.node in self._contacts:
                self._contacts[holder.node].complete |= holder.complete
                continue
            if holder.node == self._node or holder.node in self._banned or holder.address in known:
                continue
            if not addresses.may_be_holder(holder.address, self._tracker_address):
                self._banned[holder.node] = f"has an address not to be trusted, {holder.address}"
                continue
            known.add(holder.address)
            self._contacts[holder.node] = _Contact(holder.address, holder.complete)
            connects.append(Connect(holder.node, holder.address))
        return connects

    def lose(self, node: str, trouble: str, now: float) -> None:
        """Leave a holder alone for a while: it is unreachable, silent or does not have it."""
        contact = self._contacts[node]
        contact.is_connected = False
        contact.trouble = trouble
        contact.pause_s = max(2 * contact.pause_s, self._settings.retry_lost_s)
        contact.retry_at = now + contact.pause_s

    def ban(self, node: str, trouble: str) -> None:
        """Never ask it again: what it sent is proof against it alone."""
        self._contacts.pop(node, None)
        self._banned[node] = trouble

    def retry(self, now: float) -> list[Connect]:
        """Return the connections to open again."""
        connects = []
        for node, contact in sorted(self._contacts.items()):
            if not contact.is_connected and contact.retry_at <= now:
                contact.is_connected = True
                connects.append(Connect(node, contact.address))
        return connects

    def proved_good(self, node: str) -> None:
        """Note that a holder delivered: its next trouble starts from a short pause."""
        self._contacts[node].pause_s = 0.0

    def deadline(self) -> float | None:
        times = [one.retry_at for one in self._contacts.values() if not one.is_connected]
        return min(times, default=None)

    def troubles(self) -> str:
        """Return what is wrong with each holder, for people; empty when nothing is known."""
        troubles = {node: contact.trouble for node, contact in self._contacts.items()}
        everyone = sorted((troubles | self._banned).items())
        return "; ".join(f"{node} {trouble}" for node, trouble in everyone if trouble)
