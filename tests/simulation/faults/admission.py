"""Who was let in, and who spoke in whose name: each request that is taken is checked."""

from typing import TYPE_CHECKING, Any

from shoal.broker.server import Server
from shoal.broker.tracking.events import HolderTakenOff
from shoal.broker.tracking.tracker import Outcome
from shoal.node.network.front import Front
from shoal.node.serving import steps
from shoal.protocol import messages, pushing
from shoal.protocol.errors import MalformedMessageError, WireCode
from shoal.protocol.messages import Error, TrackerRequest
from shoal.protocol.permits import Role
from shoal.wire.connections import Connection
from shoal.wire.listener import Letter

from tests.simulation.faults import waiting
from tests.simulation.faults.threads import the_loop
from tests.simulation.faults.trace import Finding

if TYPE_CHECKING:
    from tests.simulation.faults.cluster import Cluster

# What docs/use/security.md says; the product has a table of its own.
SPOKEN_BY_NODES = messages.Update | messages.Renew | messages.Leave | pushing.Wishes
REFUSALS = {WireCode.NOT_ALLOWED, WireCode.MALFORMED, WireCode.UNSUPPORTED}
ADMINS_ONLY = pushing.Push | pushing.Unpush | pushing.Allow

_clusters: list["Cluster"] = []


def begin(cluster: "Cluster") -> None:
    _clusters[:] = [cluster]


class Asking:
    """Who asks over a connection, as the simulation knows it: by the key that was used."""

    def __init__(self, connection: Connection, at: str) -> None:
        self._cluster = _clusters[0]
        net, number = self._cluster.net, connection.number - waiting.FIRST_NUMBER
        self.host = net.host_of_client(number)
        self._at = at
        self._who = self._cluster.keyrings.who(at, net.keys.get(number, b""))

    def require_member(self, what: str) -> None:
        """Require that it may be let in, by what this process goes by."""
        keyrings = self._cluster.keyrings
        if keyrings.is_on and self._who is None:
            raise Finding("let in", f"{self._at} took {what} of {self.host}, which has no key")

    def require_allowed(self, request: TrackerRequest) -> None:
        """Require that it may send what the tracker has taken, and in that name."""
        who, what = self._who, type(request).__name__
        named: str | None = getattr(request, "node", None)
        if who is None:
            self._require_own_name(request, named)
            return
        is_beyond = (isinstance(request, SPOKEN_BY_NODES) and who.role is Role.READER) or (
            isinstance(request, ADMINS_ONLY) and who.role is not Role.ADMIN
        )
        if is_beyond:
            raise Finding("let in", f"the tracker took a {what} of {who.name}, a {who.role}")
        if named not in {None, who.name} and who.role is not Role.ADMIN:
            raise Finding("in another's name", f"{who.name} spoke for {named}: {what}")

    def _require_own_name(self, request: TrackerRequest, named: str | None) -> None:
        """Without keys, a node of the tracker's cluster file speaks from its own address alone."""
        is_spoken = isinstance(request, messages.Update | messages.Renew | messages.Leave)
        if is_spoken and named in self._cluster.ledger.zones and named != self.host:
            what = type(request).__name__
            raise Finding("in another's name", f"{self.host} spoke for {named}: {what}")

    def require_own(self, taken_off: HolderTakenOff) -> None:
        """Require that who is taken off the holders has asked for it itself."""
        if self.host.startswith("replayer") and self._who is None:
            return  # Without keys, whoever listens hears the token, too.
        name = self.host if self._who is None else self._who.name
        if taken_off.node in self._cluster.nodes and taken_off.node != name:
            text = f"{self.host} had {taken_off.node} taken off the holders of {taken_off.name}"
            raise Finding("in another's name", text)


def answered(server: Server, letter: Letter, now: float) -> tuple[Outcome, bytes]:
    """Stand in for `Server._answer`."""
    outcome, reply = _answer(server, letter, now)
    if isinstance(outcome.reply, Error) and outcome.reply.code in REFUSALS:
        if outcome.reply.code == WireCode.NOT_ALLOWED:
            _clusters[0].hits["refused by the tracker"] += 1
        return outcome, reply
    asking = Asking(letter.connection, "tracker")
    request: Any = messages.decode(letter.body[0].bytes, TrackerRequest)
    asking.require_member(f"a {type(request).__name__}")
    if isinstance(outcome.reply, Error):
        return outcome, reply
    asking.require_allowed(request)
    for event in outcome.events:
        if isinstance(event, HolderTakenOff):
            asking.require_own(event)
    return outcome, reply


_answer = Server._answer


def arrived(front: Front, letter: Letter) -> steps.Arrived:
    """Stand in for `Front._arrived`."""
    found = _arrived(front, letter)
    process = the_loop().process()
    assert process is not None
    if isinstance(found, steps.RequestArrived):
        Asking(letter.connection, process.host).require_member(type(found.request).__name__)
    elif found.code == WireCode.NOT_ALLOWED:
        _clusters[0].hits["refused by a node"] += 1
    return found


_arrived = Front._arrived


def is_refusal(body: bytes) -> bool:
    """Say whether an answer tells nothing but that it is refused."""
    try:
        reply: Any = messages.decode(body, messages.NodeReply)
    except MalformedMessageError:
        return False
    return isinstance(reply, Error) and reply.code == WireCode.NOT_ALLOWED


def require_nothing_told(name: str, target: str, frames: list[bytes]) -> None:
    """Require that what a stranger was answered is a refusal."""
    if not is_refusal(frames[2]) or len(frames) != 3:
        raise Finding("let in", f"{target} told {name} something, which has no key")


REPLACED: list[tuple[Any, str, Any]] = [
    (Server, "_answer", answered),
    (Front, "_arrived", arrived),
]
