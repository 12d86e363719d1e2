"""Which service calls which, counted by the minute as spans come in."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Final

from tracedrpc_console.store.model import Edge

if TYPE_CHECKING:
    import sqlite3

MINUTE_NS: Final = 60 * 10**9


def count_edges(connection: sqlite3.Connection, traces: list[int]) -> None:
    """Count the entries (SERVER and CONSUMER spans) of these traces whose parent is there now, each once.

    An entry waits in the table `entry` until its parent has come, whichever of them is first.
    """
    found = connection.execute(
        """
        SELECT entry.trace, entry.parent_id, entry.key, caller.service, callee.service, child.is_error
        FROM json_each(?) AS wanted CROSS JOIN entry ON entry.trace = wanted.value
        JOIN span AS parent ON parent.trace = entry.trace AND parent.span_id = entry.parent_id
        JOIN span AS child ON child.key = entry.key
        JOIN operation AS caller ON caller.id = parent.operation
        JOIN operation AS callee ON callee.id = child.operation
        """,
        (json.dumps(traces),),
    ).fetchall()
    calls: Counter[tuple[int, str, str]] = Counter()
    errors: Counter[tuple[int, str, str]] = Counter()
    for *_, key, parent, child, is_error in found:
        if parent != child:
            calls[key // MINUTE_NS, parent, child] += 1
            errors[key // MINUTE_NS, parent, child] += is_error
    connection.executemany(
        "DELETE FROM entry WHERE trace = ? AND parent_id = ? AND key = ?", [row[:3] for row in found],
    )
    connection.executemany(
        "INSERT INTO edge VALUES (?, ?, ?, ?, ?) ON CONFLICT (minute, parent, child) "
        "DO UPDATE SET calls = calls + excluded.calls, errors = errors + excluded.errors",
        [(*edge, n, errors[edge]) for edge, n in calls.items()],
    )


def read_edges(connection: sqlite3.Connection, from_ns: int, to_ns: int) -> list[Edge]:
    """Return the edges of the minutes that overlap [from_ns, to_ns)."""
    rows = connection.execute(
        "SELECT parent, child, sum(calls), sum(errors) FROM edge WHERE minute >= ? AND minute <= ? "
        "GROUP BY parent, child ORDER BY parent, child",
        (from_ns // MINUTE_NS, (to_ns - 1) // MINUTE_NS),
    )
    return [Edge(*row) for row in rows]
