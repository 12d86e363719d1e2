"""Stored spans as the tree that pictures and sentences are made from. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracedrpc import semconv
from tracedrpc.anatomy import Phase
from tracedrpc_console.analysis.critical import PathSpan
from tracedrpc_console.spans import Kind, Span, Trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from tracedrpc_console.store.model import SpanRow


def trace_of(rows: Iterable[SpanRow]) -> Trace:
    """Return the tree of one trace's spans."""
    return Trace([span_of(row) for row in rows])


def span_of(row: SpanRow) -> Span:
    """Return a stored span as far as pictures need it."""
    return Span(
        row.trace_id, row.span_id, row.parent_id, row.service, row.name, row.kind, row.start_ns, row.end_ns,
        row.is_error, row.attributes, row.events, str(row.resource.get("service.instance.id", "")),
    )


def path_spans(trace: Trace) -> list[PathSpan]:
    """Return what the critical path needs of a trace.

    What a method does is drawn beside `handle {method}`, below the server's span, since that one is only
    made when it is worth it. Here it belongs to it: or else all the blame would be the method's.
    """
    inside = {
        each.span_id: handle.span_id
        for handle in trace.spans if handle.kind is Kind.INTERNAL and handle.name.startswith("handle ")
        for each in _siblings(trace, handle)
        if handle.start_ns <= each.start_ns and each.end_ns <= handle.end_ns
    }
    return [
        PathSpan(
            span.span_id, inside.get(span.span_id, span.parent_id), span.name, span.kind.value,
            span.start_ns // 1000, span.end_ns // 1000,
        )
        for span in trace.spans
    ]


def _siblings(trace: Trace, span: Span) -> list[Span]:
    parent = trace.parent(span)
    return [each for each in trace.children(parent) if each is not span] if parent is not None else []


def phases_ms(attributes: Mapping[str, Any]) -> dict[Phase, float]:
    """Return the phases that a span tells, in the order of a call's way."""
    told = {phase: attributes.get(semconv.phase_ms(phase)) for phase in Phase}
    return {
        phase: float(ms) for phase, ms in told.items()
        if isinstance(ms, (int, float)) and not isinstance(ms, bool) and ms >= 0
    }
