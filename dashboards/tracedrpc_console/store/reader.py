"""All that can be asked of a file, by any number of threads and processes, while one writes to it."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, LifoQueue
from typing import TYPE_CHECKING, Final, Self

from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

from tracedrpc import semconv as names
from tracedrpc_console.store.calls import read_calls
from tracedrpc_console.store.edges import read_edges
from tracedrpc_console.store.ids import bytes_of
from tracedrpc_console.store.logs import find_logs
from tracedrpc_console.store.model import (
    CallRow,
    Edge,
    LogQuery,
    LogRow,
    Operation,
    Page,
    Series,
    ServiceInfo,
    SpanRow,
    StoreStatus,
    Timing,
    TraceQuery,
    TraceSummary,
)
from tracedrpc_console.store.origins import Origins
from tracedrpc_console.store.points import read_names, read_series
from tracedrpc_console.store.rows import kind_of, span_row
from tracedrpc_console.store.schema import open_to_read
from tracedrpc_console.store.status import read_services, read_status
from tracedrpc_console.store.summaries import summaries
from tracedrpc_console.store.timings import read_timings
from tracedrpc_console.store.traces import find_traces

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping, Sequence

    from tracedrpc_console.spans import Kind

IDLE_MOST: Final = 4
"""Connections that are kept open between questions."""
_END: Final = 2**63 - 1


class Reader:
    """Answers questions about a file. Thread-safe; each answer is of one instant.

    Args:
        path: a file that a `Writer` has made; it may be writing to it.

    Raises:
        StoreError: there is none, or it is none of ours.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._idle: LifoQueue[sqlite3.Connection] = LifoQueue(IDLE_MOST)
        self._idle.put(open_to_read(self.path))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what is open; questions may still be asked and open it again."""
        with suppress(Empty):
            while True:
                self._idle.get_nowait().close()

    # ---- traces ------------------------------------------------------------------------------

    def find_traces(self, query: TraceQuery) -> Page[TraceSummary]:
        """Return one page of traces, by their start, the newest first."""
        with self._snapshot() as connection:
            return find_traces(connection, query)

    def trace(self, trace_id: str) -> list[SpanRow] | None:
        """Return the spans of a trace by their start, None when there is no such trace."""
        with self._snapshot() as connection:
            origins = Origins(connection)
            rows = [span_row(proto, origins[source]) for source, proto in _protos(connection, trace_id)]
        return sorted(rows, key=lambda row: row.start_ns) or None

    def summary(self, trace_id: str) -> TraceSummary | None:
        """Return a trace as a search would, None when there is no such trace."""
        with self._snapshot() as connection:
            ids = connection.execute("SELECT id FROM trace WHERE trace_id = ?", (bytes_of(trace_id),))
            return next(iter(summaries(connection, [number for (number,) in ids])), None)

    def trace_blobs(self, trace_id: str) -> list[bytes]:
        """Return a trace as it was exported: serialized `ResourceSpans`, one for each resource and scope."""
        by_source: dict[int, list[bytes]] = {}
        with self._snapshot() as connection:
            for source, proto in _protos(connection, trace_id):
                by_source.setdefault(source, []).append(proto)
            return [_resource_spans(connection, source, protos) for source, protos in by_source.items()]

    def trace_of_msg_id(self, msg_id: str) -> str | None:
        """Return the id of the newest trace with a span of this `tracedrpc.msg_id`."""
        found = self.find_traces(TraceQuery(attributes={names.MSG_ID: msg_id}, limit=1)).items
        return found[0].trace_id if found else None

    # ---- logs and metrics --------------------------------------------------------------------

    def logs(self, query: LogQuery) -> Page[LogRow]:
        """Return one page of log records, the newest first; with `after_id` in the order of arrival."""
        with self._snapshot() as connection:
            return find_logs(connection, Origins(connection), query)

    def logs_after(self, row_id: int, limit: int = 1000) -> list[LogRow]:
        """Return the records that arrived after this one, in that order."""
        return list(self.logs(LogQuery(after_id=row_id, limit=limit)).items)

    def last_log_id(self) -> int:
        """Return the id of the record that arrived last, 0 when there is none."""
        with self._snapshot() as connection:
            return int(connection.execute("SELECT max(id) FROM log").fetchone()[0] or 0)

    def last_trace_change(self) -> int:
        """Return a number that has grown whenever spans have arrived since it was asked for."""
        with self._snapshot() as connection:
            return int(connection.execute("SELECT max(seen) FROM source").fetchone()[0] or 0)

    def metric_names(self) -> list[str]:
        """Return the names of the metrics that are stored."""
        with self._snapshot() as connection:
            return read_names(connection)

    def metric_series(
        self, name: str, from_ns: int = 0, to_ns: int = _END, attributes: Mapping[str, str] | None = None,
    ) -> list[Series]:
        """Return the series of a metric, as they were exported: sums stay cumulative."""
        with self._snapshot() as connection:
            return read_series(connection, name, from_ns, to_ns, attributes)

    # ---- services ----------------------------------------------------------------------------

    def services(self) -> list[ServiceInfo]:
        """Return the services that spans are stored of, by name."""
        with self._snapshot() as connection:
            return read_services(connection)

    def operations(self, service: str, kind: Kind | None = None) -> list[Operation]:
        """Return the span names of a service with their kinds, by name."""
        with self._snapshot() as connection:
            rows = connection.execute(
                "SELECT name, kind FROM operation WHERE service = ? AND spans > 0 ORDER BY name, kind",
                (service,),
            )
            found = [Operation(name, kind_of(number)) for name, number in rows]
        return [each for each in found if kind is None or each.kind is kind]

    def edges(self, from_ns: int, to_ns: int) -> list[Edge]:
        """Return who called whom in the minutes from `from_ns` to `to_ns`.

        A call is a SERVER or CONSUMER span below a span of another service.
        """
        with self._snapshot() as connection:
            return read_edges(connection, from_ns, to_ns)

    def calls(
        self, from_ns: int = 0, to_ns: int = _END, service: str | None = None, version: str | None = None,
    ) -> list[CallRow]:
        """Return calls and casts as their senders saw them, by their start."""
        with self._snapshot() as connection:
            return read_calls(connection, from_ns, to_ns, service, version)

    def timings(
        self, services: Sequence[str], kinds: Sequence[Kind], from_ns: int, to_ns: int,
    ) -> list[Timing]:
        """Return the spans of these services and kinds that began in [from_ns, to_ns), by their start."""
        with self._snapshot() as connection:
            return read_timings(connection, services, kinds, from_ns, to_ns)

    def status(self) -> StoreStatus:
        """Return how much is stored, and what was refused since the writer's start."""
        with self._snapshot() as connection:
            return read_status(connection, self.path)

    @contextmanager
    def _snapshot(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection()
        try:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")
        except BaseException:
            connection.close()
            raise
        if self._idle.full():
            connection.close()
        else:
            self._idle.put_nowait(connection)

    def _connection(self) -> sqlite3.Connection:
        try:
            return self._idle.get_nowait()
        except Empty:
            return open_to_read(self.path)


def _protos(connection: sqlite3.Connection, trace_id: str) -> Iterator[tuple[int, bytes]]:
    return connection.execute(
        "SELECT span.source, span.proto FROM trace JOIN span ON span.trace = trace.id "
        "WHERE trace.trace_id = ? ORDER BY span.key",
        (bytes_of(trace_id),),
    )


def _resource_spans(connection: sqlite3.Connection, source: int, protos: list[bytes]) -> bytes:
    rows = connection.execute("SELECT resource, scope FROM source WHERE id = ?", (source,))
    resource, scope = rows.fetchone()
    of_scope = ScopeSpans.FromString(scope)
    for proto in protos:
        of_scope.spans.add().ParseFromString(proto)
    whole = ResourceSpans.FromString(resource)
    whole.scope_spans.append(of_scope)
    return bytes(whole.SerializeToString())
