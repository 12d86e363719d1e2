"""Jaeger's JSON back to OTLP: the opposite of `api.mapping`. Pure.

What Jaeger's JSON does not have is gone: nanoseconds, attributes of links, lists (they are text there).
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

from tracedrpc_console.api.mapping import KINDS, NO_SERVICE, WARNINGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

Json = dict[str, Any]

_STATUSES: Final = {"OK": 1, "ERROR": 2}
_SCOPE: Final = ("otel.scope.name", "otel.scope.version", "otel.library.name", "otel.library.version")
_DERIVED: Final = frozenset({
    *_SCOPE, "span.kind", "otel.status_code", "otel.status_description", "w3c.tracestate",
})
"""Tags that are fields of an OTLP span."""


def resource_spans(trace: Json) -> list[ResourceSpans]:
    """Return the spans of one trace of Jaeger's JSON, by process.

    Raises:
        LookupError, TypeError, ValueError: it is none.
    """
    groups = {name: _resource(process) for name, process in trace["processes"].items()}
    for span in trace["spans"]:
        process = span.get("process")
        group = _resource(process) if process else groups[span["processID"]]
        if process:
            groups[f"of span {len(groups)}"] = group
        _add(group, span)
    return [group for group in groups.values() if group.scope_spans]


def _resource(process: Json) -> ResourceSpans:
    group = ResourceSpans()
    if process["serviceName"] != NO_SERVICE:
        group.resource.attributes.add(key="service.name").value.string_value = process["serviceName"]
    for tag in process.get("tags") or ():
        _set(group.resource.attributes.add(key=tag["key"]).value, tag)
    return group


def _add(group: ResourceSpans, found: Json) -> None:
    tags = {tag["key"]: tag["value"] for tag in found.get("tags") or () if isinstance(tag["value"], str)}
    name, version, old_name, old_version = (tags.get(key, "") for key in _SCOPE)
    scoped = group.scope_spans.add()
    scoped.scope.name, scoped.scope.version = name or old_name, version or old_version
    span = scoped.spans.add(
        trace_id=_id(found["traceID"], 16), span_id=_id(found["spanID"], 8), name=found["operationName"],
        start_time_unix_nano=found["startTime"] * 1000,
        end_time_unix_nano=(found["startTime"] + max(0, found["duration"])) * 1000,
        trace_state=tags.get("w3c.tracestate", ""),
    )
    _add_tags(span, found.get("tags") or (), tags)
    _add_references(span, found)
    for log in found.get("logs") or ():
        _add_event(span, log)
    for warning in found.get("warnings") or ():
        _warnings(span).array_value.values.add(string_value=warning)


def _add_tags(span: Span, tags: Iterable[Json], derived: Mapping[str, str]) -> None:
    kind = derived.get("span.kind")
    span.kind = KINDS.index(kind) if kind in KINDS[1:] else 0  # type: ignore[assignment]  # an enum's number
    is_error = False
    for tag in tags:
        if tag["key"] == "error" and tag["value"] in (True, "true"):
            is_error = True
        elif tag["key"] not in _DERIVED:
            _set(span.attributes.add(key=tag["key"]).value, tag)
    code = 2 if is_error else _STATUSES.get(derived.get("otel.status_code", ""), 0)
    span.status.code = code  # type: ignore[assignment]  # an enum's number
    span.status.message = derived.get("otel.status_description", "")


def _add_references(span: Span, found: Json) -> None:
    if found.get("parentSpanID"):  # how old versions said it
        span.parent_span_id = _id(found["parentSpanID"], 8)
    for reference in found.get("references") or ():
        trace_id, span_id = _id(reference["traceID"], 16), _id(reference["spanID"], 8)
        is_child = reference["refType"] == "CHILD_OF"
        if is_child and trace_id == span.trace_id and span.parent_span_id in {b"", span_id}:
            span.parent_span_id = span_id
            continue
        link = span.links.add(trace_id=trace_id, span_id=span_id)
        if is_child:
            link.attributes.add(key="opentracing.ref_type").value.string_value = "child_of"


def _add_event(span: Span, log: Json) -> None:
    event = span.events.add(time_unix_nano=log["timestamp"] * 1000)
    for field in log["fields"]:
        if field["key"] == "event" and not event.name and isinstance(field["value"], str):
            event.name = field["value"]
        else:
            _set(event.attributes.add(key=field["key"]).value, field)


def _warnings(span: Span) -> AnyValue:
    pairs: Iterable[KeyValue] = span.attributes
    found = next((pair for pair in pairs if pair.key == WARNINGS), None)
    return (found or span.attributes.add(key=WARNINGS)).value


def _set(value: AnyValue, tag: Json) -> None:
    given = tag["value"]
    match tag.get("type", "string").lower():
        case "bool":
            value.bool_value = given if isinstance(given, bool) else str(given).lower() == "true"
        case "int64":
            value.int_value = int(given)
        case "float64":
            value.double_value = float(given)
        case "binary":
            value.bytes_value = _binary(given)
        case _:
            value.string_value = given if isinstance(given, str) else str(given)


def _binary(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"no base64: {error}") from None


def _id(text: str, size: int) -> bytes:
    """Return an id of hex digits; zeros in front may be missing."""
    found = bytes.fromhex(text.zfill(2 * size))
    if len(found) != size or not any(found):
        raise ValueError(f"{text[:64]!r} is no id of {2 * size} hex digits")
    return found
