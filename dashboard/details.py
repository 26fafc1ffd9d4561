"""What the page shows of one thing, or of one node, as rows. Asks nobody."""

from collections.abc import Iterable, Mapping

from shoal.dashboard.levels import columns, levels
from shoal.dashboard.picture import Row, Rows, of_key
from shoal.protocol.messages import File, State
from shoal.protocol.pushing import Verdict

THING, NODE = "thing:", "node:"  # What a topic begins with.
MOST_ROWS = 2000
HEAD = ""  # The key of what is true of a thing as a whole; no node has it.


def holdings(node: str, files: Mapping[str, File]) -> Rows:
    """Return what a node holds, by key."""
    found: Rows = {}
    for key, file in files.items():
        complete = next((each.complete for each in file.holders if each.node == node), None)
        if complete is not None and len(found) < MOST_ROWS:
            found[key] = {"whole": complete}
    return found


def holders(
    key: str, files: Mapping[str, File], nodes: Rows, verdicts: Iterable[Verdict] = ()
) -> Rows:
    """Return every node that has some of a thing, is about to, or has failed to get it.

    Args:
        key: of the thing.
        files: the tracker's listing, by key.
        nodes: the rows of the nodes.
        verdicts: on the push of the thing, if it is pushed.
    """
    name, content_id = of_key(key)
    found: Rows = {}
    for verdict in verdicts:
        alive = nodes.get(verdict.node, {}).get("state") == "alive"
        found[verdict.node] = {"alive": alive, **_judged(verdict)}
    for holder in files[key].holders if key in files else ():
        state = "whole" if holder.complete else "part"
        found[holder.node] = {"state": state, "alive": holder.alive}
    for node, row in nodes.items():
        told = _told(row, name, content_id)
        if told and found.get(node, {}).get("state") != "whole":
            found[node] = {"alive": row["state"] == "alive", **told}
    return dict(sorted(found.items())[:MOST_ROWS])


def with_chunks(rows: Rows, told: Mapping[str, State]) -> Rows:
    """Return the rows of holders with which chunks those have that have told it."""
    found, chunk_count = dict(rows), 0
    for node, state in told.items():
        if node not in rows or rows[node]["state"] == "whole" or state.state != "part":
            continue
        sizes = {"state": "part", "have": state.have_bytes, "size": state.size_bytes}
        found[node] = {**rows[node], **sizes}
        if state.chunk_count > 0 and state.have_bytes <= state.size_bytes:
            chunk_count = state.chunk_count
            found[node]["levels"] = levels(state.have, chunk_count)
    if chunk_count:
        found[HEAD] = {"chunks": chunk_count, "columns": columns(chunk_count)}
    return found


def partial(rows: Rows) -> list[str]:
    """Return who has part of it and is there to be asked."""
    return [node for node, row in rows.items() if row["alive"] and row["state"] == "part"]


def _judged(verdict: Verdict) -> Row:
    row: Row = {"state": {"done": "whole", "fetching": "part"}.get(verdict.state, verdict.state)}
    if verdict.reason:
        row["reason"] = verdict.reason
    return row


def _told(row: Row, name: str, content_id: str | None) -> Row:
    """Return what a node itself says about it, if anything."""
    for each in row["fetching"]:
        if each["name"] == name and each["id"] in {content_id, None}:
            keys = "have", "size", "rate", "holders"
            return {"state": "part", **{key: each[key] for key in keys}}
    for each in row["hashing"]:
        if each["name"] == name:
            return {"state": "hashing", "have": each["have"], "size": each["size"]}
    for each in row["failed"]:
        if each["name"] == name and each["id"] == content_id:
            return {"state": "failed", "reason": each["reason"]}
    return {}
