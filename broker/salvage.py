"""Reads the rows of a database that SQLite cannot open as it is. Checks no row, writes nothing.

The file is read into memory with what its journal has, its first page (the schema and a few counts)
is replaced by that of a new database, and each table is read from both ends and by its keys.
"""

import sqlite3
import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from shoal.broker import rows

_PAGE_COUNT = slice(28, 32)  # In the first page, as in https://www.sqlite.org/fileformat.html.
_MAX_ROWS = (
    10_000_000  # Of one table: damaged pages may form circles. The tracker's limits are lower.
)
_JOURNAL_HEADER = struct.Struct(">IIIIIIII")
_FRAME_HEADER = struct.Struct(">IIIIII")
_JOURNAL_MAGIC = {0x377F0682: "<", 0x377F0683: ">"}  # And the byte order of its checksums.

Raw = dict[str, list[Sequence[Any]]]


def rows_in(path: Path) -> tuple[Raw, int]:
    """Return the rows that can still be read, by table, and the system's time in seconds.

    Raises OSError if the file cannot be read at all.
    """
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        connection.execute(f"PRAGMA page_size = {rows.PAGE_BYTES}")
        connection.executescript(rows.SCHEMA)
        first_page = connection.serialize()[: rows.PAGE_BYTES]
        contents = _contents(path)
        connection.deserialize(_with_first_page(first_page, contents))
        connection.text_factory = text
        (now_s,) = connection.execute("SELECT unixepoch()").fetchone()
        return _read(connection), now_s
    finally:
        connection.close()


def text(data: bytes) -> str:
    """Decode a text; if it is damaged, that must not end the reading of the others."""
    return data.decode(errors="surrogateescape")


def _with_first_page(first_page: bytes, contents: bytes) -> bytes:
    data = bytearray(first_page + contents[rows.PAGE_BYTES :])
    data += bytes(-len(data) % rows.PAGE_BYTES)
    data[_PAGE_COUNT] = struct.pack(">I", len(data) // rows.PAGE_BYTES)
    return bytes(data)


def _read(connection: sqlite3.Connection) -> Raw:
    found = {table: _from_both_ends(connection, table) for table in rows.TABLES}
    serials = {row[0] for table in ("versions", "holders") for row in found[table].values()}
    nodes = {row[1] for row in found["holders"].values()}
    for table, keys in (("nodes", nodes), ("versions", serials), ("holders", serials)):
        column = rows.TABLES[table].__struct_fields__[0]
        for key in keys:
            query = f"{rows.selection(table)} WHERE {column} = ?"
            found[table].update(_keyed(table, _readable(connection, query, key)))
    return {table: list(by_key.values()) for table, by_key in found.items()}


def _from_both_ends(connection: sqlite3.Connection, table: str) -> dict[Any, Sequence[Any]]:
    columns = rows.TABLES[table].__struct_fields__[: rows.KEYS[table]]
    found: dict[Any, Sequence[Any]] = {}
    for direction in ("ASC", "DESC"):
        order = ", ".join(f"{column} {direction}" for column in columns)
        query = f"{rows.selection(table)} ORDER BY {order}"
        found.update(_keyed(table, _readable(connection, query)))
    return found


def _keyed(table: str, raw: Iterable[Sequence[Any]]) -> dict[Any, Sequence[Any]]:
    return {row[: rows.KEYS[table]]: row for row in raw}


def _readable(connection: sqlite3.Connection, query: str, *keys: Any) -> Iterator[Sequence[Any]]:
    """Yield rows until one cannot be read."""
    try:
        yield from islice(connection.execute(query, keys), _MAX_ROWS)
    except (sqlite3.Error, OverflowError, UnicodeError):
        return  # The latter two: a damaged row's key, which cannot be looked up.


def _contents(path: Path) -> bytes:
    """Return the file's bytes after all transactions that are complete in its journal."""
    pages = bytearray(path.read_bytes())
    journal = path.with_name(f"{path.name}-wal")
    if journal.exists():
        for number, page in _committed(journal.read_bytes()):
            start = rows.PAGE_BYTES * (number - 1)
            pages += bytes(max(0, start - len(pages)))
            pages[start : start + rows.PAGE_BYTES] = page
    return bytes(pages)


def _committed(journal: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and bytes of the pages in a journal, up to its last complete transaction."""
    if len(journal) < _JOURNAL_HEADER.size:
        return
    magic, _, page_bytes, _, *salts, first, second = _JOURNAL_HEADER.unpack_from(journal)
    order = _JOURNAL_MAGIC.get(magic)
    if order is None or page_bytes != rows.PAGE_BYTES:
        return
    sums = _summed(order, journal[:24], (0, 0))
    if sums != (first, second):
        return
    pages: list[tuple[int, bytes]] = []
    frame_bytes = _FRAME_HEADER.size + page_bytes
    for start in range(_JOURNAL_HEADER.size, len(journal) - frame_bytes + 1, frame_bytes):
        number, is_commit, *frame_salts, first, second = _FRAME_HEADER.unpack_from(journal, start)
        page = journal[start + _FRAME_HEADER.size : start + frame_bytes]
        sums = _summed(order, journal[start : start + 8] + page, sums)
        if frame_salts != salts or sums != (first, second) or not number:
            return
        pages.append((number, page))
        if is_commit:
            yield from pages
            pages.clear()


def _summed(order: str, data: bytes, sums: tuple[int, int]) -> tuple[int, int]:
    first, second = sums
    for even, odd in struct.iter_unpack(f"{order}II", data):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second
