"""A trace in Chrome's trace event format, for Perfetto (ui.perfetto.dev) and chrome://tracing. Pure.

A service is a process there, a lane of its spans a thread, a message from one service to another an arrow,
and the time that it waited in a queue an asynchronous slice. Times are microseconds since the trace began.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tracedrpc_console.exports.lanes import lanes
from tracedrpc_console.spans import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tracedrpc_console.store.model import SpanRow

Json = dict[str, Any]

_QUEUE: Final = "queue "
_PUBLISH: Final = "publish "
_MOST_EXACT: Final = 2**53 - 1


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a span is drawn: process and thread."""

    pid: int
    tid: int


def export(spans: Sequence[SpanRow]) -> bytes:
    """Return a file that Perfetto opens."""
    start = min((span.start_ns for span in spans), default=0)
    places = _places(spans)
    document = {
        "traceEvents": [
            *_names(spans, places),
            *(event for span in spans for event in _events(span, places[span.span_id], start)),
            *_arrows(spans, places, start),
        ],
        "displayTimeUnit": "ms",
        "otherData": {"startTimeUnixNano": str(start), "traceId": spans[0].trace_id if spans else ""},
    }
    return json.dumps(document, ensure_ascii=False, allow_nan=False).encode()


def _places(spans: Iterable[SpanRow]) -> dict[str, _Place]:
    services: dict[str, list[SpanRow]] = defaultdict(list)
    for span in spans:
        services[span.service].append(span)
    return {
        span.span_id: _Place(pid, lane + 1)
        for pid, of_service in enumerate(services.values(), 1)
        for lane, span in lanes(of_service)
    }


def _names(spans: Iterable[SpanRow], places: Mapping[str, _Place]) -> Iterator[Json]:
    pids = {places[span.span_id].pid: span.service for span in spans}
    for pid, service in pids.items():
        yield {"ph": "M", "name": "process_name", "pid": pid, "tid": 0, "args": {"name": service}}
    for place in dict.fromkeys(places.values()):
        name = {"name": f"lane {place.tid}"}
        yield {"ph": "M", "name": "thread_name", "pid": place.pid, "tid": place.tid, "args": name}


def _events(span: SpanRow, place: _Place, start_ns: int) -> Iterator[Json]:
    at = {"pid": place.pid, "tid": place.tid}
    is_wait = span.kind is Kind.INTERNAL and span.name.startswith(_QUEUE)
    yield from (_wait if is_wait else _slice)(span, at, start_ns)
    for event in span.events:
        yield {
            "ph": "i", "s": "t", "name": event.name, "cat": "event", **at,
            "ts": _us(event.at_ns - start_ns), "args": _plain(event.attributes),
        }


def _slice(span: SpanRow, at: Json, start_ns: int) -> Iterator[Json]:
    yield {
        "ph": "X", "name": span.name, "cat": str(span.kind).lower(), **at,
        "ts": _us(span.start_ns - start_ns), "dur": _us(max(0, span.end_ns - span.start_ns)),
        "args": _args(span),
    }


def _wait(span: SpanRow, at: Json, start_ns: int) -> Iterator[Json]:
    wait = {"name": span.name, "cat": "queue", "id2": {"local": span.span_id}, **at}
    yield {"ph": "b", **wait, "ts": _us(span.start_ns - start_ns), "args": _args(span)}
    yield {"ph": "e", **wait, "ts": _us(max(span.start_ns, span.end_ns) - start_ns)}


def _arrows(spans: Sequence[SpanRow], places: Mapping[str, _Place], start_ns: int) -> Iterator[Json]:
    """Yield the way of each message from who sent it to who works on it."""
    by_id = {span.span_id: span for span in spans}
    published = {
        span.parent_id: span.end_ns for span in spans
        if span.name.startswith(_PUBLISH) and span.kind is Kind.CLIENT
    }
    for span in spans:
        parent = by_id.get(span.parent_id)
        if parent is None or span.kind not in {Kind.SERVER, Kind.CONSUMER}:
            continue
        sent = min(max(published.get(parent.span_id, parent.start_ns), parent.start_ns), span.start_ns)
        arrow = {"name": "message", "cat": "queue", "id": span.span_id}
        for phase, place, at in (
            ("s", places[parent.span_id], sent), ("f", places[span.span_id], span.start_ns),
        ):
            where = {"pid": place.pid, "tid": place.tid, "ts": _us(at - start_ns)}
            yield {"ph": phase, **arrow, "bp": "e", **where}


def _us(duration_ns: int) -> float:
    return duration_ns / 1000


def _args(span: SpanRow) -> Json:
    ids = {"trace_id": span.trace_id, "span_id": span.span_id, "parent_id": span.parent_id}
    status = {"error": span.is_error, "status": span.status_message}
    return {**_plain(span.attributes), **ids, **{name: value for name, value in status.items() if value}}


def _plain(attributes: Mapping[str, Any]) -> Json:
    return {name: _value(value) for name, value in attributes.items()}


def _value(value: Any) -> Any:
    """Return a value as JavaScript reads it exactly."""
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, int) and abs(value) <= _MOST_EXACT:
        return value
    return value if isinstance(value, str) else str(value)
