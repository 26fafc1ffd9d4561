"""`shoal ls` and `shoal where`: what there is, and who has it."""

from typing import Any

import zmq

from commands import terminal
from commands.fetch import check_what
from protocol.errors import ExitCode, OperatorError, WireCode
from protocol.messages import Error, File, Files, Holder, Holders, List, Message, Query
from protocol.names import display
from wire.tracker_client import TrackerClient


def ask(address: str, message: Message) -> Any:
    """Return the tracker's reply to one message; raise OperatorError if it is an error."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    client = TrackerClient(context, address)
    try:
        reply = client.ask(message)
    finally:
        client.close()
        context.term()
    if isinstance(reply, Error):
        if reply.code is WireCode.NOT_FOUND and isinstance(message, Query):
            text = (
                f"no such file was found: {display(message.what)}; `shoal ls` shows what there is"
            )
            raise OperatorError(text, ExitCode.NOT_FOUND)
        raise OperatorError(f"the tracker refused: {reply.message}", ExitCode.BUG)
    return reply


def run_ls(tracker_address: str, *, as_json: bool) -> ExitCode:
    """Print every version of every file."""
    files: list[File] = []
    after: str | None = ""
    while after is not None:
        page = ask(tracker_address, List(after))
        assert isinstance(page, Files)
        files += page.files
        after = page.next
    if as_json:
        terminal.put_json([_file_document(file) for file in files])
        return ExitCode.DONE
    if not files:
        terminal.say("nothing is shared yet; put a file into a node's folder")
        return ExitCode.DONE
    rows = [["NAME", "SIZE", "ID", "AGE", "HOLDERS"], *map(_file_row, files)]
    terminal.put(terminal.table(rows))
    return ExitCode.DONE


def run_where(tracker_address: str, what: str, *, as_json: bool) -> ExitCode:
    """Print who has one file, whole or in part."""
    check_what(what)
    answer = ask(tracker_address, Query(what))
    assert isinstance(answer, Holders)
    holders = [*answer.holders, *answer.offline]
    if as_json:
        terminal.put_json(
            {
                "name": answer.name,
                "id": answer.id,
                "size_bytes": answer.size_bytes,
                "holders": [_holder_document(holder) for holder in holders],
                "versions": answer.versions,
            }
        )
        return ExitCode.DONE
    rows = [["NODE", "ADDRESS", "HAS", "IS"]]
    rows += [[one.node, one.address, _share(one), _state(one)] for one in holders]
    terminal.put(terminal.table(rows))
    size = "size not known yet" if answer.size_bytes is None else terminal.size(answer.size_bytes)
    terminal.say(f"{display(answer.name)}: {size}, {answer.id or 'not announced by anybody yet'}")
    for version in answer.versions:
        terminal.say(f"another version, {terminal.age(version.age_s)} old: {version.id}")
    return ExitCode.DONE


def _file_document(file: File) -> dict[str, Any]:
    return {
        "name": file.name,
        "id": file.id,
        "size_bytes": file.size_bytes,
        "age_s": file.age_s,
        "newest": file.newest,
        "holders": [_holder_document(holder) for holder in file.holders],
    }


def _holder_document(holder: Holder) -> dict[str, Any]:
    return {
        "node": holder.node,
        "address": holder.address,
        "complete": holder.complete,
        "alive": holder.alive,
    }


def _file_row(file: File) -> list[str]:
    size = "?" if file.size_bytes is None else terminal.size(file.size_bytes)
    short = file.id[:15] if file.id else "?"
    holders = " ".join(_holder_word(holder) for holder in file.holders)
    name = display(file.name) + ("" if file.newest else " (older)")
    return [name, size, short, terminal.age(file.age_s), holders]


def _holder_word(holder: Holder) -> str:
    notes = ([] if holder.complete else ["part"]) + ([] if holder.alive else ["offline"])
    return f"{holder.node} ({', '.join(notes)})" if notes else holder.node


def _share(holder: Holder) -> str:
    return "all of it" if holder.complete else "a part"


def _state(holder: Holder) -> str:
    return "alive" if holder.alive else "not heard of"
