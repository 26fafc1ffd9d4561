"""Which rows of a database may be believed."""

from typing import Any

import pytest
from shoal.broker import rows
from shoal.broker.tracking.changes import (
    Change,
    Disowned,
    Entrusted,
    Gone,
    Held,
    Published,
    Seen,
    Unwished,
    Wished,
)

from tests.unit.broker.scene import content_id

N1 = Seen("n1", "tcp://127.0.0.1:11001", 1, 5)
SEEDS = Published("seeds.txt", content_id(1), 10, 3, "n1", age_s=60)
NET = Published("net.txt", content_id(1), 10)
HELD = Held("seeds.txt", content_id(1), "n1", complete=True)
PARTLY_HELD = Held("net.txt", content_id(1), "n1", complete=False)
DISOWNED = Disowned("net.txt", "n3")
ENTRUSTED = Entrusted("n1", "0af1 7c")
WISHED = Wished("seeds.txt", content_id(1), 10, ("n1", "n2"), ("Gestell 7, links",), age_s=60)
ALL: tuple[Change, ...] = (N1, SEEDS, NET, HELD, PARTLY_HELD, DISOWNED, ENTRUSTED, WISHED)
SERIALS = {(SEEDS.name, SEEDS.id): 1, (NET.name, NET.id): 2}
NOW_S = 1_800_000_000


def stored(*changes: Change) -> dict[str, list[Any]]:
    """Return the rows as a database would."""
    tables: dict[str, list[Any]] = {table: [] for table in rows.TABLES}
    for change in changes:
        if isinstance(change, Gone):
            silenced = rows.silenced(change, tables["nodes"].pop(), NOW_S)
            assert silenced is not None
            tables["nodes"].append(silenced[1])
            continue
        serial = SERIALS[change.name, change.id] if isinstance(change, Published | Held) else 0
        sql, values = rows.statement(change, serial, NOW_S)
        tables[sql.split()[2]].append(values)
    return tables


def test_gives_back_what_was_saved() -> None:
    assert rows.log(stored(*ALL), NOW_S) == (ALL, SERIALS, 0, ())


@pytest.mark.parametrize(("later_s", "silent_s"), [(0, 90), (10, 100), (-100, 0)])
def test_a_silence_goes_on_while_nothing_runs(later_s: int, silent_s: int) -> None:
    gone = Gone("n1", left=True, silent_s=90)
    loaded = rows.log(stored(N1, gone), NOW_S + later_s)
    assert loaded.log == (N1, Gone("n1", left=True, silent_s=silent_s))


def test_a_damaged_row_is_not_sealed_anew() -> None:
    (*values, found) = stored(N1)["nodes"][0]
    assert rows.silenced(Gone("n1", left=True), (*values, found ^ 1 << 40), NOW_S) is None


def resigned(table: str, row: tuple[Any, ...], column: int, value: Any) -> tuple[Any, ...]:
    """Return a row with another value and a checksum that fits it."""
    values = (*row[:column], value, *row[column + 1 : -1])
    return (*values, rows.seal(table, values, row[-1] & (1 << 33) - 1))


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("nodes", 0, "no node"),
        ("nodes", 0, b"n1"),
        ("nodes", 1, "rubbish"),
        ("nodes", 1, "tcp://127.0.0.1:99999"),
        ("nodes", 2, -1),
        ("nodes", 3, 2**53 + 1),
        ("versions", 0, 0),
        ("versions", 1, "../.."),
        ("versions", 1, content_id(1)),
        ("versions", 1, "\udcff"),
        ("versions", 2, "b3:1"),
        ("versions", 3, "x"),
        ("versions", 3, 1.0),
        ("versions", 5, -1),
        ("versions", 6, "no node"),
        ("holders", 1, None),
        ("disowned", 0, ""),
        ("disowned", 1, 5),
        ("wishes", 0, content_id(1)),
        ("wishes", 1, "b3:1"),
        ("wishes", 4, "{"),
        ("wishes", 4, '{"nodes": ["no node"]}'),
    ],
)
def test_a_value_that_no_message_could_have_costs_its_row(
    table: str, column: int, value: Any
) -> None:
    stored_rows = stored(*ALL)
    stored_rows[table][0] = resigned(table, stored_rows[table][0], column, value)
    loaded = rows.log(stored_rows, NOW_S)
    assert loaded.left_out == 1
    assert set(loaded.log) < set(ALL)


def test_a_seal_is_of_all_values_and_of_the_table() -> None:
    for table, there in stored(*ALL).items():
        for *values, found in there:
            for other in rows.TABLES:
                sealed = rows.seal(other, values, found & (1 << 33) - 1)
                assert (sealed == found) == (other == table)
    assert rows.seal("nodes", (1,), 1) != rows.seal("nodes", ("1",), 1)


@pytest.mark.parametrize("bit", range(63))
def test_a_row_with_another_seal_is_left_out(bit: int) -> None:
    for table in rows.TABLES:
        stored_rows = stored(*ALL)
        *values, found = stored_rows[table][0]
        stored_rows[table][0] = (*values, found ^ 1 << bit)
        assert rows.log(stored_rows, NOW_S).left_out == 1


@pytest.mark.parametrize("seal", [None, "y", 1.0, b"", -1])
def test_a_seal_is_a_number(seal: Any) -> None:
    stored_rows = stored(*ALL)
    stored_rows["holders"][0] = (*stored_rows["holders"][0][:-1], seal)
    assert rows.log(stored_rows, NOW_S).left_out == 1


def test_a_holder_without_its_node_or_version_is_an_orphan() -> None:
    tables = stored(*ALL)
    for serial, node in ((7, "n1"), (1, "n9")):
        tables["holders"].append((serial, node, rows.seal("holders", (serial, node), 1)))
    assert rows.log(tables, NOW_S) == (ALL, SERIALS, 0, ((7, "n1"), (1, "n9")))


def test_one_content_under_one_name_is_one_version() -> None:
    tables = stored(*ALL)
    _, again = rows.statement(SEEDS, 9, NOW_S)
    tables["versions"].append(again)
    assert rows.log(tables, NOW_S) == (ALL, SERIALS, 1, ())


def test_a_push_that_is_over_is_deleted() -> None:
    sql, values = rows.statement(Unwished("seeds.txt"), 0, NOW_S)
    assert (sql, values) == ("DELETE FROM wishes WHERE name = ?", ("seeds.txt",))
