"""Log records into their tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracedrpc_console.store import bulk
from tracedrpc_console.store.keys import unique_keys
from tracedrpc_console.store.words import log_words

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable

    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

    from tracedrpc_console.store.shelves import Shelves
    from tracedrpc_console.store.sources import Source, Sources


class LogPutter:
    """Writes log records, on the writer's thread and in its transaction.

    Args:
        connection: the writer's.
        sources: knows who sent them.
        shelves: keep their words.
        next_id: gives their ids.
    """

    def __init__(
        self, connection: sqlite3.Connection, sources: Sources, shelves: Shelves, next_id: Callable[[], int],
    ) -> None:
        self._connection = connection
        self._sources = sources
        self._shelves = shelves
        self._next_id = next_id

    def put(self, requests: Iterable[ExportLogsServiceRequest]) -> None:
        """Write the records of some exports, checked by `ingest.limits`."""
        fresh = [
            (at_of(record), self._next_id(), record, source)
            for request in requests
            for of_resource in request.resource_logs
            for of_scope in of_resource.scope_logs
            for source in (self._sources.source(of_resource, of_scope),)
            for record in of_scope.log_records
        ]
        if fresh:
            fresh.sort(key=lambda item: item[:2])
            self._write(fresh, unique_keys(self._connection, "log", [item[0] for item in fresh]))

    def _write(self, fresh: list[tuple[int, int, LogRecord, Source]], keys: list[int]) -> None:
        shelf = self._shelves.current()
        rows = []
        sheets = []
        for key, (at_ns, row_id, record, source) in zip(keys, fresh, strict=True):
            rows.append((
                key, row_id, at_ns, record.severity_number, event_of(record), record.trace_id, record.span_id,
                source.id, shelf, record.SerializeToString(),
            ))
            sheets.append((key, log_words(record, source.mark)))
        bulk.insert(self._connection, "INSERT INTO log", rows)
        self._shelves.put(shelf, sheets)


def at_of(record: LogRecord) -> int:
    """Return when it happened, or when it was noticed if that is not told; ns since 1970."""
    return record.time_unix_nano or record.observed_time_unix_nano


def event_of(record: LogRecord) -> str:
    """Return the event's name: OTLP's field, or the attribute that stands for it in older exporters."""
    if name := record.event_name:
        return str(name)
    for pair in record.attributes:
        if pair.key in {"otel.event.name", "event.name"}:
            return str(pair.value.string_value)
    return ""
