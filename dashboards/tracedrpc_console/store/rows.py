"""Stored OTLP as rows for people: `SpanRow` and `LogRow`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from tracedrpc_console.spans import Event, Kind
from tracedrpc_console.store.model import Link, LogRow, SpanRow
from tracedrpc_console.store.put_logs import at_of, event_of
from tracedrpc_console.store.values import attributes_of, text_of, value_of

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS: Final = tuple(Kind)
"""By their numbers in OTLP."""
_ERROR: Final = 2
_LEVELS: Final = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")


class Origin:
    """A source as rows name it: the resource's attributes and the scope, read once for all of its rows."""

    def __init__(self, service: str, resource: bytes, scope: bytes) -> None:
        self.service = service
        of_resource = ResourceSpans.FromString(resource).resource
        self.resource: Mapping[str, Any] = attributes_of(of_resource.attributes)
        told = ScopeSpans.FromString(scope).scope
        self.scope_name: str = told.name
        self.scope_version: str = told.version


def span_row(proto: bytes, origin: Origin) -> SpanRow:
    """Return a stored span."""
    span = Span.FromString(proto)
    return SpanRow(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        service=origin.service,
        name=span.name,
        kind=kind_of(span.kind),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        is_error=span.status.code == _ERROR,
        attributes=attributes_of(span.attributes),
        events=tuple(
            Event(event.name, event.time_unix_nano, attributes_of(event.attributes)) for event in span.events
        ),
        links=tuple(
            Link(link.trace_id.hex(), link.span_id.hex(), attributes_of(link.attributes))
            for link in span.links
        ),
        status_message=span.status.message,
        scope_name=origin.scope_name,
        scope_version=origin.scope_version,
        resource=origin.resource,
        trace_state=span.trace_state,
    )


def log_row(row_id: int, proto: bytes, origin: Origin) -> LogRow:
    """Return a stored log record."""
    record = LogRecord.FromString(proto)
    return LogRow(
        id=row_id,
        at_ns=at_of(record),
        severity=record.severity_number,
        level=record.severity_text or level_of(record.severity_number),
        service=origin.service,
        trace_id=record.trace_id.hex(),
        span_id=record.span_id.hex(),
        event=event_of(record),
        body=text_of(value_of(record.body)),
        attributes=attributes_of(record.attributes),
        resource=origin.resource,
    )


def kind_of(number: int) -> Kind:
    """Return the kind of OTLP's number; numbers it does not have are UNSPECIFIED."""
    return KINDS[number] if 0 <= number < len(KINDS) else Kind.UNSPECIFIED


def level_of(severity: int) -> str:
    """Return the name of a severity, "" for what is none."""
    return _LEVELS[(severity - 1) // 4] if 1 <= severity <= 4 * len(_LEVELS) else ""
