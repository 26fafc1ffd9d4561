"""Who may speak for a node: by its address, its host and its token. Believes nothing it says.

With keys a node is known by its key, and then only the address counts here. Without them anybody
may say any name (docs/build/decisions/0022-who-speaks-for-a-node.md).
"""

from collections.abc import Callable
from dataclasses import dataclass

from shoal.broker.tracking.changes import Entrusted, Offered
from shoal.broker.tracking.members import Member
from shoal.broker.tracking.state import Decision, State
from shoal.protocol import addresses
from shoal.protocol.errors import WireCode
from shoal.protocol.messages import Error, Leave, Query, Renew, Update
from shoal.protocol.permits import Asker

# A clock that is off by a century is no reason to refuse: an epoch is in milliseconds.
MOST_EPOCHS = 2**42
MOST_UPDATES = 2**32  # Since the last one that is known, which may be an old one after a crash.


@dataclass(frozen=True, slots=True)
class Speakers:
    """Decides whom to believe that it is the node whose name it says."""

    state: State
    new_token: Callable[[], str]

    def refuse_update(self, request: Update, asker: Asker) -> Error | None:
        """Return why `asker` may not say that; None if it may."""
        node, known = request.node, self.state.members.find(request.node)
        if not addresses.is_numeric(request.address):
            return Error(
                WireCode.CONFLICT,
                f"{node} cannot be announced at {request.address}: "
                "the host must be a number, as in tcp://192.168.1.10:11001; update that node",
            )
        if not addresses.may_be_holder(request.address, self._trackers()):
            reason = f"other nodes would refuse to connect to {request.address}"
            return Error(WireCode.CONFLICT, f"{node} cannot be a holder: {reason}")
        return (
            self._misplaced(node, request.address)
            or self._from_elsewhere(node, request.address, asker)
            or self._impostor(known, request.token, asker)
            or _far_off(request, known)
        )

    def refuse(self, request: Renew | Leave, member: Member, asker: Asker) -> Error | None:
        """Return why `asker` may not say that for a node that is known; None if it may."""
        return self._from_elsewhere(member.node, member.address, asker) or self._impostor(
            member, request.token, asker, needs_lease=False
        )

    def takes_back(self, request: Update, known: Member) -> bool:
        """Return whether a node shows an elder token than whoever has its name now."""
        return known.tokens.is_elder(request.token)

    def may_take_off(self, request: Query, asker: Asker) -> bool:
        """Return whether `asker` is the node that it says has lost what it asks for."""
        if request.node is None:
            return False
        if asker.who is not None:  # Who may say the name (protocol.permits).
            return True
        member = self.state.members.find(request.node)
        if member is not None:
            if member.tokens.shown:
                return member.tokens.has(request.token)
            return self._from_elsewhere(member.node, member.address, asker) is None
        listed = self.state.initial.nodes.get(request.node)
        if listed is None:
            return False
        host, _ = addresses.split(listed.address)
        return self._is_at(asker.host, host) or self._listens_at(request.node, asker.host)

    def entrusted(self, node: str, token: str, asker: Asker) -> Decision[str]:
        """Note which token a node has shown; return the one to give it, if it showed none."""
        member = self.state.members.by_node[node]
        if asker.who is not None:
            return ""
        if not token:
            token = self.new_token()
            yield Offered(node, token)
            return token
        tokens = member.tokens.after(token)
        if tokens != member.tokens:
            yield Entrusted(node, tokens.text)
        return ""

    def _trackers(self) -> tuple[str, ...]:
        """Return the addresses of all trackers, as numbers where those are known."""
        initial = self.state.initial
        return tuple(map(self._numbered, (initial.address, *initial.others)))

    def _numbered(self, address: str) -> str:
        host, port = addresses.split(address)
        for found in self.state.initial.resolve(host):
            return f"tcp://[{found}]:{port}" if ":" in found else f"tcp://{found}:{port}"
        return address

    def _misplaced(self, node: str, address: str) -> Error | None:
        """Refuse an address for a node of the cluster file that is not the file's."""
        listed = self.state.initial.nodes.get(node)
        if listed is None:
            return None
        host, port = addresses.split(address)
        listed_host, listed_port = addresses.split(listed.address)
        if port == listed_port and self._is_at(host, listed_host):
            return None
        return Error(
            WireCode.NOT_ALLOWED,
            f"{node} may not be at {address}: the tracker's cluster file has it at "
            f"{listed.address}; start it there, or correct the file and restart the tracker",
        )

    def _is_at(self, host: str, listed_host: str) -> bool:
        """Return whether a host is the one that the cluster file means, as far as is known."""
        if not host or addresses.are_one_host(host, listed_host):
            return True
        if addresses.ip(listed_host) is not None or addresses.is_loopback(listed_host):
            return False
        known = self.state.initial.resolve(listed_host)
        return not known or any(addresses.are_one_host(host, each) for each in known)

    def _listens_at(self, node: str, host: str) -> bool:
        """Return whether the cluster file says that a node listens at that very host."""
        listed = self.state.initial.nodes.get(node)
        return (
            listed is not None
            and listed.listen_host != ""
            and addresses.are_one_host(host, listed.listen_host)
        )

    def _from_elsewhere(self, node: str, address: str, asker: Asker) -> Error | None:
        """Refuse what comes from another host than the node's address is of."""
        host, _ = addresses.split(address)
        if asker.who is not None or not asker.host or addresses.are_one_host(host, asker.host):
            return None
        if self._listens_at(node, asker.host):
            return None
        return Error(
            WireCode.NOT_ALLOWED,
            f"{asker.host} may not speak for {node}, which is at {address}: "
            "a node speaks from its own address; behind NAT, use keys (`shoal keys`)",
        )

    def _impostor(
        self, member: Member | None, token: str, asker: Asker, *, needs_lease: bool = True
    ) -> Error | None:
        """Refuse one who does not show the token of a node that does, and that is running."""
        if asker.who is not None or member is None or (needs_lease and not member.has_lease):
            return None
        if member.tokens.has(token) or not member.tokens.guard:
            return None
        if not member.has_lease:
            return Error(WireCode.NOT_FOUND, f"{member.node} is not known here; announce first")
        remedy = f"stop it, or wait {self.state.settings.lease_s:.0f} s if it died"
        running = f"{member.node} is already running at {member.address}"
        return Error(WireCode.NOT_ALLOWED, f"{running}; {remedy}")


def _far_off(request: Update, known: Member | None) -> Error | None:
    """Refuse numbers that no node counts up to. How far it is allowed to be is not told."""
    epoch = 0 if known is None else known.epoch
    sequence = known.sequence if known is not None and known.epoch == request.epoch else 0
    is_far = request.epoch > epoch + MOST_EPOCHS or request.sequence > sequence + MOST_UPDATES
    if not is_far:
        return None
    return Error(
        WireCode.CONFLICT,
        f"{request.node} counts its starts and updates as no node does; "
        "delete .shoal/cache.db in its folder and start it again",
    )
