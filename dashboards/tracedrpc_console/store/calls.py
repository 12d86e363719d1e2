"""Calls and casts: the spans of their senders, as narrow rows for tables of methods."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from tracedrpc import semconv as names
from tracedrpc.anatomy import Phase
from tracedrpc_console.store.model import CallRow
from tracedrpc_console.store.values import text_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

_PHASES: Final = {names.phase_ms(phase): phase.value for phase in Phase}


def call_row(attributes: Mapping[str, Any]) -> tuple[str, str, str, str, str] | None:
    """Return (method, mode, error type, timeout phase, phases as JSON) of a call or cast, None of others."""
    method, mode = attributes.get(names.RPC_METHOD), attributes.get(names.MODE)
    if method is None or mode is None:
        return None
    phases = {
        phase: value for name, phase in _PHASES.items() if isinstance(value := attributes.get(name), float)
    }
    return (
        text_of(method),
        text_of(mode),
        text_of(attributes.get(names.ERROR_TYPE)),
        text_of(attributes.get(names.TIMEOUT_PHASE)),
        json.dumps(phases),
    )


def read_calls(
    connection: sqlite3.Connection, from_ns: int, to_ns: int, service: str | None, version: str | None,
) -> list[CallRow]:
    """Return the calls that began in [from_ns, to_ns), the oldest first."""
    rows = connection.execute(
        """
        SELECT trace.trace_id, method, mode, service, version, call.key, duration_ns, is_error, error_type,
               timeout_phase, phases
        FROM call JOIN source ON source.id = call.source JOIN trace ON trace.id = call.trace
        WHERE call.key >= ?1 AND call.key < ?2
        AND (?3 IS NULL OR service = ?3) AND (?4 IS NULL OR version = ?4)
        ORDER BY call.key
        """,
        (from_ns, to_ns, service, version),
    )
    return [_call(*row) for row in rows]


def _call(
    trace_id: bytes,
    method: str,
    mode: str,
    service: str,
    version: str,
    start_ns: int,
    duration_ns: int,
    is_error: int,
    error_type: str,
    timeout_phase: str,
    phases: str,
) -> CallRow:
    return CallRow(
        trace_id.hex(), method, mode, service, version, start_ns, duration_ns, bool(is_error), error_type,
        timeout_phase, json.loads(phases),
    )
