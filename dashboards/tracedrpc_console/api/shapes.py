"""Stored values as the JSON of the page's API: times in whole microseconds, durations in milliseconds."""

from __future__ import annotations

import base64
import math
from typing import TYPE_CHECKING, Any, Final

from tracedrpc import semconv
from tracedrpc_console.analysis.tree import phases_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tracedrpc_console.spans import Event
    from tracedrpc_console.store.model import LogRow, ServiceInfo, ServiceShare, SpanRow, TraceSummary

Shape = dict[str, Any]
_SAFE_WHOLE: Final = 2**53 - 1
"""JavaScript's greatest exact whole number; a greater one goes as text."""


def plain(value: Any) -> Any:
    """Return an attribute's value as JSON can hold it, in every reader."""
    match value:
        case dict():
            return {str(key): plain(each) for key, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
        case bytes():
            return base64.b64encode(value).decode()
        case int() | float() if not _is_exact(value):
            return str(value)
    return value


def _is_exact(number: float) -> bool:
    """Tell whether a number is the same in JavaScript."""
    return abs(number) <= _SAFE_WHOLE if isinstance(number, int) else math.isfinite(number)


def attributes(values: Mapping[str, Any]) -> Shape:
    """Return attributes as JSON."""
    return {key: plain(value) for key, value in values.items()}


def micros(at_ns: int) -> int:
    """Return a time as JSON has it."""
    return at_ns // 1000


def millis(duration_ns: int) -> float:
    """Return a duration as JSON has it."""
    return max(0, duration_ns) / 1e6


def summary(found: TraceSummary) -> Shape:
    """Return one row of a search."""
    return {
        "id": found.trace_id,
        "start": micros(found.start_ns),
        "duration": millis(found.end_ns - found.start_ns),
        "root": {
            "service": found.root_service, "name": found.root_name,
            "duration": millis(found.root_duration_ns),
        },
        "spans": found.spans,
        "errors": found.errors,
        "services": _shares(found.services),
        "outcome": found.outcome.value,
        "why": found.why or None,
        "orphans": found.orphans,
    }


def point(found: TraceSummary) -> list[Any]:
    """Return one point of the scatter."""
    took_ms = millis(found.end_ns - found.start_ns)
    return [micros(found.start_ns), took_ms, found.outcome.value, found.trace_id]


def span(row: SpanRow, depth: int, *, is_parent_missing: bool) -> Shape:
    """Return one span at its place in the tree."""
    phases = phases_ms(row.attributes)
    return {
        "id": row.span_id,
        "parent": row.parent_id or None,
        "depth": depth,
        "service": row.service,
        "name": row.name,
        "kind": row.kind.value,
        "start": micros(row.start_ns),
        "duration": row.duration_ms,
        "error": row.is_error,
        "message": row.status_message,
        "attributes": attributes(row.attributes),
        "events": [_event(each) for each in row.events],
        "links": [
            {"trace": link.trace_id, "span": link.span_id, "attributes": attributes(link.attributes)}
            for link in row.links
        ],
        "resource": attributes(row.resource),
        "scope": row.scope_name,
        "version": str(row.resource.get("service.version", "")),
        "phases": {phase.value: ms for phase, ms in phases.items()} or None,
        "why": row.attributes.get(semconv.WHY),
        "missingParent": is_parent_missing,
    }


def log(row: LogRow) -> Shape:
    """Return one log record."""
    return {
        "id": row.id,
        "at": micros(row.at_ns),
        "level": row.level,
        "severity": row.severity,
        "service": row.service,
        "event": row.event,
        "body": row.body,
        "trace": row.trace_id,
        "span": row.span_id,
        "attributes": attributes(row.attributes),
        "resource": attributes(row.resource),
    }


def service(found: ServiceInfo) -> Shape:
    """Return what is known of a service."""
    return {
        "name": found.name, "spans": found.spans, "errors": found.errors, "last": micros(found.last_ns),
        "versions": list(found.versions),
    }


def _event(event: Event) -> Shape:
    return {"name": event.name, "at": micros(event.at_ns), "attributes": attributes(event.attributes)}


def _shares(shares: Iterable[ServiceShare]) -> list[Shape]:
    return [{"name": each.name, "spans": each.spans, "errors": each.errors} for each in shares]
