"""What goes when there is too much: the oldest arrivals, whole traces, a little at a time."""

from __future__ import annotations

import json
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from tracedrpc_console.store.edges import MINUTE_NS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from tracedrpc_console.store.shelves import Shelves

STEP_ROWS: Final = 2000
"""Spans, log records or points of one step; less in a small file, where that would be much of it."""
STEP_BYTES: Final = 25_000
"""Of the allowed size, to one row of a step."""
FULL: Final = 0.92
"""From this share of the size on rows are removed."""
FREE_PAGES: Final = 500
"""Given back to the file system in one step, once the file is larger than allowed."""


class Retention:
    """Removes rows by age and by size, on the writer's thread; each step is one of its transactions.

    Args:
        connection: the writer's.
        spans, logs: their shelves.
        retention_s: how long what has arrived is kept.
        max_bytes: how large the file may be, with a tenth of tolerance.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        spans: Shelves,
        logs: Shelves,
        retention_s: float,
        max_bytes: int,
    ) -> None:
        self._connection = connection
        self._spans = spans
        self._logs = logs
        self._retention_us = int(retention_s * 1e6)
        self._max_bytes = max_bytes
        self._rows = max(50, min(STEP_ROWS, max_bytes // STEP_BYTES))

    def step(self, now_us: int) -> bool:
        """Remove some rows if there are too many or too old ones; return whether there may be more to do."""
        before_us = now_us - self._retention_us
        too_old = [table for table in ("trace", "log", "point") if self._oldest(table) < before_us]
        for table in too_old:
            self._remove(table, before_us)
        if too_old:
            return True
        if self._used_bytes() > self._max_bytes * FULL:
            self._remove(min(("trace", "log", "point"), key=self._oldest), now_us + 1)
            return True
        return False

    def shrink(self) -> None:
        """Give free pages back while the file is too large; outside of transactions."""
        if self._pragma("page_count") * self._pragma("page_size") > self._max_bytes:
            self._connection.execute(f"PRAGMA incremental_vacuum({FREE_PAGES})").fetchall()

    def _remove(self, table: str, before_us: int) -> None:
        remove: Callable[[int], None] = {
            "trace": self._remove_traces, "log": self._remove_logs, "point": self._remove_points,
        }[table]
        remove(before_us)

    def _remove_traces(self, before_us: int) -> None:
        wanted = (json.dumps(self._oldest_traces(before_us)),)
        run = self._connection.execute
        spans = "FROM span WHERE trace IN (SELECT value FROM json_each(?))"
        self._spans.take_out(run(f"SELECT shelf, count(*) {spans} GROUP BY shelf", wanted).fetchall())
        self._connection.executemany(
            "UPDATE operation SET spans = spans - ?, errors = errors - ? WHERE id = ?",
            run(f"SELECT count(*), sum(is_error), operation {spans} GROUP BY operation", wanted).fetchall(),
        )
        run(f"DELETE FROM call WHERE key IN (SELECT key {spans})", wanted)  # noqa: S608 - made of constants
        run("DELETE FROM entry WHERE trace IN (SELECT value FROM json_each(?))", wanted)
        run(f"DELETE {spans}", wanted)
        run("DELETE FROM trace WHERE id IN (SELECT value FROM json_each(?))", wanted)
        self._remove_edges()

    def _oldest_traces(self, before_us: int) -> list[int]:
        """Return the ids of the traces to remove now: about one step's spans, one trace at least."""
        rows = self._connection.execute(
            "SELECT id, spans FROM trace WHERE id < ? ORDER BY id LIMIT ?", (before_us, self._rows),
        ).fetchall()
        up_to = accumulate(spans for _, spans in rows)
        return [
            trace for (trace, spans), total in zip(rows, up_to, strict=True) if total - spans < self._rows
        ]

    def _remove_edges(self) -> None:
        (oldest_ns,) = self._connection.execute("SELECT min(start_ns) FROM trace").fetchone()
        minute = (oldest_ns if oldest_ns is not None else 2**62) // MINUTE_NS
        self._connection.execute("DELETE FROM edge WHERE minute < ?", (minute,))
        self._connection.execute("DELETE FROM operation WHERE spans <= 0")

    def _remove_logs(self, before_us: int) -> None:
        rows = self._connection.execute(
            "SELECT key, shelf FROM log WHERE id < ? ORDER BY id LIMIT ?", (before_us, self._rows),
        ).fetchall()
        keys = (json.dumps([key for key, _ in rows]),)
        run = self._connection.execute
        run("DELETE FROM log WHERE key IN (SELECT value FROM json_each(?))", keys)
        self._logs.take_out((shelf, 1) for _, shelf in rows)

    def _remove_points(self, before_us: int) -> None:
        self._connection.execute(
            "DELETE FROM point WHERE id IN (SELECT id FROM point WHERE id < ? ORDER BY id LIMIT ?)",
            (before_us, self._rows),
        )
        self._connection.execute(
            "DELETE FROM series WHERE NOT EXISTS (SELECT 1 FROM point WHERE point.series = series.id)",
        )

    def _oldest(self, table: str) -> int:
        (oldest,) = self._connection.execute(f"SELECT min(id) FROM {table}").fetchone()  # noqa: S608
        return 2**63 - 1 if oldest is None else int(oldest)

    def _used_bytes(self) -> int:
        pages = self._pragma("page_count") - self._pragma("freelist_count")
        return pages * self._pragma("page_size")

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])
