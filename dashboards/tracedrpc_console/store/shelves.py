"""The full-text tables: filled one after the other, thrown away whole."""

from __future__ import annotations

import heapq
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from tracedrpc_console.store import bulk
from tracedrpc_console.store.words import shelf_sql

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping

ROWS_MOST: Final = 100_000
ROWS_LEAST: Final = 200
ROW_BYTES: Final = 16_000
"""Of a file's size, to one row of a shelf: so a shelf whose rows are going is a small part of the file."""
MERGED: Final = 8
"""So many pieces of an index become one at a time: fewer are merged too often, more are slow to search."""


def table_of(signal: str, number: int) -> str:
    """Return the name of a shelf's table."""
    return f"{signal}_{number}"


def walk(
    connection: sqlite3.Connection, signal: str, select: str, parameters: Mapping[str, Any],
) -> Iterator[tuple[Any, ...]]:
    """Give the rows that a search finds on all shelves, by their first column, the greatest first.

    Args:
        connection: a reader's.
        signal: "spans" or "logs".
        select: gives the rows of one shelf in that order; `{shelf}` and `{number}` stand for its table and
            its number.
        parameters: of `select`.
    """
    numbers = connection.execute("SELECT number FROM shelf WHERE signal = ? AND alive > 0", (signal,))
    found = [
        connection.execute(select.format(shelf=table_of(signal, number), number=number), parameters)
        for (number,) in numbers.fetchall()
    ]
    return heapq.merge(*found, key=itemgetter(0), reverse=True)


def rows_for(max_bytes: int) -> int:
    """Return how many rows a shelf should have in a file that may become so large."""
    return max(ROWS_LEAST, min(ROWS_MOST, max_bytes // ROW_BYTES))


class Shelves:
    """Those of one signal, for the writer's thread.

    Args:
        connection: the writer's.
        signal: "spans" or "logs".
        rows_most: after so many rows a new shelf is begun.
    """

    def __init__(self, connection: sqlite3.Connection, signal: str, rows_most: int) -> None:
        self._connection = connection
        self._signal = signal
        self._rows_most = rows_most

    def current(self) -> int:
        """Return the number of the shelf that is being filled, a new one when the last is full."""
        number, filled = self._connection.execute(
            "SELECT number, filled FROM shelf WHERE signal = ? ORDER BY number DESC LIMIT 1", (self._signal,),
        ).fetchone() or (0, self._rows_most)
        if filled < self._rows_most:
            return int(number)
        number += 1
        table = table_of(self._signal, number)
        self._connection.execute(shelf_sql(table))
        self._connection.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('automerge', {MERGED})")  # noqa: S608
        self._connection.execute("INSERT INTO shelf VALUES (?, ?, 0, 0)", (self._signal, number))
        return int(number)

    def put(self, number: int, sheets: list[tuple[int, str]]) -> None:
        """Put words of rows, (key, words) in ascending order of keys, on a shelf."""
        bulk.insert(self._connection, f"INSERT INTO {table_of(self._signal, number)} (rowid, words)", sheets)
        self._connection.execute(
            "UPDATE shelf SET filled = filled + ?1, alive = alive + ?1 WHERE signal = ?2 AND number = ?3",
            (len(sheets), self._signal, number),
        )

    def take_out(self, removed: Iterable[tuple[int, int]]) -> None:
        """Count removed rows, (shelf, rows), and throw shelves away on which nothing is left."""
        for number, rows in removed:
            self._connection.execute(
                "UPDATE shelf SET alive = alive - ? WHERE signal = ? AND number = ?",
                (rows, self._signal, number),
            )
        empty = self._connection.execute(
            "DELETE FROM shelf WHERE signal = ? AND alive <= 0 AND filled >= ? RETURNING number",
            (self._signal, self._rows_most),
        ).fetchall()
        for (number,) in empty:
            self._connection.execute(f"DROP TABLE {table_of(self._signal, number)}")
