"""`shoal where`: prints which nodes have something."""

from typing import Any

from shoal.api.where import Place, Whereabouts, where
from shoal.commands import terminal
from shoal.commands.exit_codes import ExitCode
from shoal.commands.ls import holder_document
from shoal.commands.table import put_table
from shoal.config.cluster import Cluster
from shoal.protocol.messages import Holders, OtherVersion
from shoal.protocol.names import display


def run_where(cluster: Cluster, what: str, *, as_json: bool, need_all: bool = False) -> ExitCode:
    """Print who has something; with `need_all`, the exit code says whether every node does."""
    found = where(cluster, what)
    if as_json:
        terminal.put_json(_document(found))
    else:
        rows = [["NODE", "STATE", "ADDRESS"]]
        rows += [[place.node, _words(place, found.answer), place.address] for place in found.places]
        put_table(rows, optional=(2,))
        _tell(found.answer)
    lacking = need_all and not all(place.complete for place in found.places)
    return ExitCode.PARTLY_DONE if lacking else ExitCode.DONE


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


def _document(found: Whereabouts) -> dict[str, Any]:
    answer = found.answer
    return {
        "name": answer.name,
        "id": answer.id,
        "size_bytes": answer.size_bytes,
        "version": answer.version,
        "publisher": answer.publisher,
        "holders": [holder_document(holder) for holder in (*answer.holders, *answer.offline)],
        "versions": answer.versions,
        "nodes": found.places,
    }


def _tell(answer: Holders) -> None:
    """Say which version was found, as in `win11.img v3, published by a: 4.7 GB, b3:…`."""
    size = "size not known yet" if answer.size_bytes is None else terminal.size(answer.size_bytes)
    name = display(answer.name) + _published(answer)
    terminal.say(f"{name}: {size}, {answer.id or 'not announced by any node yet'}")
    for version in answer.versions:
        terminal.say(_other_line(version))


def _other_line(version: OtherVersion) -> str:
    age = terminal.age(version.age_s)
    return f"another version:{_published(version) or ' no number'}, {age} old, {version.id}"


def _published(version: Holders | OtherVersion) -> str:
    """Return ` v3, published by a`, or nothing if no number is known."""
    if not version.version:
        return ""
    return f" v{version.version}" + (
        f", published by {version.publisher}" if version.publisher else ""
    )
