"""Tables: fitted to the width of a terminal, complete and plain elsewhere."""

import io
import sys
from collections.abc import Sequence

from shoal.commands import terminal

MOST_PADDED = 40  # So that one long name does not widen the whole column.
LEAST_FLEXIBLE = 18  # Names cut shorter than this look alike.
GAP = 2

Rows = Sequence[Sequence[str]]


def put_table(rows: Rows, *, flexible: int = 0, optional: Sequence[int] = ()) -> None:
    """Print rows of text in columns, of which the first has the headings.

    On a terminal that is too narrow for them, the `optional` columns are left out, one after the
    other; then the texts of the `flexible` one are cut in the middle, and those of the last wrap.
    """
    if sys.stdout.isatty():
        terminal.put(fitted(rows, _width(), flexible=flexible, optional=optional))
    else:
        terminal.put(plain(rows))


def plain(rows: Rows) -> str:
    """Return rows of text in columns, nothing cut. Very long cells exceed their column."""
    widths = [
        max(min(len(row[column]), MOST_PADDED) for row in rows) for column in range(len(rows[0]))
    ]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def fitted(rows: Rows, width: int, *, flexible: int = 0, optional: Sequence[int] = ()) -> str:
    """Return rows of text in columns that fit into `width` cells. Text is no markup."""
    from rich.console import Console  # noqa: PLC0415 (takes 0.1 s, and only a terminal needs it)
    from rich.table import Table  # noqa: PLC0415 (the same)
    from rich.text import Text  # noqa: PLC0415 (the same)

    columns = list(range(len(rows[0])))
    for left_out in optional:
        if _needed(rows, columns, flexible) > width:
            columns.remove(left_out)
    rest = _needed(rows, columns, flexible) - min(LEAST_FLEXIBLE, _length(rows, flexible))
    room = max(LEAST_FLEXIBLE, width - rest)
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), show_header=False)
    for column in columns:
        is_last = column == columns[-1]
        table.add_column(no_wrap=not is_last, overflow="fold" if is_last else "ellipsis")
    for row in rows:
        cells = [shortened(row[one], room) if one == flexible else row[one] for one in columns]
        table.add_row(*map(Text, cells))
    console = Console(file=io.StringIO(), width=width, force_terminal=False, legacy_windows=False)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def shortened(text: str, cells: int) -> str:
    """Return `text` in at most so many cells of a terminal, cut in the middle if it must be."""
    from rich.cells import cell_len, set_cell_size  # noqa: PLC0415 (the same)

    if cell_len(text) <= cells:
        return text
    head = set_cell_size(text, cells // 2).rstrip()
    tail = ""
    for character in reversed(text):
        if cell_len(head) + 1 + cell_len(character + tail) > cells:
            break
        tail = character + tail
    return f"{head}…{tail}"


def _needed(rows: Rows, columns: Sequence[int], flexible: int) -> int:
    """Return the cells that these columns take if names are cut and the last column wraps."""
    widths = [_length(rows, column) for column in columns]
    for index, column in enumerate(columns):
        if column == flexible or index == len(columns) - 1:
            widths[index] = min(widths[index], LEAST_FLEXIBLE)
    return sum(widths) + GAP * (len(columns) - 1)


def _length(rows: Rows, column: int) -> int:
    from rich.cells import cell_len  # noqa: PLC0415 (the same)

    return max(cell_len(row[column]) for row in rows)


def _width() -> int:
    from rich.console import Console  # noqa: PLC0415 (the same)

    return Console().width
