"""Brings a tracker's database down to its limits before it is read into memory."""

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from shoal.broker import rows

_COUNTS = """
    SELECT (SELECT count(*) FROM nodes), (SELECT count(*) FROM holders), count(*),
        coalesce(sum(length(CAST(name AS BLOB)) + length(id)), 0)
    FROM versions
"""


class Most(NamedTuple):
    """How much may be in a database, and whose entries stay if it has more."""

    nodes: int
    holdings: int
    versions: int
    name_bytes: int  # Of names and ids.
    kept: Iterable[str]  # The nodes of the cluster file.


def prune(connection: sqlite3.Connection, most: Most) -> bool:
    """Forget all strangers if there is more than that; return whether that was so.

    Those that live announce themselves again within a renewal.
    """
    counts = connection.execute(_COUNTS).fetchone()
    limits = most.nodes, most.holdings, most.versions, most.name_bytes
    if all(count <= limit for count, limit in zip(counts, limits, strict=True)):
        return False
    connection.execute("BEGIN")
    connection.execute("CREATE TEMP TABLE kept (node TEXT PRIMARY KEY)")
    connection.executemany("INSERT INTO kept VALUES (?)", ((node,) for node in most.kept))
    for table in rows.OF_NODES:
        connection.execute(f"DELETE FROM {table} WHERE node NOT IN kept")  # noqa: S608 (our names)
    connection.execute("DELETE FROM versions WHERE serial NOT IN (SELECT serial FROM holders)")
    connection.execute("DROP TABLE kept")
    connection.execute("COMMIT")
    return True
