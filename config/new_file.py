"""The text of a new cluster file, with comments for whoever edits it. Writes nothing.

Not how hosts are found, which is api.init's.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import yaml

_PLAIN = re.compile(r"[A-Za-z0-9_/~.-][A-Za-z0-9_./:~@+-]*(?<!:)")
_IS_TEXT = "tag:yaml.org,2002:str"
_WITHOUT_KEYS = """\
# Nodes fetch what somebody pushes (`shoal push`) only if they know who that is. `shoal keys` makes
# keys, so that only these machines are let in, and admins may push. Without keys, whoever reaches
# the tracker could have every node fetch; to allow that all the same:
# accept_pushes: true
"""
_ON_LOOPBACK = """\
# Nodes fetch what anybody on this machine pushes (`shoal push`).
accept_pushes: true
"""


class NewNode(msgspec.Struct, frozen=True):
    """What the file says of a node."""

    name: str
    address: str
    folder: str
    zone: str | None = None


class NewFile(msgspec.Struct, frozen=True):
    """What the file says."""

    tracker_host: str  # as people call it
    tracker_address: str
    nodes: Sequence[NewNode]
    is_on_loopback: bool = False


def text_of(file: NewFile) -> str:
    """Return a cluster file, in YAML."""
    where = "one machine" if file.is_on_loopback else "several machines"
    head = f"# A shoal cluster on {where}, made by `shoal init`. All keys are described in\n"
    head += "# docs/use/cluster-file.md; `shoal check` reports what is wrong.\n"
    if not file.is_on_loopback:
        head += "# Every machine uses the same file: `shoal hosts start` copies it to them.\n"
    tracker = f"# The tracker knows which node holds what. It runs on {file.tracker_host}.\n"
    tracker += f"tracker:\n  address: {_scalar(file.tracker_address)}\n"
    nodes = "# A node shares every file in its folder, and fetches into it.\n"
    if any(node.zone is not None for node in file.nodes):
        nodes += "# It prefers holders in its own zone.\n"
    nodes += "nodes:\n" + "".join(f"  {line}\n" for line in _lines(file.nodes))
    pushes = _ON_LOOPBACK if file.is_on_loopback else _WITHOUT_KEYS
    return f"{head}\n{tracker}\n{nodes}\n{pushes}"


def _lines(nodes: Sequence[NewNode]) -> Iterable[str]:
    """Return a line for each node, their values below one another."""
    rows = [_row(node) for node in nodes]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for name, address, folder, zone in rows:
        parts = [name.ljust(widths[0]), address.ljust(widths[1])]
        parts += [folder.ljust(widths[2]), zone] if zone else [folder]
        yield " ".join(parts) + "}"


def _row(node: NewNode) -> tuple[str, str, str, str]:
    folder = f"folder: {_scalar(node.folder)}"
    zone = f"zone: {_scalar(node.zone)}" if node.zone is not None else ""
    return (
        f"{_scalar(node.name)}:",
        f"{{address: {_scalar(node.address)},",
        folder + ("," if zone else ""),
        zone,
    )


def _scalar(text: str) -> str:
    """Return a text as YAML: plain if that is read back as the same text, else quoted."""
    resolver: Any = yaml.resolver.Resolver()
    tag = resolver.resolve(yaml.ScalarNode, text, (True, False))
    if _PLAIN.fullmatch(text) and tag == _IS_TEXT:
        return text
    return msgspec.json.encode(text).decode()
