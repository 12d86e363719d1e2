"""Starts and durations of whole services' spans, for rates and quantiles over time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tracedrpc_console.store.model import Timing
from tracedrpc_console.store.rows import KINDS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from tracedrpc_console.spans import Kind


def read_timings(
    connection: sqlite3.Connection, services: Sequence[str], kinds: Sequence[Kind], from_ns: int, to_ns: int,
) -> list[Timing]:
    """Return the spans of these services and kinds that began in [from_ns, to_ns), by their start."""
    operations = {
        number: (service, name)
        for number, service, name in connection.execute(
            "SELECT id, service, name FROM operation WHERE service IN (SELECT value FROM json_each(?)) "
            "AND kind IN (SELECT value FROM json_each(?))",
            (json.dumps(list(services)), json.dumps([KINDS.index(kind) for kind in kinds])),
        )
    }
    rows = connection.execute(
        "SELECT operation, key, duration_ns, is_error FROM span WHERE key >= ? AND key < ? "
        "AND operation IN (SELECT value FROM json_each(?)) ORDER BY key",
        (from_ns, to_ns, json.dumps(list(operations))),
    )
    return [
        Timing(*operations[operation], start, duration, bool(is_error))
        for operation, start, duration, is_error in rows
    ]
