"""`shoal where`: who has one thing: each node that is known, and in what state it is there."""

from typing import Any

import msgspec
from shoal.commands import terminal
from shoal.commands.exit_codes import ExitCode
from shoal.commands.fetch import checked_what
from shoal.commands.listing import (
    ask,
    broken,
    holder_document,
    pages,
    published,
    statuses,
)
from shoal.commands.roll_call import states
from shoal.commands.table import put_table
from shoal.config.cluster import Cluster
from shoal.node.fetching import versions
from shoal.protocol import manifest
from shoal.protocol.addresses import may_be_holder
from shoal.protocol.errors import NotFoundError, OperatorError
from shoal.protocol.messages import Holder, Holders, NodeStatus, OtherVersion, Query, State
from shoal.protocol.names import display


class Place(msgspec.Struct, frozen=True):
    """One node, and in what state the thing is there; the keys are those of `where --json`.

    `state` is published, copy, part, hashing, changed, other or none, of a node that does not
    answer offline or never_seen. `complete`: all of it is there by the tracker's word.
    """

    node: str
    address: str
    state: str
    complete: bool = False
    have_bytes: int | None = (
        None  # Of a part: so much is there; of what is hashed, so much is done.
    )
    size_bytes: int | None = None


def run_where(cluster: Cluster, what: str, *, as_json: bool, need_all: bool = False) -> ExitCode:
    """Print who has one thing; with `need_all`, the exit code says whether every node does.

    Raises:
        OperatorError: nobody has it, or is about to.
    """
    what = checked_what(what)
    address = cluster.tracker.address
    known = {node.node: node for page in statuses(address) for node in page.nodes}
    answer = _found(address, what)
    if answer is None:
        answer = Holders(what, None, None, ())
        places = _places(cluster, answer, known) if not manifest.is_id(what) else []
        if all(place.state in {"none", "offline", "never_seen"} for place in places):
            ask(address, Query(what), Holders)  # It says that there is none.
    else:
        places = _places(cluster, answer, known)
    if as_json:
        terminal.put_json(_document(answer, places))
    else:
        rows = [["NODE", "STATE", "ADDRESS"]]
        rows += [[place.node, _words(place, answer), place.address] for place in places]
        put_table(rows, optional=(2,))
        _tell(answer)
    lacking = need_all and not all(place.complete for place in places)
    return ExitCode.PARTLY_DONE if lacking else ExitCode.DONE


def _found(address: str, what: str) -> Holders | None:
    """Return all who hold what is meant, None if nobody does."""
    answer = _everybody(address, what)
    if answer is not None or "@" not in what:
        return answer

    def query(asked: str, prefix: str) -> Holders | None:
        try:
            return ask(address, Query(asked, prefix=prefix), Holders)
        except OperatorError as error:
            if isinstance(error, NotFoundError):
                return None
            raise

    try:
        meant = versions.find(what, query)
    except versions.LyingTrackerError:
        raise broken(address, "it answered about something else") from None
    found = _everybody(address, meant.id) if meant.id is not None else None
    return msgspec.structs.replace(found, name=meant.name or found.name) if found else None


def _everybody(address: str, what: str) -> Holders | None:
    try:
        found = _pages(address, what)
    except OperatorError as error:
        if isinstance(error, NotFoundError):
            return None
        raise
    for page in found:
        if what != (page.id if manifest.is_id(what) else page.name) or page.id != found[0].id:
            raise broken(address, "it answered about something else")
    return msgspec.structs.replace(
        found[0],
        holders=tuple(holder for page in found for holder in page.holders),
        offline=tuple(holder for page in found for holder in page.offline),
    )


def _pages(address: str, what: str) -> list[Holders]:
    def order(page: Holders) -> list[str]:
        return sorted(holder.node for holder in (*page.holders, *page.offline))

    return list(pages(address, lambda after: Query(what, after=after), Holders, order))


def _places(cluster: Cluster, answer: Holders, known: dict[str, NodeStatus]) -> list[Place]:
    """Return all nodes, by name: of the cluster file, of the tracker, and those who hold it."""
    holders = {holder.node: holder for holder in (*answer.offline, *answer.holders)}
    addresses = {name: entry.address for name, entry in cluster.nodes.items()}
    addresses |= {name: node.address for name, node in known.items()}
    addresses |= {name: holder.address for name, holder in holders.items()}
    tracker = cluster.tracker.address
    unclear = {
        name: address
        for name, address in addresses.items()
        if (node := known.get(name)) is not None
        and node.alive
        and not ((holder := holders.get(name)) is not None and holder.complete and holder.alive)
        and may_be_holder(address, tracker)
    }
    said = states(unclear, answer.name, answer.id)
    return [
        _place(name, addresses[name], holders.get(name), known.get(name), said.get(name), answer)
        for name in sorted(addresses)
    ]


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


def liveness(node: NodeStatus | None) -> str:
    """Return the one word for whether a node is there, that all commands use."""
    if node is not None and node.alive:
        return "alive"
    is_known = node is not None and (node.silent_ms is not None or node.spoke)
    return "offline" if is_known else "never seen"


def _words(place: Place, answer: Holders) -> str:
    match place.state:
        case "published" | "copy":
            return f"has it ({place.state})"
        case "part":
            return f"{_percent(place)} %" if place.size_bytes else "has a part"
        case "hashing":
            return f"being hashed, {_percent(place)} %"
        case "offline" | "never_seen":
            listed = {holder.node for holder in (*answer.holders, *answer.offline)}
            word = place.state.replace("_", " ")
            has = "has it" if place.complete else "has a part"
            return f"{word}, {has}" if place.node in listed else word
        case _:
            return {"changed": "changed here", "other": "has another version"}.get(
                place.state, "does not have it"
            )


def _percent(place: Place) -> int:
    return min(100, 100 * (place.have_bytes or 0) // max(1, place.size_bytes or 0))


def _document(answer: Holders, places: list[Place]) -> dict[str, Any]:
    return {
        "name": answer.name,
        "id": answer.id,
        "size_bytes": answer.size_bytes,
        "version": answer.version,
        "publisher": answer.publisher,
        "holders": [holder_document(holder) for holder in (*answer.holders, *answer.offline)],
        "versions": answer.versions,
        "nodes": places,
    }


def _tell(answer: Holders) -> None:
    """Say which version was found, as in `win11.img v3, published by a: 4.7 GB, b3:…`."""
    size = "size not known yet" if answer.size_bytes is None else terminal.size(answer.size_bytes)
    name = display(answer.name) + published(answer)
    terminal.say(f"{name}: {size}, {answer.id or 'not announced by anybody yet'}")
    for version in answer.versions:
        terminal.say(_other_line(version))


def _other_line(version: OtherVersion) -> str:
    age = terminal.age(version.age_s)
    return f"another version:{published(version) or ' no number'}, {age} old, {version.id}"
