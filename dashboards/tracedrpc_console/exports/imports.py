"""Files with traces, logs or metrics, as the requests that an exporter would have sent. Pure.

Taken are OTLP/JSON (one document, or one in each line as the collector's file exporter writes it), answers of
Jaeger's API version 3, and Jaeger's own JSON (an answer of version 1, or the UI's download).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tracedrpc_console.exports import jaeger_import
from tracedrpc_console.ingest.otlp_json import from_json
from tracedrpc_console.store.signals import Signal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

    from tracedrpc_console.store.signals import Request

BATCH: Final = 1000
"""Spans of a request at most: a store takes no boundless ones."""
_FIELDS: Final = {
    "resourceSpans": Signal.TRACES, "resourceLogs": Signal.LOGS, "resourceMetrics": Signal.METRICS,
}


class Unreadable(ValueError):
    """A file is of no known format, or broken; the text says where."""


class Found(NamedTuple):
    """One request out of a file."""

    signal: Signal
    request: Request


def read(content: bytes) -> Iterator[Found]:
    """Yield what is in a file, in its order and in pieces that a store takes.

    Raises:
        Unreadable: it is of no known format, or broken; what came before was good.
    """
    for where, document in _documents(content):
        try:
            for found in _requests(document):
                yield from _pieces(found)
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise Unreadable(f"{where}: {type(error).__name__}: {error}") from error


def spans(content: bytes) -> list[ResourceSpans]:
    """Return the spans of an OTLP/JSON file.

    Raises:
        Unreadable: it is none.
    """
    requests = (found.request for found in read(content))
    return [
        group for request in requests if isinstance(request, ExportTraceServiceRequest)
        for group in request.resource_spans
    ]


def _documents(content: bytes) -> Iterator[tuple[str, Any]]:
    """Yield the file's one document, or else that of each line, and where it stands."""
    try:
        whole = json.loads(content)
    except (ValueError, RecursionError) as error:
        first = error
    else:
        yield "the file", whole
        return
    lines = [(at, line) for at, line in enumerate(content.splitlines(), 1) if line.strip()]
    if len(lines) < 2:  # noqa: PLR2004 - then it is not by lines
        raise Unreadable(f"the file: it is no JSON: {first}") from first
    for at, line in lines:
        try:
            yield f"line {at}", json.loads(line)
        except (ValueError, RecursionError) as error:
            raise Unreadable(f"line {at}: it is no JSON: {error}") from error


def _requests(document: Any) -> Iterator[Found]:
    if not isinstance(document, dict):
        raise TypeError("it is no JSON object")
    if "result" in document:  # version 3 of Jaeger's API wraps OTLP
        document = document["result"]
    known = {name: signal for name, signal in _FIELDS.items() if name in document}
    for name, signal in known.items():
        yield Found(signal, from_json(signal, json.dumps({name: document[name]}).encode()))
    if not known:
        yield from _of_jaeger(document)


def _of_jaeger(document: dict[str, Any]) -> Iterator[Found]:
    traces = document.get("data", [document])
    if not isinstance(traces, list) or any("spans" not in trace for trace in traces):
        known = ", ".join(_FIELDS)
        raise ValueError(f"it is neither OTLP/JSON ({known}) nor Jaeger's JSON")
    for trace in traces:
        groups = jaeger_import.resource_spans(trace)
        yield Found(Signal.TRACES, ExportTraceServiceRequest(resource_spans=groups))


def _pieces(found: Found) -> Iterator[Found]:
    """Yield a request as it is, or spans in batches when there are too many."""
    if not isinstance(found.request, ExportTraceServiceRequest) or _count(found.request) <= BATCH:
        yield found
        return
    for group in found.request.resource_spans:
        for scoped in group.scope_spans:
            for start in range(0, len(scoped.spans), BATCH):
                piece = ExportTraceServiceRequest()
                part = piece.resource_spans.add(resource=group.resource, schema_url=group.schema_url)
                of_scope = part.scope_spans.add(scope=scoped.scope, schema_url=scoped.schema_url)
                of_scope.spans.extend(scoped.spans[start:start + BATCH])
                yield Found(found.signal, piece)


def _count(request: ExportTraceServiceRequest) -> int:
    return sum(len(scoped.spans) for group in request.resource_spans for scoped in group.scope_spans)
