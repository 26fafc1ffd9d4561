"""What `shoal check` finds about keys: missing, unsafe, or not belonging together."""

import contextlib
import os
from collections.abc import Iterator, Sequence

from shoal.api.here import has_place_here
from shoal.commands.finding import Finding
from shoal.config.cluster import Cluster, NodeEntry, TrackerEntry
from shoal.config.key_folder import trouble_with
from shoal.config.keys import NoSecretError, folder_of, own_pair, secret_file, trusted_users
from shoal.config.security import TRACKER, Keys
from shoal.protocol.addresses import is_loopback, split
from shoal.protocol.errors import OperatorError
from shoal.protocol.names import display

REMEDY = "run `shoal keys`"


def key_findings(cluster: Cluster) -> Iterator[Finding]:
    """Yield what is to be said of the cluster's keys, and of the secrets on this machine."""
    if cluster.keys is None:
        yield _without(cluster)
        return
    yield from _missing(cluster, cluster.keys)
    wrong = [*_places(cluster), *_secrets(cluster, cluster.keys), *_strays(cluster, cluster.keys)]
    yield from wrong
    if not wrong:
        known = cluster.keys
        count = 1 + len(known.nodes) + len(known.readers) + len(known.admins)
        yield Finding("ok", "keys", f"{count} in the cluster file; the secrets here are safe")


def _without(cluster: Cluster) -> Finding:
    every: list[TrackerEntry | NodeEntry] = [*cluster.trackers, *cluster.nodes.values()]
    if all(is_loopback(split(entry.bound_to)[0]) for entry in every):
        return Finding("ok", "keys", "none; only this machine can reach the ports")
    who = "anybody who can reach the ports can read, announce and list files"
    return Finding("note", "keys", f"none: {who}; {REMEDY}")


def _missing(cluster: Cluster, known: Keys) -> Iterator[Finding]:
    for name in cluster.nodes:
        if name not in known.nodes:
            yield Finding("wrong", f"node {name}", f"has no key, and is not let in; {REMEDY}")
    for name, entry in known.readers.items():
        if entry.key is None:
            yield Finding("wrong", f"reader {name}", f"has no key, and is not let in; {REMEDY}")


def _places(cluster: Cluster) -> Iterator[Finding]:
    """Yield who else could let somebody in, or put other secrets here."""
    for path in (cluster.path, folder_of(cluster.path)):
        with contextlib.suppress(OSError):
            problem = trouble_with(path, path.stat(), trusted_users(cluster.path))
            if problem is not None:
                yield Finding("wrong", "keys", problem)


def _secrets(cluster: Cluster, known: Keys) -> Iterator[Finding]:
    """Yield what is wrong with the secrets that are here, or should be."""
    entries: dict[str, Sequence[NodeEntry | TrackerEntry]] = {TRACKER: cluster.trackers}
    entries |= {name: [cluster.nodes[name]] for name in known.nodes}
    for name in (TRACKER, *known.nodes, *known.readers, *known.admins):
        if known.of(name) is None:
            continue
        is_needed = any(map(has_place_here, entries.get(name, ())))
        try:
            if is_needed or os.path.lexists(secret_file(cluster.path, name)):
                own_pair(cluster, name)
        except NoSecretError as error:
            yield Finding("wrong" if is_needed else "note", f"key of {name}", str(error))
        except OperatorError as error:
            yield Finding("wrong", f"key of {name}", str(error))


def _strays(cluster: Cluster, known: Keys) -> Iterator[Finding]:
    """Yield the secrets here whose public keys are not in the cluster file."""
    try:
        names = sorted(path.stem for path in folder_of(cluster.path).glob("*.key"))
    except OSError:
        return
    for name in names:
        if known.of(name) is None:
            path = display(str(secret_file(cluster.path, name)))
            message = f"{path} belongs to no key in the cluster file; remove it"
            yield Finding("note", f"key of {display(name)}", message)
