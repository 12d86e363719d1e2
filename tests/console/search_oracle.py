"""Search by looking at everything: what the store's indexes must agree with. Words are ASCII here."""

from __future__ import annotations

import re
from itertools import groupby
from typing import Any

from tracedrpc_console.store.model import LogQuery, LogRow, Outcome, SpanRow, TraceQuery
from tracedrpc_console.store.values import text_of

_WORD = re.compile(r"\w+")


def found_traces(rows: list[SpanRow], query: TraceQuery) -> set[str]:
    """Return the ids of the traces that a query asks for."""
    by_trace = groupby(sorted(rows, key=lambda row: row.trace_id), lambda row: row.trace_id)
    return {trace_id for trace_id, spans in by_trace if _is_found(list(spans), query)}


def found_logs(rows: list[LogRow], query: LogQuery) -> list[LogRow]:
    """Return the records that a query asks for, the newest first."""
    found = [
        row for row in rows
        if _is_in(row.at_ns, query.from_ns, query.to_ns)
        and row.severity >= (query.least_severity or 0)
        and all(wish is None or wish == has for wish, has in (
            (query.service, row.service), (query.event, row.event), (query.trace_id, row.trace_id),
            (query.span_id, row.span_id),
        ))
        and _has(row.attributes, query.attributes)
        and _words(query.text) <= _words(row.body, row.event, *row.attributes.values())
    ]
    return sorted(found, key=lambda row: row.at_ns, reverse=True)


def _is_found(spans: list[SpanRow], query: TraceQuery) -> bool:
    root = min(spans, key=lambda span: (bool(span.parent_id), span.start_ns, span.span_id))
    wants_span = bool(query.attributes) or any(
        each is not None for each in (query.service, query.operation, query.kind, query.method)
    )
    return (
        _is_in(min(span.start_ns for span in spans), query.from_ns, query.to_ns)
        and (not query.errors_only or any(span.is_error for span in spans))
        and query.outcome in {None, Outcome.ERROR if root.is_error else Outcome.OK}
        and any(_says(span, query.text) for span in spans)
        and any(_is_such(span, query) for span in (spans if wants_span else [root]))
    )


def _is_such(span: SpanRow, query: TraceQuery) -> bool:
    took_ns = max(0, span.end_ns - span.start_ns)
    method = {} if query.method is None else {"rpc.method": query.method}
    return (
        all(wish is None or wish == has for wish, has in (
            (query.service, span.service), (query.operation, span.name), (query.kind, span.kind),
        ))
        and _has(span.attributes, {**method, **query.attributes})
        and (query.least_ns is None or took_ns >= query.least_ns)
        and (query.most_ns is None or took_ns <= query.most_ns)
    )


def _says(span: SpanRow, text: str | None) -> bool:
    return _words(text) <= _words(span.name, span.status_message, *span.attributes.values())


def _has(attributes: Any, wanted: Any) -> bool:
    return all(key in attributes and text_of(attributes[key]) == value for key, value in wanted.items())


def _is_in(at_ns: int, from_ns: int | None, to_ns: int | None) -> bool:
    return (from_ns is None or at_ns >= from_ns) and (to_ns is None or at_ns < to_ns)


def _words(*values: Any) -> set[str]:
    return {
        word for value in values if value is not None and not isinstance(value, float)
        for word in (_words(*value) if isinstance(value, list) else _WORD.findall(text_of(value).lower()))
    }
