"""Looks traces up for both versions of Jaeger's API. Blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracedrpc_console.api.jaeger_adjust import adjusted
from tracedrpc_console.exports.otlp import parsed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

    from tracedrpc_console.api.jaeger_reader import TraceReader
    from tracedrpc_console.store.model import TraceQuery


def one(
    reader: TraceReader, trace_id: str, *, raw: bool = False, from_ns: int = 0, to_ns: int = 0,
) -> list[ResourceSpans] | None:
    """Return a trace; None when there is none, or none of its spans lies in the bounds (0: no bound)."""
    groups = parsed(reader.trace_blobs(trace_id))
    if not any(_overlaps(group, from_ns, to_ns) for group in groups):
        return None
    return groups if raw else adjusted(groups)


def found(reader: TraceReader, query: TraceQuery, *, raw: bool = False) -> Iterator[list[ResourceSpans]]:
    """Yield the traces that fit, newest first; one that retention has removed meanwhile is left out."""
    for summary in reader.find_traces(query).items:
        trace = one(reader, summary.trace_id, raw=raw)
        if trace is not None:
            yield trace


def _overlaps(group: ResourceSpans, from_ns: int, to_ns: int) -> bool:
    return any(
        span.end_time_unix_nano >= from_ns and (not to_ns or span.start_time_unix_nano <= to_ns)
        for scoped in group.scope_spans for span in scoped.spans
    )
