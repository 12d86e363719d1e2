"""What an export may hold. What is beyond is refused, record by record, and counted with its reason."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from tracedrpc_console.store.keys import LATEST_NS
from tracedrpc_console.store.put_points import points_of
from tracedrpc_console.store.signals import Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from tracedrpc_console.store.signals import Request

BODY_MOST: Final = 8 * 1024 * 1024
"""Bytes of an export, unpacked."""
RECORDS_MOST: Final = 20_000
"""Spans, log records or data points in one export."""
ATTRIBUTES_MOST: Final = 256
EVENTS_MOST: Final = 1024
LINKS_MOST: Final = 1024
BUCKETS_MOST: Final = 1024
_TRACE_ID: Final = 16
_SPAN_ID: Final = 8
_NO_TRACE: Final = bytes(_TRACE_ID)
_NO_SPAN: Final = bytes(_SPAN_ID)


def sift(signal: Signal, request: Request) -> tuple[int, Counter[str]]:
    """Take out of an export what may not be stored; return how many records stay, and how many went and why.

    Reasons: "too_many_records", "too_many_attributes", "too_many_events", "too_many_links",
    "too_many_buckets", "bad_id", "bad_time".
    """
    reason_of = _REASONS[signal]
    refused: Counter[str] = Counter()
    kept = 0
    for records in _groups(signal, request):
        room = RECORDS_MOST - kept
        if len(records) > room:
            refused["too_many_records"] += len(records) - room
            del records[room:]
        reasons = [reason_of(record) for record in records]
        if any(reasons):
            refused.update(filter(None, reasons))
            _keep(records, [not reason for reason in reasons])
        kept += len(records)
    return kept, refused


def count(signal: Signal, request: Request) -> int:
    """Return how many spans, log records or data points an export has."""
    return sum(map(len, _groups(signal, request)))


def _groups(signal: Signal, request: Any) -> Iterator[Any]:
    """Give the lists of records of an export; whoever changes one changes the export."""
    match signal:
        case Signal.TRACES:
            return (of_scope.spans for each in request.resource_spans for of_scope in each.scope_spans)
        case Signal.LOGS:
            return (of_scope.log_records for each in request.resource_logs for of_scope in each.scope_logs)
        case Signal.METRICS:
            scopes = chain.from_iterable(each.scope_metrics for each in request.resource_metrics)
            return (found for scope in scopes for each in scope.metrics if (found := points_of(each)))


def _keep(records: Any, is_kept: list[bool]) -> None:
    kept = [
        type(record).FromString(record.SerializeToString())
        for record, keep in zip(records, is_kept, strict=True) if keep
    ]
    del records[:]
    records.extend(kept)


def _span_reason(span: Span) -> str:
    trace_id, span_id = span.trace_id, span.span_id
    if len(trace_id) != _TRACE_ID or len(span_id) != _SPAN_ID or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return "bad_id"
    if len(span.parent_span_id) not in {0, _SPAN_ID}:
        return "bad_id"
    if not 0 < span.start_time_unix_nano < LATEST_NS or span.end_time_unix_nano >= LATEST_NS:
        return "bad_time"
    if len(span.attributes) > ATTRIBUTES_MOST:
        return "too_many_attributes"
    if len(span.events) > EVENTS_MOST:
        return "too_many_events"
    return "too_many_links" if len(span.links) > LINKS_MOST else ""


def _log_reason(record: LogRecord) -> str:
    if len(record.trace_id) not in {0, _TRACE_ID} or len(record.span_id) not in {0, _SPAN_ID}:
        return "bad_id"
    if not 0 < (record.time_unix_nano or record.observed_time_unix_nano) < LATEST_NS:
        return "bad_time"
    return "too_many_attributes" if len(record.attributes) > ATTRIBUTES_MOST else ""


def _point_reason(point: Any) -> str:
    if not 0 < point.time_unix_nano < LATEST_NS:
        return "bad_time"
    if len(getattr(point, "bucket_counts", ())) > BUCKETS_MOST:
        return "too_many_buckets"
    return "too_many_attributes" if len(point.attributes) > ATTRIBUTES_MOST else ""


_REASONS: Final[dict[Signal, Callable[[Any], str]]] = {
    Signal.TRACES: _span_reason,
    Signal.LOGS: _log_reason,
    Signal.METRICS: _point_reason,
}
