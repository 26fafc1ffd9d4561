"""Units of systemd for the tracker and nodes: their text and name. Installs nothing.

A system unit where root asks, which may run as another user; else a unit of the user's own.
"""

import re
import string
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from shoal.config.cluster import Cluster, NodeEntry, TrackerEntry
from shoal.protocol.addresses import split

TRACKER = "tracker"
TEMPLATES = Path(__file__).parent
# Caps, far from what is needed. The tracker's limits allow 1.5 GiB (docs/use/cluster-file.md).
NODE_MEMORY, TRACKER_MEMORY = "2G", "3G"
FIRST_UNPRIVILEGED_PORT = 1024
_NO_UNIT_NAME = re.compile(r"[^A-Za-z0-9:_.-]")  # systemd.unit(5), without the backslash.
MAX_NAME_CHARACTERS = 200  # 255 with the suffix, and those of its folders.


class Unit(msgspec.Struct, frozen=True):
    """One that can be installed, or printed."""

    name: str  # Without `.service`.
    text: str
    folders: tuple[Path, ...]  # It writes there; they have to exist.
    user: str | None  # As whom a system unit runs; None for a user's own unit.


def unit_name(cluster: str, role: str) -> str:
    """Return the name of the unit of a role of the cluster file CLUSTER.yaml."""
    return _NO_UNIT_NAME.sub("_", f"shoal-{cluster}-{role}")[:MAX_NAME_CHARACTERS]


def unit_of(
    cluster: Cluster,
    entry: TrackerEntry | NodeEntry,
    command: Sequence[str],
    user: str | None,
    name: str,
) -> Unit:
    """Return the unit of a tracker or a node.

    Args:
        cluster: the one that it belongs to.
        entry: its own in there.
        command: what runs shoal, with the absolute path of the program.
        user: as whom it runs, as a system unit; None for a unit of the user's own.
        name: of the unit.
    """
    is_tracker = isinstance(entry, TrackerEntry)
    folders = _written_by(entry) if isinstance(entry, NodeEntry) else (entry.state_folder,)
    words = ["node", entry.name] if isinstance(entry, NodeEntry) else [TRACKER]
    if is_tracker and len(cluster.trackers) > 1:
        words += ["--at", entry.address]
    _, port = split(entry.bound_to)
    template = TEMPLATES / ("user.service" if user is None else "system.service")
    text = string.Template(template.read_text()).substitute(
        unit=name,
        what=f"{' '.join(words)} of {_escaped(cluster.path.stem)}",
        user=user,
        command=" ".join(map(_quoted, [*command, *words, "--config", str(cluster.path)])),
        folders=_paths(folders),
        mounts=_paths(dict.fromkeys((*folders, *_read_by(entry)))),
        memory=TRACKER_MEMORY if is_tracker else NODE_MEMORY,
        capabilities=_capabilities(user, port),
    )
    return Unit(name, text, folders, user)


def _paths(folders: Iterable[Path]) -> str:
    return " ".join(_quoted(str(folder)).replace("$$", "$") for folder in folders)


def _read_by(entry: NodeEntry | TrackerEntry) -> tuple[Path, ...]:
    return (entry.folder,) if isinstance(entry, NodeEntry) else ()


def _written_by(entry: NodeEntry) -> tuple[Path, ...]:
    """Return where a node writes. A folder that it only reads may be anywhere."""
    if entry.state_folder is None:
        return (entry.folder,)
    return (entry.state_folder,) if entry.read_only else (entry.folder, entry.state_folder)


def _capabilities(user: str | None, port: int) -> str:
    needed = ["CAP_DAC_OVERRIDE"] if user == "root" else []  # Its folder may be another's.
    if port >= FIRST_UNPRIVILEGED_PORT:
        return f"CapabilityBoundingSet={' '.join(needed)}"
    bound = "CAP_NET_BIND_SERVICE"
    every = " ".join([*needed, bound])
    return f"CapabilityBoundingSet={every}\nAmbientCapabilities={bound}"


def _quoted(word: str) -> str:
    """Return a word of a command line as systemd reads it (systemd.service(5))."""
    text = _escaped(word).replace("$", "$$")
    return text if re.fullmatch(r"[A-Za-z0-9_./:@%+=,~$-]+", text) else f'"{text}"'


def _escaped(text: str) -> str:
    """Return a text in which nothing is special to systemd."""
    for special, written in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("\n", "\\n")):
        text = text.replace(special, written)
    return text
