"""Spans into their tables: each once, with their trace's row brought up to date."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from tracedrpc_console.store import bulk
from tracedrpc_console.store.calls import call_row
from tracedrpc_console.store.edges import count_edges
from tracedrpc_console.store.keys import unique_keys
from tracedrpc_console.store.outcomes import outcome_of
from tracedrpc_console.store.values import attributes_of
from tracedrpc_console.store.words import span_words

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Mapping

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from tracedrpc_console.store.shelves import Shelves
    from tracedrpc_console.store.sources import Operation, Source, Sources

_ERROR: Final = 2
_SERVER: Final = 2
_CLIENT: Final = 3
_PRODUCER: Final = 4
_CONSUMER: Final = 5


@dataclass(slots=True)
class _Trace:
    """A row of `trace`, in the order of its columns without `trace_id`."""

    id: int
    start_ns: int
    end_ns: int
    last_ns: int
    spans: int
    errors: int
    root_rank: int
    root_start_ns: int
    root_id: bytes
    root_operation: int
    root_duration_ns: int
    outcome: str
    why: str


_COLUMNS: Final = tuple(_Trace.__slots__)
_SELECT: Final = f"SELECT {', '.join(_COLUMNS)} FROM trace WHERE trace_id = ?"  # noqa: S608
_INTO_TRACE: Final = f"INSERT INTO trace (trace_id, {', '.join(_COLUMNS)})"
_UPDATED: Final = (
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{each} = excluded.{each}' for each in _COLUMNS[1:])}"
)
_values: Final = attrgetter(*_COLUMNS)
_NO_RANK: Final = 2


class SpanPutter:
    """Writes spans, on the writer's thread and in its transaction.

    Args:
        connection: the writer's.
        sources: knows who sent them.
        shelves: keep their words.
        next_id: gives ids for new traces.
    """

    def __init__(
        self, connection: sqlite3.Connection, sources: Sources, shelves: Shelves, next_id: Callable[[], int],
    ) -> None:
        self._connection = connection
        self._sources = sources
        self._shelves = shelves
        self._next_id = next_id

    def put(self, requests: Iterable[ExportTraceServiceRequest]) -> None:
        """Write the spans of some exports, checked by `ingest.limits`; what is stored already is left out."""
        traces: dict[bytes, _Trace] = {}
        fresh = self._fresh(requests, traces)
        if fresh:
            fresh.sort(key=_start_of)
            keys = unique_keys(self._connection, "span", [span.start_time_unix_nano for span, _ in fresh])
            self._write(fresh, keys, traces)

    def _fresh(
        self, requests: Iterable[ExportTraceServiceRequest], traces: dict[bytes, _Trace],
    ) -> list[tuple[Span, Source]]:
        """Return the spans that are not stored yet, and fill `traces` with the rows of theirs."""
        fresh = []
        seen = set()
        for span, source in self._spans(requests):
            trace_id, span_id = span.trace_id, span.span_id
            if (trace_id, span_id) in seen:
                continue
            seen.add((trace_id, span_id))
            trace = traces.get(trace_id)
            if trace is None:
                trace = traces[trace_id] = self._trace(trace_id)
            if not trace.spans or not self._is_stored(trace.id, span_id):
                fresh.append((span, source))
        return fresh

    def _spans(self, requests: Iterable[ExportTraceServiceRequest]) -> Iterable[tuple[Span, Source]]:
        for request in requests:
            for of_resource in request.resource_spans:
                for of_scope in of_resource.scope_spans:
                    source = self._sources.source(of_resource, of_scope)
                    for span in of_scope.spans:
                        yield span, source

    def _trace(self, trace_id: bytes) -> _Trace:
        row = self._connection.execute(_SELECT, (trace_id,)).fetchone()
        if row is not None:
            return _Trace(*row)
        return _Trace(self._next_id(), 1 << 62, 0, 0, 0, 0, _NO_RANK, 0, b"", 0, 0, "ok", "")

    def _is_stored(self, trace: int, span_id: bytes) -> bool:
        return self._connection.execute(
            "SELECT 1 FROM span WHERE trace = ? AND span_id = ?", (trace, span_id),
        ).fetchone() is not None

    def _write(self, fresh: list[tuple[Span, Source]], keys: list[int], traces: dict[bytes, _Trace]) -> None:
        rows = _Rows(self._shelves.current())
        for (span, source), key in zip(fresh, keys, strict=True):
            operation = self._sources.operation(source.service, span.name, span.kind)
            rows.add(key, span, source, operation, traces[span.trace_id])
        connection = self._connection
        bulk.insert(connection, "INSERT INTO span", rows.spans)
        bulk.insert(connection, "INSERT INTO call", rows.calls)
        bulk.insert(connection, "INSERT OR IGNORE INTO entry", rows.entries)
        whole = [(trace_id, *_values(trace)) for trace_id, trace in traces.items() if trace.spans]
        bulk.insert(connection, _INTO_TRACE, whole, _UPDATED)
        self._shelves.put(rows.shelf, rows.sheets)
        count_edges(self._connection, [trace.id for trace in traces.values()])


class _Rows:
    """What the spans of a transaction are in each table."""

    def __init__(self, shelf: int) -> None:
        self.shelf = shelf
        self.spans: list[tuple[object, ...]] = []
        self.sheets: list[tuple[int, str]] = []
        self.calls: list[tuple[object, ...]] = []
        self.entries: list[tuple[object, ...]] = []

    def add(self, key: int, span: Span, source: Source, operation: Operation, trace: _Trace) -> None:
        kind, parent_id = span.kind, span.parent_span_id
        duration_ns = max(0, span.end_time_unix_nano - span.start_time_unix_nano)
        is_error = span.status.code == _ERROR
        attributes = attributes_of(span.attributes)
        _count(operation, span, is_error)
        _extend(trace, span, attributes, operation.id, duration_ns, is_error)
        self.spans.append((
            key, trace.id, span.span_id, parent_id, operation.id, source.id, duration_ns, is_error,
            self.shelf, span.SerializeToString(),
        ))
        self.sheets.append((key, span_words(span, attributes, operation.marks, duration_ns)))
        if kind in {_CLIENT, _PRODUCER} and (call := call_row(attributes)) is not None:
            self.calls.append((key, trace.id, source.id, duration_ns, is_error, *call))
        elif kind in {_SERVER, _CONSUMER} and parent_id:
            self.entries.append((trace.id, parent_id, key))


def _start_of(item: tuple[Span, Source]) -> int:
    return item[0].start_time_unix_nano


def _count(operation: Operation, span: Span, is_error: bool) -> None:
    operation.spans += 1
    operation.errors += is_error
    operation.last_ns = max(operation.last_ns, span.start_time_unix_nano)


def _extend(
    trace: _Trace,
    span: Span,
    attributes: Mapping[str, Any],
    operation: int,
    duration_ns: int,
    is_error: bool,
) -> None:
    """Add a span to its trace's row. The order in which they come does not matter."""
    start_ns = span.start_time_unix_nano
    trace.start_ns = min(trace.start_ns, start_ns)
    trace.end_ns = max(trace.end_ns, start_ns + duration_ns)
    trace.last_ns = max(trace.last_ns, start_ns)
    trace.spans += 1
    trace.errors += is_error
    rank = 1 if span.parent_span_id else 0
    if (rank, start_ns, span.span_id) < (trace.root_rank, trace.root_start_ns, trace.root_id):
        trace.root_rank, trace.root_start_ns, trace.root_id = rank, start_ns, span.span_id
        trace.root_operation, trace.root_duration_ns = operation, duration_ns
        trace.outcome, trace.why = outcome_of(is_error, attributes)
