"""Search for traces: the newest first, found through their spans or one by one."""

from __future__ import annotations

import heapq
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tracedrpc import semconv as names
from tracedrpc_console.store import words
from tracedrpc_console.store.keys import SLACK_NS
from tracedrpc_console.store.model import Outcome, Page, TraceQuery, TraceSummary
from tracedrpc_console.store.rows import KINDS
from tracedrpc_console.store.shelves import table_of, walk
from tracedrpc_console.store.summaries import summaries
from tracedrpc_console.store.values import attributes_of, has_all

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping

_LONG_NS: Final = 60 * 10**9
"""Traces whose spans begin over a longer time are in the index `trace_long`."""
_END: Final = 2**63 - 1
COMMON: Final = 2000
"""Spans: words that fewer have are looked for first."""
_OF_TRACE: Final = """
    (:from_ns IS NULL OR trace.start_ns >= :from_ns) AND (:to_ns IS NULL OR trace.start_ns < :to_ns)
    AND (trace.start_ns, trace.id) < (:before_ns, :before_id)
    AND (:outcome IS NULL OR trace.outcome = :outcome)
    AND (:least_root_ns IS NULL OR trace.root_duration_ns >= :least_root_ns)
    AND (:most_root_ns IS NULL OR trace.root_duration_ns <= :most_root_ns)
"""
_OF_SPAN: Final = """
    (:service IS NULL OR operation.service = :service) AND (:operation IS NULL OR operation.name = :operation)
    AND (:kind IS NULL OR operation.kind = :kind)
    AND (:least_ns IS NULL OR span.duration_ns >= :least_ns)
    AND (:most_ns IS NULL OR span.duration_ns <= :most_ns)
"""
_FOUND: Final = f"""
    SELECT span.key, trace.start_ns, trace.id
    FROM {{shelf}} CROSS JOIN span ON span.key = {{shelf}}.rowid CROSS JOIN trace ON trace.id = span.trace
    CROSS JOIN operation ON operation.id = span.operation
    WHERE {{shelf}} MATCH :expression AND {{shelf}}.rowid >= :first AND {{shelf}}.rowid < :end
    AND span.shelf = {{number}} AND {_OF_TRACE} AND (:failed = 0 OR trace.errors > 0)
"""  # noqa: S608 - made of constants
_BY_WORDS: Final = f"{_FOUND} ORDER BY {{shelf}}.rowid DESC"
_BY_SPANS: Final = f"{_FOUND} AND {_OF_SPAN} ORDER BY {{shelf}}.rowid DESC"
_BY_START: Final = f"""
    SELECT trace.start_ns, trace.start_ns, trace.id FROM trace WHERE {_OF_TRACE}
"""  # noqa: S608 - made of constants
_NEWEST: Final = " ORDER BY trace.start_ns DESC, trace.id DESC"
_SPANS_OF: Final = f"""
    SELECT span.key FROM span JOIN operation ON operation.id = span.operation
    WHERE span.trace = :trace AND {_OF_SPAN}
"""  # noqa: S608 - made of constants


def find_traces(connection: sqlite3.Connection, query: TraceQuery) -> Page[TraceSummary]:
    """Return one page of the traces that are asked for."""
    found = _newest(_Search(connection, query).matches(), query.limit + 1)
    page = found[:query.limit]
    following = f"{page[-1][0]}-{page[-1][1]}" if len(found) > query.limit and page else None
    return Page(summaries(connection, [trace for _, trace in page]), following)


def _newest(matches: Iterable[tuple[int, int, int]], most: int) -> list[tuple[int, int]]:
    """Return the (start, id) of the latest traces.

    Args:
        matches: (key, start, id) in descending order of keys; a key is never before the start of its trace.
        most: so many are wanted; no more matches are looked at than that takes.
    """
    best: list[tuple[int, int]] = []
    seen = set()
    for key, start_ns, trace in matches:
        if len(best) == most and best[0][0] > key:
            break
        if trace not in seen:
            seen.add(trace)
            heapq.heappush(best, (start_ns, trace))
            if len(best) > most:
                heapq.heappop(best)
    return sorted(best, reverse=True)


class _Search:
    def __init__(self, connection: sqlite3.Connection, query: TraceQuery) -> None:
        self._connection = connection
        self._attributes = _attributes(query)
        fields = (query.service, query.operation, query.kind)
        self._wants_span = bool(self._attributes) or any(each is not None for each in fields)
        self._text = words.as_expression(words.text_terms(query.text))
        self._failed = query.errors_only or query.outcome in {Outcome.ERROR, Outcome.TIMEOUT}
        self._parameters = _parameters(connection, query, self._wants_span) | {"failed": self._failed}
        self._terms = self._span_terms(query)

    def matches(self) -> Iterator[tuple[int, int, int]]:
        """Give (key, start, id) of traces that match, by descending keys; a trace may come more than once."""
        if self._text and not (self._wants_span and self._is_common(self._text)):
            return self._by_text()
        if self._failed and not self._attributes:
            return self._one_by_one()  # few traces fail, and their index has no others
        return self._by_spans() if self._terms else self._one_by_one()

    def _span_terms(self, query: TraceQuery) -> list[str]:
        kind = None if query.kind is None else KINDS.index(query.kind)
        durations = (query.least_ns, query.most_ns) if self._wants_span else (None, None)
        return [
            *words.span_terms(query.service, query.operation, kind, durations),
            *words.attribute_terms(self._attributes),
        ]

    def _by_text(self) -> Iterator[tuple[int, int, int]]:
        parameters = self._parameters | {"expression": self._text}
        for found in walk(self._connection, "spans", _BY_WORDS, parameters):
            if not self._wants_span or self._has_such_span(found[2]):
                yield found

    def _by_spans(self) -> Iterator[tuple[int, int, int]]:
        parameters = self._parameters | {"expression": words.as_expression(self._terms)}
        for found in walk(self._connection, "spans", _BY_SPANS, parameters):
            key, _, trace = found
            if (not self._attributes or self._has_attributes(key)) and (not self._text or self._says(trace)):
                yield found

    def _is_common(self, expression: str) -> bool:
        """Return whether many spans have these words, so that it is better to begin with the other terms."""
        parameters = self._parameters | {"expression": expression}
        found = islice(walk(self._connection, "spans", _BY_WORDS, parameters), COMMON)
        return sum(1 for _ in found) == COMMON

    def _one_by_one(self) -> Iterator[tuple[int, int, int]]:
        sql = _BY_START + (" AND trace.errors > 0" if self._failed else "") + _NEWEST
        for key, start_ns, trace in self._connection.execute(sql, self._parameters):
            if self._wants_span and not self._has_such_span(trace):
                continue
            if self._text and not self._says(trace):
                continue
            yield key, start_ns, trace

    def _has_such_span(self, trace: int) -> bool:
        keys = self._connection.execute(_SPANS_OF, self._parameters | {"trace": trace})
        return any(not self._attributes or self._has_attributes(key) for (key,) in keys)

    def _has_attributes(self, key: int) -> bool:
        (proto,) = self._connection.execute("SELECT proto FROM span WHERE key = ?", (key,)).fetchone()
        return has_all(attributes_of(Span.FromString(proto).attributes), self._attributes)

    def _says(self, trace: int) -> bool:
        """Return whether a span of the trace has the words that are looked for."""
        rows = self._connection.execute("SELECT shelf, key FROM span WHERE trace = ?", (trace,)).fetchall()
        return any(
            self._connection.execute(
                f"SELECT 1 FROM {(table := table_of('spans', shelf))} WHERE {table} MATCH ? AND rowid = ?",  # noqa: S608
                (self._text, key),
            ).fetchone()
            for shelf, key in rows
        )


def _attributes(query: TraceQuery) -> Mapping[str, str]:
    if query.method is None:
        return query.attributes
    return {names.RPC_METHOD: query.method, **query.attributes}


def _parameters(connection: sqlite3.Connection, query: TraceQuery, wants_span: bool) -> dict[str, Any]:
    before_ns, before_id = (_END, _END) if query.before is None else map(int, query.before.split("-"))
    latest = min(_END if query.to_ns is None else query.to_ns, before_ns)
    return {
        "from_ns": query.from_ns,
        "to_ns": query.to_ns,
        "before_ns": before_ns,
        "before_id": before_id,
        "outcome": query.outcome,
        "least_root_ns": None if wants_span else query.least_ns,
        "most_root_ns": None if wants_span else query.most_ns,
        "service": query.service,
        "operation": query.operation,
        "kind": None if query.kind is None else KINDS.index(query.kind),
        "least_ns": query.least_ns if wants_span else None,
        "most_ns": query.most_ns if wants_span else None,
        "first": query.from_ns or 0,
        "end": min(_END, latest + _longest(connection) + SLACK_NS) if latest < _END else _END,
    }


def _longest(connection: sqlite3.Connection) -> int:
    """Return the longest time from the first to the last start of a span in one trace."""
    (longest,) = connection.execute(
        f"SELECT max(last_ns - start_ns) FROM trace WHERE last_ns - start_ns > {_LONG_NS}",  # noqa: S608
    ).fetchone()
    return int(longest or _LONG_NS)
