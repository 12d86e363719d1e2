"""A store in memory, OTLP made by hand, and requests to routes without a network."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span
from starlette.applications import Starlette

from tracedrpc_console.spans import Kind
from tracedrpc_console.store.model import (
    Edge,
    Operation,
    Page,
    ServiceInfo,
    ServiceShare,
    SpanRow,
    Timing,
    TraceQuery,
    TraceSummary,
)
from tracedrpc_console.store.rows import Origin, span_row
from tracedrpc_console.store.values import has_all

SECOND = 10**9
MS = 1_000_000
EPOCH_NS = 1_700_000_000 * SECOND
TRACE_ID = "83a9efd15c1c98a977e0711cc93ee28b"


def pairs(attributes: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()]


def any_value(value: Any) -> AnyValue:
    found = AnyValue()
    match value:
        case bool():
            found.bool_value = value
        case int():
            found.int_value = value
        case float():
            found.double_value = value
        case str():
            found.string_value = value
        case bytes():
            found.bytes_value = value
        case list():
            found.array_value.values.extend(any_value(item) for item in value)
            found.array_value.SetInParent()
        case dict():
            found.kvlist_value.values.extend(pairs(value))
            found.kvlist_value.SetInParent()
    return found


def a_span(
    number: int, parent: int = 0, name: str = "compute/reboot", *, trace_id: str = TRACE_ID, **fields: Any,
) -> Span:
    """Return a SERVER span of 24 ms; `kind`, `start_ms`, `ms`, `attributes` and OTLP's own fields differ."""
    start = EPOCH_NS + int(fields.pop("start_ms", 0) * MS)
    return Span(
        trace_id=bytes.fromhex(trace_id), span_id=number.to_bytes(8, "big"),
        parent_span_id=parent.to_bytes(8, "big") if parent else b"", name=name,
        kind=fields.pop("kind", Span.SPAN_KIND_SERVER),
        start_time_unix_nano=start, end_time_unix_nano=start + int(fields.pop("ms", 24) * MS),
        attributes=pairs(fields.pop("attributes", {})), **fields,
    )


def of(service: str, *spans: Span, scope: str = "", **resource: Any) -> ResourceSpans:
    """Return spans of one process."""
    group = ResourceSpans()
    named = {"service.name": service} if service else {}
    group.resource.attributes.extend(pairs(named | resource))
    group.scope_spans.add(scope={"name": scope}).spans.extend(spans)
    return group


@dataclass
class MemoryReader:
    """Searches a list the plain way; the tables of the real store must find the same."""

    groups: list[ResourceSpans]

    def rows(self) -> list[SpanRow]:
        return [
            span_row(span.SerializeToString(), self._origin(group, scoped))
            for group in self.groups for scoped in group.scope_spans for span in scoped.spans
        ]

    def _origin(self, group: ResourceSpans, scoped: Any) -> Origin:
        named = [pair.value.string_value for pair in group.resource.attributes if pair.key == "service.name"]
        resource = ResourceSpans(resource=group.resource).SerializeToString()
        scope = type(scoped)(scope=scoped.scope).SerializeToString()
        return Origin(named[0] if named else "unknown_service", resource, scope)

    def services(self) -> list[ServiceInfo]:
        counts = Counter(row.service for row in self.rows())
        return [ServiceInfo(name, spans, 0, 0) for name, spans in counts.items()]

    def operations(self, service: str, kind: Kind | None = None) -> list[Operation]:
        found = {(row.name, row.kind) for row in self.rows() if row.service == service}
        return [Operation(name, each) for name, each in sorted(found) if kind in {None, each}]

    def trace(self, trace_id: str) -> list[SpanRow] | None:
        return [row for row in self.rows() if row.trace_id == trace_id] or None

    def trace_blobs(self, trace_id: str) -> list[bytes]:
        found = []
        for group in self.groups:
            copy = ResourceSpans.FromString(group.SerializeToString())
            for scoped in copy.scope_spans:
                mine = [span for span in scoped.spans if span.trace_id.hex() == trace_id]
                del scoped.spans[:]
                scoped.spans.extend(mine)
            if any(scoped.spans for scoped in copy.scope_spans):
                found.append(copy.SerializeToString())
        return found

    def logs(self, query: Any) -> Page:
        return Page(())

    def find_traces(self, query: TraceQuery) -> Page[TraceSummary]:
        traces = defaultdict(list)
        for row in self.rows():
            traces[row.trace_id].append(row)
        found = [_summary(rows) for rows in traces.values() if _fits(rows, query)]
        return Page(tuple(sorted(found, key=lambda each: -each.start_ns)[:query.limit]))

    def edges(self, from_ns: int, to_ns: int) -> list[Edge]:
        by_id = {row.span_id: row for row in self.rows()}
        return [
            Edge(by_id[row.parent_id].service, row.service, 1, int(row.is_error)) for row in by_id.values()
            if row.parent_id in by_id and by_id[row.parent_id].service != row.service
            and from_ns <= row.start_ns < to_ns
        ]

    def timings(self, services: Any, kinds: Any, from_ns: int, to_ns: int) -> list[Timing]:
        return [
            Timing(row.service, row.name, row.start_ns, row.end_ns - row.start_ns, row.is_error)
            for row in self.rows()
            if row.service in services and row.kind in kinds and from_ns <= row.start_ns < to_ns
        ]


def _fits(rows: list[SpanRow], query: TraceQuery) -> bool:
    start = min(row.start_ns for row in rows)
    is_in_time = (query.from_ns or 0) <= start and (query.to_ns is None or start < query.to_ns)
    if query.errors_only and not any(row.is_error for row in rows):
        return False
    return is_in_time and any(
        query.service in {None, row.service} and query.operation in {None, row.name}
        and query.kind in {None, row.kind} and has_all(row.attributes, query.attributes)
        and (query.least_ns or 0) <= row.end_ns - row.start_ns <= (query.most_ns or 2**63)
        for row in rows
    )


def _summary(rows: list[SpanRow]) -> TraceSummary:
    root = min(rows, key=lambda row: (bool(row.parent_id), row.start_ns))
    known = {row.span_id for row in rows}
    shares = Counter(row.service for row in rows)
    failed = Counter(row.service for row in rows if row.is_error)
    return TraceSummary(
        root.trace_id, min(row.start_ns for row in rows), max(row.end_ns for row in rows), len(rows),
        sum(row.is_error for row in rows), root.service, root.name, root.end_ns - root.start_ns,
        tuple(ServiceShare(name, count, failed[name]) for name, count in shares.items()),
        orphans=sum(bool(row.parent_id) and row.parent_id not in known for row in rows),
    )


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(routes: Any, path: str, *, method: str = "GET", body: bytes = b"", **query: Any) -> Answer:
    """Send a request to routes; a list asks for a parameter several times."""
    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "root_path": "",
        "query_string": urlencode(query, doseq=True).encode(), "headers": [], "scheme": "http",
        "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1), "http_version": "1.1",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
    }
    sent: list[Any] = []
    to_come = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return to_come.pop() if to_come else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Starlette(routes=routes)(scope, receive, send))
    headers = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], headers, b"".join(each.get("body", b"") for each in sent[1:]))


Shape = Any
"""A type, some types, [shape of each item] or {key: shape}; a key that begins with "?" may be missing."""


def assert_shape(value: Any, shape: Shape, where: str = "answer") -> None:
    """Check names and types of JSON; keys that the shape does not have are errors."""
    if isinstance(shape, dict):
        assert isinstance(value, dict), where
        known = {key.removeprefix("?"): each for key, each in shape.items()}
        assert set(value) <= set(known), (where, set(value) - set(known))
        assert {key for key in shape if not key.startswith("?")} <= set(value), (where, set(value))
        for key, each in value.items():
            assert_shape(each, known[key], f"{where}.{key}")
    elif isinstance(shape, list):
        assert isinstance(value, list), where
        for index, each in enumerate(value):
            assert_shape(each, shape[0], f"{where}[{index}]")
    else:
        types = shape if isinstance(shape, tuple) else (shape,)
        assert type(value) in types, (where, value)


KV = {"key": str, "type": str, "value": (str, bool, int, float)}
SPAN = {
    "traceID": str, "spanID": str, "?flags": int, "operationName": str,
    "references": [{"refType": str, "traceID": str, "spanID": str}], "startTime": int, "duration": int,
    "tags": [KV], "logs": [{"timestamp": int, "fields": [KV]}], "processID": str,
    "warnings": (type(None), list),
}
TRACE = {"traceID": str, "spans": [SPAN], "processes": dict, "warnings": type(None)}
ENVELOPE = {"data": object, "total": int, "limit": int, "offset": int, "errors": (type(None), list)}
"""Of version 1, as Jaeger 2.20 answers."""


def of_v1(data: Shape) -> Shape:
    return ENVELOPE | {"data": data}
