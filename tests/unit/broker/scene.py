"""A tracker with its clock and its log, addressed and described in short texts.

`seeds.txt=1` is content 1 under the name seeds.txt; `seeds.txt=1~` is part of it. `=1:3/n1` was
published by n1 as v3, as the node was told; `=1!3` is what the node would publish as v3.
"""

import re
from collections.abc import Mapping, Sequence
from random import Random

from shoal.broker.reporter import line
from shoal.broker.tracking.changes import Change, aged
from shoal.broker.tracking.events import Event
from shoal.broker.tracking.initial import Initial, InitialNode
from shoal.broker.tracking.settings import TrackerSettings
from shoal.broker.tracking.tracker import Tracker
from shoal.protocol import messages, pushing
from shoal.protocol.messages import (
    Error,
    File,
    Holder,
    Holders,
    Holding,
    Ok,
    OtherVersion,
    Told,
    Withdrawal,
)
from shoal.protocol.permits import Asker, Publish, Role, Who

TRACKER_ADDRESS = "tcp://127.0.0.1:12000"
NODES = ("n1", "n2", "n3")
EXAMPLE = {"net.txt": ("n1", "n2"), "network.txt": ("n1", "n3"), "seeds.txt": ("n2", "n3")}
SIZE_BYTES = 10
ADMIN = Who("admin", Role.ADMIN)


def content_id(number: int) -> str:
    return f"b3:{number:064x}"


def address_of(node: str) -> str:
    return f"tcp://127.0.0.1:{11000 + int(node[1:])}"


_HOLDING = re.compile(r"(.+)=(\d+)(~?)(?:([:!])(\d+)(?:/(\w+))?)?")


def holding(text: str) -> Holding:
    parsed = _HOLDING.fullmatch(text)
    assert parsed is not None, text
    name, content, part, kind, number, publisher = parsed.groups()
    return Holding(
        name,
        content_id(int(content)),
        SIZE_BYTES,
        complete=not part,
        version=int(number or 0),
        publisher=publisher,
        claims=kind == "!",
    )


class Scene:
    """What the tests do to a tracker. Time passes only by `wait`."""

    def __init__(
        self,
        holdings: Mapping[str, Sequence[str]] | None = None,
        zones: Mapping[str, str] | None = None,
        settings: TrackerSettings | None = None,
        nodes: Sequence[str] = NODES,
        publish: Publish = Publish.MEMBERS,
        *,
        accepts_pushes: bool = False,
    ) -> None:
        listed = {
            node: InitialNode(address_of(node), zones.get(node) if zones else None)
            for node in nodes
        }
        told = listed, holdings or {}, publish
        self.initial = Initial(TRACKER_ADDRESS, *told, accepts_pushes=accepts_pushes)
        self.settings = settings or TrackerSettings()
        self.log: list[tuple[float, Change]] = []  # Every change, and when it was decided.
        self.now = 1000.0
        self.events: list[str] = []
        self._sequences: dict[str, int] = {}
        self._token_rng = Random(8)
        self.host = "127.0.0.1"  # From which the next requests come.
        self.notified: tuple[str, ...] = ()  # By the last request.
        self._starts = 0
        self.tracker = self._started()

    def _started(self) -> Tracker:
        self._starts += 1
        given = self.now, self.changes(), self.settings
        return Tracker(self.initial, self._rng(), *given, self._token_rng)

    def _rng(self) -> Random:
        return Random(6 + self._starts)

    def restart(self) -> None:
        """Kill the tracker, and start it on its log, which is read anew."""
        self.log = [(self.now, aged(change, int(self.now - then))) for then, change in self.log]
        self.tracker = self._started()

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def send(
        self, request: messages.TrackerRequest, who: Who | None = None
    ) -> messages.TrackerReply:
        outcome = self.tracker.handle(request, self.now, Asker(self.host, who))
        self._note(outcome.changes, outcome.events)
        self.notified = outcome.notified
        return outcome.reply

    def expire(self) -> None:
        expiry = self.tracker.expire(self.now)
        self._note(expiry.changes, expiry.events)

    def _note(self, changes: Sequence[Change], events: Sequence[Event]) -> None:
        self.log += [(self.now, change) for change in changes]
        self.events += map(line, events)

    def changes(self) -> list[Change]:
        """Return everything that was decided so far."""
        return [change for _, change in self.log]

    def remembered(self) -> str:
        """Return the names and nodes that another tracker would know from the log."""
        state = self._started()._state
        names = sorted(name for name in state.catalogue._by_name)
        return " ".join([*names, "|", *sorted(state.members.by_node)])

    def told(self) -> list[str]:
        """Return the lines of the log since the last call."""
        lines, self.events = self.events, []
        return lines

    def update(  # noqa: PLR0913 - one for each field of the message
        self,
        node: str,
        holds: str = "",
        *,
        without: str = "",
        replace: bool = False,
        epoch: int = 1,
        sequence: int | None = None,
        address: str | None = None,
    ) -> str:
        """Announce; the next sequence is taken unless one is given."""
        if sequence is None:
            sequence = self._sequences.get(node, 0) + 1
        self._sequences[node] = sequence
        withdrawn = map(holding, without.split())
        request = messages.Update(
            node,
            address or address_of(node),
            epoch,
            sequence,
            tuple(map(holding, holds.split())),
            tuple(Withdrawal(each.name, each.id) for each in withdrawn),
            replace,
        )
        return shown(self.send(request))

    def renew(self, node: str, epoch: int = 1, sequence: int = 0) -> str:
        return shown(self.send(messages.Renew(node, epoch, holdings=0, sequence=sequence)))

    def leave(self, node: str, epoch: int = 1) -> str:
        return shown(self.send(messages.Leave(node, epoch)))

    def ask(
        self, what: str, node: str | None = None, *, partial: bool = False, prefix: str = ""
    ) -> str:
        return shown(self.send(messages.Query(what, node, partial, prefix)))

    def allow(self, name: str, node: str, who: Who | None = ADMIN) -> str:
        return shown(self.send(pushing.Allow(name, node), who))

    def files(self) -> str:
        """Return what a listing says, a version in each line."""
        reply = self.send(messages.List())
        assert isinstance(reply, messages.Files)
        return "\n".join(
            f"{file.name}{_version(file)}{'' if file.newest else ' (older)'}: "
            f"{_holders(file.holders)}"
            for file in reply.files
        )

    def nodes(self) -> str:
        """Return what a status says, a node in each line."""
        reply = self.send(messages.Status())
        assert isinstance(reply, messages.TrackerStatus)
        return "\n".join(
            f"{each.node} {'alive' if each.alive else 'silent'} {each.files}"
            for each in reply.nodes
        )


def shown(reply: messages.TrackerReply) -> str:
    """Return a reply as text, in an order that does not depend on chance."""
    match reply:
        case Ok():
            told = [f"{_taken(each)}{each.name}{_version(each)}" for each in reply.told]
            return " ".join([f"ok {reply.holdings}", *told])
        case Error():
            return f"{reply.code.name} {reply.message}"
        case Holders():
            parts = [_version(reply) or "=?", _holders(reply.holders)]
            if reply.offline:
                parts += ["silent", _holders(reply.offline)]
            if reply.versions:
                parts += ["other", " ".join(_version(each) for each in reply.versions)]
            return " ".join(part for part in parts if part)
        case _:
            raise AssertionError(reply)


def _taken(told: Told) -> str:
    return "" if told.taken else "not " if told.allowed else "may not "


def _version(one: Holders | File | OtherVersion | Told) -> str:
    """Return which version a part of a reply tells of, as a holding is written."""
    content = "" if one.id is None else f"={int(one.id[3:], 16)}"
    number = f":{one.version}" if one.version else ""
    return content + number + (f"/{one.publisher}" if one.publisher else "")


def _holders(holders: Sequence[Holder]) -> str:
    """`~` marks those that have a part, `?` those that are silent or have not spoken yet."""
    return " ".join(
        f"{each.node}{'' if each.complete else '~'}{'' if each.alive else '?'}"
        for each in sorted(holders, key=lambda holder: holder.node)
    )
