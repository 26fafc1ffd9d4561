"""Which nodes have one thing, and in what state it is on each."""

import msgspec
from shoal.api.asking import Line, broken, meant_by, trackers_of
from shoal.api.roll_call import states
from shoal.api.security import asking_ring
from shoal.api.status import liveness, overview
from shoal.api.what import checked_what
from shoal.config.cluster import Cluster
from shoal.protocol import manifest
from shoal.protocol.addresses import may_be_holder
from shoal.protocol.errors import NotFoundError
from shoal.protocol.keyring import Keyring, towards_tracker
from shoal.protocol.messages import Holder, Holders, NodeStatus, Query, State


class Place(msgspec.Struct, frozen=True):
    """One node, and in what state the thing is there; the keys are those of `where --json`.

    `state` is published, copy, part, hashing, changed, other or none; for a node that does not
    answer, offline or never_seen. `complete`: the tracker says that all of it is there.
    """

    node: str
    address: str
    state: str
    complete: bool = False
    have_bytes: int | None = None  # How much of a part is there, or how much is hashed already.
    size_bytes: int | None = None


class Whereabouts(msgspec.Struct, frozen=True):
    """One version of a thing, who has it, and which other versions there are."""

    answer: Holders  # The tracker's, with all holders.
    places: tuple[Place, ...]  # Every node that is known, by name.


def where(cluster: Cluster, what: str) -> Whereabouts:
    """Return which nodes have something, whole or in part, and which do not.

    Asks the tracker, and then all nodes that may know more, which get 1.5 seconds.

    Args:
        cluster: whose tracker to ask.
        what: a name, an id or NAME@ID.

    Raises:
        NotAllowedError: the tracker does not let us in.
        NotFoundError: no node has it, or is about to have it.
        TrackerError: the tracker does not answer, or not sensibly.
        OperatorError: `what` is no name.
    """
    what = checked_what(what)
    ring = asking_ring(cluster)
    with Line(trackers_of(cluster), towards_tracker(ring)) as line:
        known = {node.node: node for node in overview(line).nodes}
        answer = _found(line, what)
        if answer is not None:
            return Whereabouts(answer, _places(cluster, answer, known, ring))
        answer = Holders(what, None, None, ())
        places = _places(cluster, answer, known, ring) if not manifest.is_id(what) else ()
        if all(place.state in {"none", "offline", "never_seen"} for place in places):
            line.ask(Query(what), Holders)  # Raises NotFoundError.
        return Whereabouts(answer, places)


def _found(line: Line, what: str) -> Holders | None:
    """Return all who hold what is meant, None if nobody does."""
    answer = _everybody(line, what)
    if answer is not None or "@" not in what:
        return answer
    meant = meant_by(line, what)
    found = _everybody(line, meant.id) if meant.id is not None else None
    return msgspec.structs.replace(found, name=meant.name or found.name) if found else None


def _everybody(line: Line, what: str) -> Holders | None:
    try:
        found = _pages(line, what)
    except NotFoundError:
        return None
    for page in found:
        if what != (page.id if manifest.is_id(what) else page.name) or page.id != found[0].id:
            raise broken(line.address, "it answered about something else")
    return msgspec.structs.replace(
        found[0],
        holders=tuple(holder for page in found for holder in page.holders),
        offline=tuple(holder for page in found for holder in page.offline),
    )


def _pages(line: Line, what: str) -> list[Holders]:
    def order(page: Holders) -> list[str]:
        return sorted(holder.node for holder in (*page.holders, *page.offline))

    return list(line.pages(lambda after: Query(what, after=after), Holders, order))


def _places(
    cluster: Cluster, answer: Holders, known: dict[str, NodeStatus], ring: Keyring | None
) -> tuple[Place, ...]:
    """Return all nodes, by name: of the cluster file, of the tracker, and those who hold it."""
    holders = {holder.node: holder for holder in (*answer.offline, *answer.holders)}
    listed = {name: entry.address for name, entry in cluster.nodes.items()}
    addresses = dict(listed)
    addresses |= {name: node.address for name, node in known.items()}
    addresses |= {name: holder.address for name, holder in holders.items()}
    unclear = {
        name: address
        for name, address in addresses.items()
        if (node := known.get(name)) is not None
        and node.alive
        and not ((holder := holders.get(name)) is not None and holder.complete and holder.alive)
        and may_be_holder(address, cluster.tracker_addresses, listed.get(name))
    }
    said = states(unclear, answer.name, answer.id, ring)
    return tuple(
        _place(name, addresses[name], holders.get(name), known.get(name), said.get(name), answer)
        for name in sorted(addresses)
    )


def _place(
    name: str,
    address: str,
    holder: Holder | None,
    node: NodeStatus | None,
    said: State | None,
    answer: Holders,
) -> Place:
    complete = holder is not None and holder.complete
    is_alive = (node is not None and node.alive) or (holder is not None and holder.alive)
    if not is_alive:
        return Place(name, address, liveness(node).replace(" ", "_"), complete)
    if complete or (said is not None and said.state == "whole"):
        state = "published" if name == answer.publisher else "copy"
        return Place(name, address, state, complete, answer.size_bytes, answer.size_bytes)
    if said is not None and said.state in {"part", "hashing"}:
        have = said.have_bytes, said.size_bytes
        return Place(name, address, said.state, complete, *have)
    state = said.state if said is not None else "part" if holder is not None else "none"
    return Place(name, address, state, complete)
