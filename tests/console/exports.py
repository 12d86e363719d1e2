"""OTLP exports made by hand."""

from __future__ import annotations

from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tracedrpc_console.spans import Kind
from tracedrpc_console.store.model import LogRow, SpanRow
from tracedrpc_console.store.rows import KINDS

MS = 1_000_000
BEGIN_NS = 1_790_000_000 * 10**9
SCOPE = ("tracedrpc", "0.1.0")
_FIELDS = {
    bool: "bool_value", str: "string_value", int: "int_value", float: "double_value", bytes: "bytes_value",
}


def trace_id(n: int) -> str:
    return f"{n:032x}"


def span_id(n: int) -> str:
    return f"{n:016x}"


def a_span(
    trace: int = 1, place: int = 1, parent: int = 0, at_ms: float = 0, took_ms: float = 10, **fields: Any,
) -> SpanRow:
    """Return a span of service "api", unless `fields` say otherwise."""
    start_ns = BEGIN_NS + round(at_ms * MS)
    defaults = {
        "service": "api", "name": "compute/reboot", "kind": Kind.CLIENT, "scope_name": SCOPE[0],
        "scope_version": SCOPE[1],
    }
    merged = defaults | fields
    merged.setdefault("resource", {"service.name": merged["service"]})
    return SpanRow(
        trace_id(trace), span_id(place), span_id(parent) if parent else "",
        start_ns=start_ns, end_ns=start_ns + round(took_ms * MS), **merged,
    )


def a_log(body: str = "hello", at_ms: float = 0, **fields: Any) -> LogRow:
    defaults: dict[str, Any] = {
        "severity": 9, "level": "INFO", "service": "api", "trace_id": "", "span_id": "", "event": "",
    }
    merged = defaults | fields
    merged.setdefault("resource", {"service.name": merged["service"]})
    return LogRow(id=0, at_ns=BEGIN_NS + round(at_ms * MS), body=body, **merged)


def trace_export(*spans: SpanRow) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    for row in spans:
        of_resource = request.resource_spans.add()
        put(of_resource.resource.attributes, row.resource)
        of_scope = of_resource.scope_spans.add()
        of_scope.scope.name, of_scope.scope.version = row.scope_name, row.scope_version
        span = of_scope.spans.add(
            trace_id=bytes.fromhex(row.trace_id), span_id=bytes.fromhex(row.span_id),
            parent_span_id=bytes.fromhex(row.parent_id), name=row.name, kind=KINDS.index(row.kind),
            start_time_unix_nano=row.start_ns, end_time_unix_nano=row.end_ns, trace_state=row.trace_state,
        )
        put(span.attributes, row.attributes)
        if row.is_error or row.status_message:
            span.status.code = 2 if row.is_error else 0
            span.status.message = row.status_message
        for event in row.events:
            put(span.events.add(name=event.name, time_unix_nano=event.at_ns).attributes, event.attributes)
        for link in row.links:
            made = span.links.add(trace_id=bytes.fromhex(link.trace_id), span_id=bytes.fromhex(link.span_id))
            put(made.attributes, link.attributes)
    return request


def log_export(*rows: LogRow) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    for row in rows:
        of_resource = request.resource_logs.add()
        put(of_resource.resource.attributes, row.resource)
        record = of_resource.scope_logs.add().log_records.add(
            time_unix_nano=row.at_ns, severity_number=row.severity, severity_text=row.level,
            event_name=row.event, trace_id=bytes.fromhex(row.trace_id), span_id=bytes.fromhex(row.span_id),
        )
        record.body.string_value = row.body
        put(record.attributes, row.attributes)
    return request


def gauge_export(
    name: str, *values: tuple[float, float], service: str = "api", **attributes: Any,
) -> ExportMetricsServiceRequest:
    """Return an export of a gauge with points (ms after `BEGIN_NS`, value)."""
    request = ExportMetricsServiceRequest()
    of_resource = request.resource_metrics.add()
    put(of_resource.resource.attributes, {"service.name": service, "service.instance.id": f"{service}-1"})
    metric = of_resource.scope_metrics.add().metrics.add(name=name, unit="s")
    for at_ms, value in values:
        point = metric.gauge.data_points.add(time_unix_nano=BEGIN_NS + round(at_ms * MS), as_double=value)
        put(point.attributes, attributes)
    return request


def put(pairs: Any, attributes: Any) -> None:
    for key, value in attributes.items():
        pair = pairs.add()
        pair.key = key
        set_value(pair.value, value)


def set_value(any_value: Any, value: Any) -> None:
    if isinstance(value, list):
        any_value.array_value.SetInParent()
        for item in value:
            set_value(any_value.array_value.values.add(), item)
    elif isinstance(value, dict):
        any_value.kvlist_value.SetInParent()
        put(any_value.kvlist_value.values, value)
    else:
        setattr(any_value, _FIELDS[type(value)], value)
