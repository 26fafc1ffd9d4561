"""`shoal share`: has a node share a file or a directory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from shoal.api.asking import no_answer
from shoal.api.share import ShareOptions, check, share
from shoal.commands import terminal
from shoal.commands.attended import attended
from shoal.commands.exit_codes import ExitCode
from shoal.commands.progress import ProgressView
from shoal.config.cluster import Cluster, NodeEntry
from shoal.node.folder.contents import MOST_LINES
from shoal.node.trees.left_out import LEADS_OUT
from shoal.protocol.control import MAX_LEFT_OUT, Omission, Sharing
from shoal.protocol.names import display


def run_share(
    cluster: Cluster, entry: NodeEntry, path: Path, options: ShareOptions, *, as_json: bool
) -> ExitCode:
    """Have the node share `path`; print under which name and id, and what is not shared."""
    terminal.set_up_log()
    sharing, is_served = shared(cluster, entry, path, options, quiet=as_json)
    _tell(sharing, cluster, entry, as_json=as_json, is_served=is_served)
    if not sharing.announced:
        return ExitCode.TRACKER_UNREACHABLE
    return ExitCode.PARTLY_DONE if sharing.left_out_count else ExitCode.DONE


def shared(
    cluster: Cluster, entry: NodeEntry, path: Path, options: ShareOptions, *, quiet: bool
) -> tuple[Sharing, bool]:
    """Have the node share `path`, and warn of what is not shared; `quiet` shows no progress.

    Returns what is shared, and whether the node runs, so that it is served.

    Raises:
        OperatorError: as `shoal.api.share.share`.
    """
    check(path, options)
    with attended(cluster, entry) as node, ProgressView(quiet=quiet) as view:
        sharing, not_copied = share(node, path, options, view.show)
    if node.is_running:  # Else its log says so.
        _warn(sharing.name, sharing.left_out, sharing.left_out_count)
    _warn(sharing.name, not_copied.told(), not_copied.count, "--follow-links --force")
    sharing = msgspec.structs.replace(
        sharing,
        left_out=(*not_copied.told(), *sharing.left_out)[:MAX_LEFT_OUT],
        left_out_count=not_copied.count + sharing.left_out_count,
    )
    return sharing, node.is_running


def _warn(
    name: str, left_out: Sequence[Omission], count: int, remedy: str = "--follow-links"
) -> None:
    """Warn of what is not shared of a directory; `remedy` are the options that follow links."""
    for one in left_out[:MOST_LINES]:
        terminal.say(f"warning: {display(f'{name}/{one.path}')} is not shared: {one.reason}")
    if count > MOST_LINES:
        terminal.say(f"warning: and {count - MOST_LINES} more in {display(name)} are not shared")
    if any(one.reason == LEADS_OUT for one in left_out):
        terminal.say(f"`shoal share` with {remedy} shares what these links point to, too")


def _tell(
    sharing: Sharing, cluster: Cluster, entry: NodeEntry, *, as_json: bool, is_served: bool
) -> None:
    if as_json:
        keys: dict[str, Any] = {
            "name": sharing.name,
            "id": sharing.id,
            "size_bytes": sharing.size_bytes,
        }
        keys |= {"version": sharing.version, "publisher": sharing.publisher}
        keys |= {"left_out": sharing.left_out, "left_out_count": sharing.left_out_count}
        terminal.put_json({**keys, "announced": sharing.announced, "served": is_served})
        return
    size, name = terminal.size(sharing.size_bytes), display(sharing.name)
    title = terminal.title(name, sharing.version, sharing.publisher)
    if sharing.announced:
        terminal.put(f"{title}: {size} shared by {entry.name}, {sharing.id}")
    else:
        terminal.put(f"{title}: {size} in {entry.folder}, {sharing.id}")
        terminal.say(f"error: {no_answer(cluster)}; this will be announced when it is back")
    if not is_served:
        terminal.say(f"node {entry.name} is not running; `shoal node {entry.name}` serves this")
