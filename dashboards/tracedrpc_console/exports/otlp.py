"""Spans as OTLP/JSON: nothing is lost, ids are hex, 64-bit numbers are strings. Pure.

protobuf's own JSON differs in the ids (base64), and is so general that it takes three times as long.
"""

from __future__ import annotations

import base64
import json
import math
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource
    from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span

Json = dict[str, Any]


def parsed(blobs: Iterable[bytes]) -> list[ResourceSpans]:
    """Return what a store gave out, the spans of equal resources and scopes together."""
    groups: dict[tuple[bytes, str], ResourceSpans] = {}
    scopes: dict[tuple[int, bytes, str], ScopeSpans] = {}
    for blob in blobs:
        part = ResourceSpans.FromString(blob)
        head = part.resource.SerializeToString(deterministic=True), part.schema_url
        group = groups.setdefault(head, ResourceSpans(resource=part.resource, schema_url=part.schema_url))
        for scoped in part.scope_spans:
            key = id(group), scoped.scope.SerializeToString(deterministic=True), scoped.schema_url
            if key not in scopes:
                scopes[key] = group.scope_spans.add(scope=scoped.scope, schema_url=scoped.schema_url)
            scopes[key].spans.extend(scoped.spans)
    return list(groups.values())


def export(resource_spans: Sequence[ResourceSpans]) -> bytes:
    """Return a file that any OTLP/JSON reader takes."""
    return json.dumps(document(resource_spans), ensure_ascii=False).encode()


def document(resource_spans: Sequence[ResourceSpans]) -> Json:
    """Return the same as a value for JSON."""
    return {"resourceSpans": [_group(group) for group in resource_spans]}


def _group(group: ResourceSpans) -> Json:
    return _filled({
        "resource": _resource(group.resource),
        "scopeSpans": [_scoped(scoped) for scoped in group.scope_spans],
        "schemaUrl": group.schema_url,
    })


def _resource(resource: Resource) -> Json:
    return _filled({
        "attributes": _pairs(resource.attributes),
        "droppedAttributesCount": resource.dropped_attributes_count,
    })


def _scoped(scoped: ScopeSpans) -> Json:
    return _filled({
        "scope": _scope(scoped.scope),
        "spans": [_span(span) for span in scoped.spans],
        "schemaUrl": scoped.schema_url,
    })


def _scope(scope: InstrumentationScope) -> Json:
    return _filled({
        "name": scope.name,
        "version": scope.version,
        "attributes": _pairs(scope.attributes),
        "droppedAttributesCount": scope.dropped_attributes_count,
    })


def _span(span: Span) -> Json:
    return _filled({
        "traceId": span.trace_id.hex(),
        "spanId": span.span_id.hex(),
        "traceState": span.trace_state,
        "parentSpanId": span.parent_span_id.hex(),
        "flags": span.flags,
        "name": span.name,
        "kind": int(span.kind),
        "startTimeUnixNano": str(span.start_time_unix_nano),
        "endTimeUnixNano": str(span.end_time_unix_nano),
        "attributes": _pairs(span.attributes),
        "droppedAttributesCount": span.dropped_attributes_count,
        "events": [_event(event) for event in span.events],
        "droppedEventsCount": span.dropped_events_count,
        "links": [_link(link) for link in span.links],
        "droppedLinksCount": span.dropped_links_count,
        "status": _filled({"message": span.status.message, "code": int(span.status.code)}),
    })


def _event(event: Span.Event) -> Json:
    return _filled({
        "timeUnixNano": str(event.time_unix_nano),
        "name": event.name,
        "attributes": _pairs(event.attributes),
        "droppedAttributesCount": event.dropped_attributes_count,
    })


def _link(link: Span.Link) -> Json:
    return _filled({
        "traceId": link.trace_id.hex(),
        "spanId": link.span_id.hex(),
        "traceState": link.trace_state,
        "attributes": _pairs(link.attributes),
        "droppedAttributesCount": link.dropped_attributes_count,
        "flags": link.flags,
    })


def _filled(fields: Mapping[str, Any]) -> Json:
    """Leave out what is empty, as protobuf's JSON does."""
    return {name: value for name, value in fields.items() if value}


def _pairs(pairs: Iterable[KeyValue]) -> list[Json]:
    return [{"key": pair.key, "value": _value(pair.value)} for pair in pairs]


def _value(value: AnyValue) -> Json:
    name = value.WhichOneof("value")
    if name is None:
        return {}
    json_name, write = _VALUES[name]
    return {json_name: write(getattr(value, name))}


def _double(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


_VALUES: Final[dict[str, tuple[str, Callable[[Any], Any]]]] = {
    "string_value": ("stringValue", str),
    "bool_value": ("boolValue", bool),
    "int_value": ("intValue", str),
    "double_value": ("doubleValue", _double),
    "bytes_value": ("bytesValue", lambda value: base64.b64encode(value).decode("ascii")),
    "array_value": ("arrayValue", lambda array: {"values": [_value(item) for item in array.values]}),
    "kvlist_value": ("kvlistValue", lambda pairs: {"values": _pairs(pairs.values)}),
}
"""How each kind of value is written."""
