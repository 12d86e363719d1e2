"""OTLP spans as Jaeger's JSON. Pure.

The rules are those of OpenTelemetry's "Transformation to Jaeger" and of Jaeger 2's translator: the order of
tags, which of them are derived, and what is lost (a link's attributes).
"""

from __future__ import annotations

import base64
import json
import math
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource
    from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status

    from tracedrpc_console.spans import Kind

NO_SERVICE: Final = "OTLPResourceNoServiceName"
"""What a process is called whose resource has no `service.name`."""
WARNINGS: Final = "@jaeger@warnings"
"""The attribute in which Jaeger's own tools keep a span's warnings."""
KINDS: Final = (None, "internal", "server", "client", "producer", "consumer")
"""Jaeger's words for OTLP's kinds, by their numbers."""
_SERVICE_NAME: Final = "service.name"
_REFERENCE_TYPE: Final = "opentracing.ref_type"
_MOST_EXACT: Final = 2**53 - 1
"""The largest whole number that JavaScript reads exactly."""
_STATUSES: Final = {1: "OK", 2: "ERROR"}
_STATUS_ERROR: Final = 2

Json = dict[str, Any]


def traces(resource_spans: Iterable[ResourceSpans]) -> list[Json]:
    """Return Jaeger's traces, in the order in which they first appear."""
    found: dict[bytes, _Trace] = {}
    for group in resource_spans:
        process = _process(group.resource)
        for scoped in group.scope_spans:
            for span in scoped.spans:
                trace = found.setdefault(span.trace_id, _Trace(span.trace_id))
                trace.add(span, scoped.scope, process)
    return [trace.json() for trace in found.values()]


def kind_word(kind: Kind) -> str:
    """Return Jaeger's word for a kind, "" for none."""
    return KINDS[list(type(kind)).index(kind)] or ""


class _Trace:
    """The spans of a trace, and its processes numbered as they come."""

    def __init__(self, trace_id: bytes) -> None:
        self._id = trace_id.hex()
        self._spans: list[Json] = []
        self._processes: dict[str, tuple[str, Json]] = {}

    def add(self, span: Span, scope: InstrumentationScope, process: Json) -> None:
        fresh = (f"p{len(self._processes) + 1}", process)
        number, _ = self._processes.setdefault(json.dumps(process), fresh)
        self._spans.append(_span(span, scope, number))

    def json(self) -> Json:
        processes = dict(self._processes.values())
        return {"traceID": self._id, "spans": self._spans, "processes": processes, "warnings": None}


def _process(resource: Resource) -> Json:
    names = [pair.value.string_value for pair in resource.attributes if pair.key == _SERVICE_NAME]
    rest = (pair for pair in resource.attributes if pair.key != _SERVICE_NAME)
    return {"serviceName": next(filter(None, names), NO_SERVICE), "tags": [tag(pair) for pair in rest]}


def _span(span: Span, scope: InstrumentationScope, process: str) -> Json:
    return {
        "traceID": span.trace_id.hex(),
        "spanID": span.span_id.hex(),
        "operationName": span.name,
        "references": list(_references(span)),
        "startTime": span.start_time_unix_nano // 1000,
        "duration": max(0, span.end_time_unix_nano - span.start_time_unix_nano) // 1000,
        "tags": list(_tags(span, scope)),
        "logs": [_log(event) for event in span.events],
        "processID": process,
        "warnings": _warnings(span) or None,
    }


def _references(span: Span) -> Iterator[Json]:
    if span.parent_span_id:
        yield _reference("CHILD_OF", span.trace_id, span.parent_span_id)
    for link in span.links:
        is_parent = any(
            pair.key == _REFERENCE_TYPE and pair.value.string_value == "child_of" for pair in link.attributes
        )
        yield _reference("CHILD_OF" if is_parent else "FOLLOWS_FROM", link.trace_id, link.span_id)


def _reference(kind: str, trace_id: bytes, span_id: bytes) -> Json:
    return {"refType": kind, "traceID": trace_id.hex(), "spanID": span_id.hex()}


def _tags(span: Span, scope: InstrumentationScope) -> Iterator[Json]:
    if scope.name:
        yield _text("otel.scope.name", scope.name)
    if scope.version:
        yield _text("otel.scope.version", scope.version)
    yield from (tag(pair) for pair in span.attributes if pair.key != WARNINGS)
    kind = KINDS[span.kind] if span.kind < len(KINDS) else None
    if kind:
        yield _text("span.kind", kind)
    yield from _status(span.status)
    if span.trace_state:
        yield _text("w3c.tracestate", span.trace_state)


def _status(status: Status) -> Iterator[Json]:
    if status.code in _STATUSES:
        yield _text("otel.status_code", _STATUSES[status.code])
    if status.code == _STATUS_ERROR:
        yield {"key": "error", "type": "bool", "value": True}
    if status.message:
        yield _text("otel.status_description", status.message)


def _log(event: Span.Event) -> Json:
    fields = [tag(pair) for pair in event.attributes]
    if event.name and all(field["key"] != "event" for field in fields):
        fields.insert(0, _text("event", event.name))
    return {"timestamp": event.time_unix_nano // 1000, "fields": fields}


def _warnings(span: Span) -> list[str]:
    return [
        item.string_value
        for pair in span.attributes if pair.key == WARNINGS for item in pair.value.array_value.values
    ]


def _text(key: str, value: str) -> Json:
    return {"key": key, "type": "string", "value": value}


def tag(pair: KeyValue) -> Json:
    """Return an attribute as Jaeger's typed key and value; lists and maps become JSON text."""
    value = pair.value
    match value.WhichOneof("value"):
        case "bool_value":
            return {"key": pair.key, "type": "bool", "value": value.bool_value}
        case "int_value":
            return {"key": pair.key, "type": "int64", "value": _whole(value.int_value)}
        case "double_value":
            return {"key": pair.key, "type": "float64", "value": _plain(value)}
        case "bytes_value":
            return {"key": pair.key, "type": "binary", "value": _plain(value)}
        case "array_value" | "kvlist_value":
            compact = json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=False)
            return _text(pair.key, compact)
    return _text(pair.key, value.string_value)


def _whole(value: int) -> int | str:
    return value if abs(value) <= _MOST_EXACT else str(value)


def _plain(value: AnyValue) -> Any:
    """Return a value as JSON can hold it: bytes as base64, what is no number as its name."""
    match value.WhichOneof("value"):
        case "array_value":
            return [_plain(item) for item in value.array_value.values]
        case "kvlist_value":
            return {pair.key: _plain(pair.value) for pair in value.kvlist_value.values}
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode("ascii")
        case "double_value":
            return value.double_value if math.isfinite(value.double_value) else str(value.double_value)
        case None:
            return None
        case name:
            return getattr(value, name)
