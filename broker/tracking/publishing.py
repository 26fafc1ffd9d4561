"""Who may publish under which name, as the cluster file's `publish` has it. Lists no holders."""

from collections import OrderedDict
from typing import NamedTuple

from shoal.broker.tracking.state import State
from shoal.protocol.fields import MAX_NUMBER
from shoal.protocol.permits import Publish

ALLOWED_S = 86_400.0  # Hashing what is to be published may take hours.
MOST_ALLOWED = 10_000


class Permit(NamedTuple):
    """What one node may say of the versions of one name."""

    publishes: bool  # It may claim to publish a version.
    believed_below: int  # Of versions that others published, numbers below this are believed.


_ANYTHING = Permit(publishes=True, believed_below=MAX_NUMBER + 1)


class Publishing:
    """Knows what admins have allowed; that is not in the log, as it lasts a day at most."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._allowed: OrderedDict[tuple[str, str], float] = OrderedDict()  # Until when.

    def allow(self, name: str, node: str, now: float) -> None:
        """Let a node publish one version of `name`, within ALLOWED_S."""
        self._allowed[name, node] = now + ALLOWED_S
        self._allowed.move_to_end((name, node))
        if len(self._allowed) > MOST_ALLOWED:
            self._allowed.popitem(last=False)

    def published(self, name: str, node: str) -> None:
        """Note that a node has published a version: what it was allowed is used up."""
        self._allowed.pop((name, node), None)

    def permit(self, name: str, node: str, now: float) -> Permit:
        """Return what a node may say of the versions of `name`.

        A tracker that has lost everything believes what holders were told, whoever published it.
        Once it has heard of a version from its publisher, others cannot tell of newer ones.
        """
        publish = self._state.initial.publish
        if publish is Publish.MEMBERS:
            return _ANYTHING
        may = self._allowed.get((name, node), now) > now
        if not may and publish is Publish.FIRST:
            publishers = self._state.catalogue.publishers(name)
            may = not publishers or node in publishers
        newest = self._state.catalogue.newest_first_hand(name)
        return Permit(may, MAX_NUMBER + 1 if newest is None else newest)
