"""Search in log records: newest first, or in the order of arrival for a tail."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from tracedrpc_console.store import words
from tracedrpc_console.store.ids import bytes_of
from tracedrpc_console.store.keys import SLACK_NS
from tracedrpc_console.store.model import LogQuery, LogRow, Page
from tracedrpc_console.store.rows import log_row
from tracedrpc_console.store.shelves import walk
from tracedrpc_console.store.values import has_all

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from tracedrpc_console.store.origins import Origins

_WHERE: Final = """
    (:from_ns IS NULL OR log.at_ns >= :from_ns) AND (:to_ns IS NULL OR log.at_ns < :to_ns)
    AND (:severity IS NULL OR log.severity >= :severity) AND (:event IS NULL OR log.event = :event)
    AND (:trace_id IS NULL OR log.trace_id = :trace_id) AND (:span_id IS NULL OR log.span_id = :span_id)
    AND (:service IS NULL OR (SELECT service FROM source WHERE source.id = log.source) = :service)
"""
_FOUND: Final = f"""
    SELECT log.key, log.id, log.source, proto
    FROM {{shelf}} CROSS JOIN log ON log.key = {{shelf}}.rowid
    WHERE {{shelf}} MATCH :expression AND {{shelf}}.rowid >= :first AND {{shelf}}.rowid < :end
    AND log.shelf = {{number}} AND {_WHERE} ORDER BY {{shelf}}.rowid DESC
"""  # noqa: S608 - made of constants
_ALL: Final = f"""
    SELECT log.key, log.id, log.source, proto FROM log
    WHERE log.key >= :first AND log.key < :end AND {_WHERE} ORDER BY log.key DESC
"""  # noqa: S608 - made of constants
_TAIL: Final = f"""
    SELECT log.key, log.id, log.source, proto, log.shelf
    FROM log
    WHERE log.id > :after AND {_WHERE} ORDER BY log.id
"""  # noqa: S608 - made of constants


def find_logs(connection: sqlite3.Connection, origins: Origins, query: LogQuery) -> Page[LogRow]:
    """Return one page of the records that are asked for."""
    rows = _newest(connection, query) if query.after_id is None else _tail(connection, query)
    matching = (
        (key, row) for key, row_id, source, proto in rows
        if has_all((row := log_row(row_id, proto, origins[source])).attributes, query.attributes)
    )
    found = list(islice(matching, query.limit + 1))
    has_more = len(found) > query.limit
    page = found[:query.limit]
    following = str(page[-1][0]) if has_more and page and query.after_id is None else None
    return Page(tuple(row for _, row in page), following)


def _newest(connection: sqlite3.Connection, query: LogQuery) -> Iterator[tuple[Any, ...]]:
    terms = [
        *words.text_terms(query.text),
        *words.log_terms(query.service, query.trace_id, query.least_severity),
        *words.attribute_terms(query.attributes),
        *([] if query.event is None else words.attribute_terms({"": query.event})),
    ]
    parameters = _parameters(query) | {"expression": words.as_expression(terms)}
    return walk(connection, "logs", _FOUND, parameters) if terms else connection.execute(_ALL, parameters)


def _tail(connection: sqlite3.Connection, query: LogQuery) -> Iterator[tuple[Any, ...]]:
    terms = words.text_terms(query.text)
    rows = connection.execute(_TAIL, _parameters(query))
    for *row, shelf in rows:
        if not terms or _says(connection, shelf, row[0], words.as_expression(terms)):
            yield tuple(row)


def _says(connection: sqlite3.Connection, shelf: int, key: int, expression: str) -> bool:
    table = f"logs_{shelf}"
    return connection.execute(
        f"SELECT 1 FROM {table} WHERE {table} MATCH ? AND rowid = ?", (expression, key),  # noqa: S608
    ).fetchone() is not None


def _parameters(query: LogQuery) -> dict[str, Any]:
    end = 2**63 - 1 if query.to_ns is None else query.to_ns + SLACK_NS
    return {
        "from_ns": query.from_ns,
        "to_ns": query.to_ns,
        "severity": query.least_severity,
        "event": query.event,
        "trace_id": _bytes(query.trace_id),
        "span_id": _bytes(query.span_id),
        "service": query.service,
        "first": query.from_ns or 0,
        "end": end if query.before is None else min(end, int(query.before)),
        "after": query.after_id,
    }


def _bytes(digits: str | None) -> bytes | None:
    return None if digits is None else bytes_of(digits)
