"""Rows of a search made of what is stored of a trace."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING

from tracedrpc_console.store.model import Outcome, ServiceShare, TraceSummary

if TYPE_CHECKING:
    import sqlite3


def summaries(connection: sqlite3.Connection, traces: list[int]) -> tuple[TraceSummary, ...]:
    """Return the summaries of traces, in the order of their ids here."""
    wanted = (json.dumps(traces),)
    rows = connection.execute(
        """
        SELECT trace.id, trace_id, start_ns, end_ns, trace.spans, trace.errors,
               operation.service, operation.name, root_duration_ns, outcome, why
        FROM json_each(?) AS wanted CROSS JOIN trace ON trace.id = wanted.value
        JOIN operation ON operation.id = trace.root_operation
        ORDER BY wanted.key
        """,
        wanted,
    ).fetchall()
    shares = _shares(connection, wanted)
    orphans = _orphans(connection, wanted)
    return tuple(
        TraceSummary(
            trace_id.hex(), start_ns, end_ns, spans, errors, service, name, duration_ns,
            tuple(shares[trace]), Outcome(outcome), why, orphans.get(trace, 0),
        )
        for trace, trace_id, start_ns, end_ns, spans, errors, service, name, duration_ns, outcome, why in rows
    )


def _shares(connection: sqlite3.Connection, wanted: tuple[str]) -> dict[int, list[ServiceShare]]:
    shares: dict[int, list[ServiceShare]] = defaultdict(list)
    for trace, *share in connection.execute(
        """
        SELECT span.trace, operation.service, count(*), sum(span.is_error)
        FROM json_each(?) AS wanted CROSS JOIN span ON span.trace = wanted.value
        JOIN operation ON operation.id = span.operation
        GROUP BY span.trace, operation.service ORDER BY operation.service
        """,
        wanted,
    ):
        shares[trace].append(ServiceShare(*share))
    return shares


def _orphans(connection: sqlite3.Connection, wanted: tuple[str]) -> dict[int, int]:
    return dict(connection.execute(
        """
        SELECT child.trace, count(*)
        FROM json_each(?) AS wanted CROSS JOIN span AS child ON child.trace = wanted.value
        WHERE child.parent_id <> x'' AND NOT EXISTS (
            SELECT 1 FROM span AS parent WHERE parent.trace = child.trace AND parent.span_id = child.parent_id
        )
        GROUP BY child.trace
        """,
        wanted,
    ).fetchall())
