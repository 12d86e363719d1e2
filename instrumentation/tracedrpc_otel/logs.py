"""A structlog processor for applications: log lines that say which span they belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import trace

from tracedrpc_otel.scopes import ids_of

if TYPE_CHECKING:
    from structlog.typing import EventDict, WrappedLogger


def add_trace_context(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    """Add `trace_id`, `span_id` and `trace_flags` of the current span, where there is one.

    Put it before the renderer: `structlog.configure(processors=[..., add_trace_context, ...])`.
    What a line says already stays.
    """
    for name, value in ids_of(trace.get_current_span().get_span_context()).items():
        fields.setdefault(name, value)
    return fields
