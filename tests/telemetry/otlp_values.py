"""What an OTLP export holds, as flat values that a test can compare."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
STATUSES = ("UNSET", "OK", "ERROR")
TEMPORALITIES = ("UNSPECIFIED", "DELTA", "CUMULATIVE")


@dataclass(frozen=True)
class ScopeData:
    name: str
    version: str
    schema_url: str


@dataclass(frozen=True)
class Origin:
    """The process and the library that something came from."""

    resource: dict[str, Any]
    scope: ScopeData

    @property
    def service(self) -> str:
        return str(self.resource.get("service.name", ""))


@dataclass(frozen=True)
class EventData:
    name: str
    at_ns: int
    attributes: dict[str, Any]


@dataclass(frozen=True)
class LinkData:
    trace_id: str
    span_id: str
    attributes: dict[str, Any]


@dataclass(frozen=True)
class SpanData:
    """A span; ids in hex, `parent_id` is "" for a root."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    start_ns: int
    end_ns: int
    status: str
    status_text: str
    attributes: dict[str, Any]
    events: tuple[EventData, ...]
    links: tuple[LinkData, ...]
    trace_state: str
    flags: int
    origin: Origin

    @property
    def service(self) -> str:
        return self.origin.service

    @property
    def resource(self) -> dict[str, Any]:
        return self.origin.resource


@dataclass(frozen=True)
class LogData:
    """A log record; ids in hex, "" when it belongs to no span."""

    event_name: str
    body: Any
    severity: int
    severity_text: str
    at_ns: int
    observed_ns: int
    trace_id: str
    span_id: str
    trace_flags: int
    attributes: dict[str, Any]
    origin: Origin

    @property
    def service(self) -> str:
        return self.origin.service

    @property
    def resource(self) -> dict[str, Any]:
        return self.origin.resource


@dataclass(frozen=True)
class ExemplarData:
    value: float
    trace_id: str
    span_id: str
    attributes: dict[str, Any]


@dataclass(frozen=True)
class PointData:
    """One point of one metric; a histogram's `value` is its sum."""

    name: str
    unit: str
    kind: str
    temporality: str
    value: float
    attributes: dict[str, Any]
    origin: Origin
    start_ns: int
    at_ns: int
    count: int = 0
    bounds: tuple[float, ...] = ()
    buckets: tuple[int, ...] = ()
    is_monotonic: bool = False
    exemplars: tuple[ExemplarData, ...] = field(default=())

    @property
    def service(self) -> str:
        return self.origin.service

    @property
    def resource(self) -> dict[str, Any]:
        return self.origin.resource


def spans_of(body: bytes) -> list[SpanData]:
    return [
        _span(span, Origin(attributes_of(of_resource.resource.attributes), _scope(of_scope)))
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]


def logs_of(body: bytes) -> list[LogData]:
    return [
        _log(record, Origin(attributes_of(of_resource.resource.attributes), _scope(of_scope)))
        for of_resource in ExportLogsServiceRequest.FromString(body).resource_logs
        for of_scope in of_resource.scope_logs
        for record in of_scope.log_records
    ]


def points_of(body: bytes) -> list[PointData]:
    return [
        _point(metric, point, Origin(attributes_of(of_resource.resource.attributes), _scope(of_scope)))
        for of_resource in ExportMetricsServiceRequest.FromString(body).resource_metrics
        for of_scope in of_resource.scope_metrics
        for metric in of_scope.metrics
        for point in getattr(metric, metric.WhichOneof("data")).data_points
    ]


def attributes_of(pairs: Iterable[Any]) -> dict[str, Any]:
    return {pair.key: value_of(pair.value) for pair in pairs}


def value_of(value: Any) -> Any:
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [value_of(item) for item in value.array_value.values]
        case "kvlist_value":
            return attributes_of(value.kvlist_value.values)
        case name:
            return getattr(value, name)


def _scope(of_scope: Any) -> ScopeData:
    return ScopeData(of_scope.scope.name, of_scope.scope.version, of_scope.schema_url)


def _span(span: Any, origin: Origin) -> SpanData:
    return SpanData(
        name=span.name,
        kind=KINDS[span.kind],
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        status=STATUSES[span.status.code],
        status_text=span.status.message,
        attributes=attributes_of(span.attributes),
        events=tuple(
            EventData(event.name, event.time_unix_nano, attributes_of(event.attributes))
            for event in span.events
        ),
        links=tuple(
            LinkData(link.trace_id.hex(), link.span_id.hex(), attributes_of(link.attributes))
            for link in span.links
        ),
        trace_state=span.trace_state,
        flags=span.flags,
        origin=origin,
    )


def _log(record: Any, origin: Origin) -> LogData:
    return LogData(
        event_name=record.event_name,
        body=value_of(record.body),
        severity=record.severity_number,
        severity_text=record.severity_text,
        at_ns=record.time_unix_nano,
        observed_ns=record.observed_time_unix_nano,
        trace_id=record.trace_id.hex(),
        span_id=record.span_id.hex(),
        trace_flags=record.flags & 0xFF,
        attributes=attributes_of(record.attributes),
        origin=origin,
    )


def _point(metric: Any, point: Any, origin: Origin) -> PointData:
    kind = metric.WhichOneof("data")
    data = getattr(metric, kind)
    is_number = kind in {"sum", "gauge"}
    return PointData(
        name=metric.name,
        unit=metric.unit,
        kind=kind,
        temporality=TEMPORALITIES[getattr(data, "aggregation_temporality", 0)],
        value=getattr(point, point.WhichOneof("value")) if is_number else point.sum,
        attributes=attributes_of(point.attributes),
        origin=origin,
        start_ns=point.start_time_unix_nano,
        at_ns=point.time_unix_nano,
        count=0 if is_number else point.count,
        bounds=tuple(getattr(point, "explicit_bounds", ())),
        buckets=tuple(point.bucket_counts) if kind == "histogram" else (),
        is_monotonic=getattr(data, "is_monotonic", False),
        exemplars=tuple(_exemplar(found) for found in point.exemplars),
    )


def _exemplar(found: Any) -> ExemplarData:
    return ExemplarData(
        getattr(found, found.WhichOneof("value")),
        found.trace_id.hex(),
        found.span_id.hex(),
        attributes_of(found.filtered_attributes),
    )
