"""Many rows in one statement.

`executemany` gives up the interpreter's lock and takes it again for each row; beside threads that
receive exports, that is what most of its time goes into.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

VARIABLES: Final = 1000
"""Of one statement; SQLite takes 32,766, and gains nothing from more than this."""


def insert(
    connection: sqlite3.Connection, into: str, rows: Sequence[tuple[object, ...]], tail: str = "",
) -> None:
    """Insert rows of one width, in their order.

    Args:
        connection: the writer's.
        into: the statement up to its values, "INSERT INTO span".
        rows: the values.
        tail: what follows the values, an ON CONFLICT clause for example.
    """
    if not rows:
        return
    width = len(rows[0])
    step = max(1, VARIABLES // width)
    whole = len(rows) - len(rows) % step
    for begin in range(0, whole, step):
        some = rows[begin : begin + step]
        connection.execute(_statement(into, tail, width, step), list(chain.from_iterable(some)))
    connection.executemany(_statement(into, tail, width, 1), rows[whole:])


@lru_cache(64)
def _statement(into: str, tail: str, width: int, count: int) -> str:
    row = f"({', '.join('?' * width)})"
    return f"{into} VALUES {', '.join([row] * count)} {tail}"
