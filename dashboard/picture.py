"""What the page shows, as rows of plain data, and what has changed in them. Asks nobody.

A picture is a mapping of sections, such as `nodes`; each maps keys to rows. All times are seconds
on the clock of the process that watches, so rows stay the same while nothing happens.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from shoal.config.cluster import Cluster
from shoal.protocol.addresses import split
from shoal.protocol.messages import File, NodeStatus
from shoal.protocol.pushing import Doing, Pushed, Target, Transfer

Row = dict[str, Any]
Rows = dict[str, Row]
Changed = dict[str, Row | None]  # By key; None: the row is gone.

STEADY_S = 3.0  # Two ages of the same moment may differ by so much: they are whole seconds.
FREE_STEP_BYTES = 16 << 20  # Less is not worth a message.


def key_of(name: str, content_id: str | None) -> str:
    """Return the key of a version: NAME@ID; without an id if only the cluster file names it."""
    return f"{name}@{content_id or ''}"


def of_key(key: str) -> tuple[str, str | None]:
    """Return the name and the id in a key."""
    name, _, content_id = key.rpartition("@")
    return name, content_id or None


def nodes(statuses: Iterable[NodeStatus], cluster: Cluster, now: float, before: Rows) -> Rows:
    """Return a row for each node; `before` has the rows of the last look."""
    return {one.node: _node(one, cluster, now, before.get(one.node, {})) for one in statuses}


def _node(one: NodeStatus, cluster: Cluster, now: float, before: Row) -> Row:
    doing = one.doing or Doing()
    busy = doing if one.alive else Doing()  # What a node said that is off is no longer so.
    entry = cluster.nodes.get(one.node)
    silent_s = None if one.silent_ms is None or one.alive else one.silent_ms / 1000
    return {
        "state": _state(one),
        "host": split(one.address)[0],
        "address": one.address,
        "zone": entry.zone if entry is not None else None,
        "listed": entry is not None,
        "files": one.files,
        "heard": None if silent_s is None else steady(now - silent_s, before.get("heard")),
        "version": doing.version,
        "free": doing.free_bytes - doing.free_bytes % FREE_STEP_BYTES,
        "obeys": doing.obeys,
        "link": doing.link_rate,
        "sent": busy.sent_rate,
        "got": sum(each.rate for each in busy.fetching),
        "fetching": [_transfer(each) for each in busy.fetching],
        "hashing": [_transfer(each) for each in busy.hashing],
        "failed": [
            {"name": each.name, "id": each.id, "reason": each.reason, "retry_s": each.retry_s}
            for each in busy.failed
        ],
    }


def _state(one: NodeStatus) -> str:
    if one.alive:
        return "alive"
    return "offline" if one.silent_ms is not None or one.spoke else "never"


def _transfer(each: Transfer) -> Row:
    return {
        "name": each.name,
        "id": each.id,
        "have": each.have_bytes,
        "size": each.size_bytes,
        "rate": each.rate,
        "holders": each.holders,
    }


def things(files: Iterable[File], now: float, before: Rows) -> Rows:
    """Return a row for each version of each name."""
    return {key: _thing(one, now, before.get(key, {})) for key, one in keyed(files).items()}


def keyed(files: Iterable[File]) -> dict[str, File]:
    return {key_of(one.name, one.id): one for one in files}


def _thing(one: File, now: float, before: Row) -> Row:
    alive = [holder for holder in one.holders if holder.alive]
    return {
        "name": one.name,
        "id": one.id,
        "size": one.size_bytes,
        "since": steady(now - one.age_s, before.get("since")),
        "newest": one.newest,
        "version": one.version,
        "publisher": one.publisher,
        "whole": sum(holder.complete for holder in alive),
        "part": sum(not holder.complete for holder in alive),
        "away": len(one.holders) - len(alive),
    }


def pushes(pushed: Iterable[Pushed], now: float, before: Rows) -> Rows:
    """Return a row for each push, by its name."""
    return {one.name: _push(one, now, before.get(one.name, {})) for one in pushed}


def _push(one: Pushed, now: float, before: Row) -> Row:
    return {
        "name": one.name,
        "id": one.id,
        "size": one.size_bytes,
        "to": described(one.to),
        "since": steady(now - one.age_s, before.get("since")),
        "wanted": one.wanted,
        "have": one.have,
        "version": one.version,
        "publisher": one.publisher,
    }


def described(to: Target) -> str:
    """Return which nodes are meant, as `shoal push --to` has it."""
    return ",".join([*to.nodes, *(f"zone:{zone}" for zone in to.zones)]) or "all"


def steady(moment: float, before: float | None) -> float:
    """Return a moment as it was told before, if it is the same within what ages leave open."""
    is_same = before is not None and abs(moment - before) < STEADY_S
    return before if is_same and before is not None else round(moment, 1)


def changes(before: Mapping[str, Row], after: Mapping[str, Row]) -> Changed:
    """Return the rows of `after` that `before` does not have, and None for those that are gone."""
    changed: Changed = {key: row for key, row in after.items() if before.get(key) != row}
    return changed | {key: None for key in before if key not in after}
