"""The answers of the page's API, by their paths: parameters in, JSON values out. No network.

The page asks for them by HTTP, the commands ask for them on a file as well.
"""

from __future__ import annotations

import re
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Final, TypeVar

import tracedrpc
from tracedrpc_console.analysis.calls import by_method, compare, covered_s
from tracedrpc_console.analysis.explain import explain
from tracedrpc_console.analysis.pools import BASELINE_NS, pools
from tracedrpc_console.analysis.servicemap import service_map, topics_served
from tracedrpc_console.analysis.tree import trace_of
from tracedrpc_console.api import shapes
from tracedrpc_console.api.questions import BadQuestion, Question
from tracedrpc_console.api.shapes import Shape, micros
from tracedrpc_console.store.model import LogQuery

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracedrpc_console.analysis.calls import Compared, Key, Stats
    from tracedrpc_console.analysis.explain import Explanation
    from tracedrpc_console.store.model import Page, SpanRow
    from tracedrpc_console.store.reader import Reader

SCATTER_MOST: Final = 2000
TRACE_LOGS_MOST: Final = 5000
Query = TypeVar("Query")
Item = TypeVar("Item")
_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")


class NotFound(Exception):
    """What was asked for is not there; the text says what."""


class Answers:
    """Answers from one store. Thread-safe.

    Args:
        reader: the store.
        retention_s: how long things are kept, None when unknown.
        now_ns: the clock.
    """

    def __init__(
        self, reader: Reader, retention_s: float | None = None, now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._reader = reader
        self._retention_s = retention_s
        self._now_ns = now_ns

    def status(self, _: Question) -> Shape:
        """Return how much there is."""
        status = self._reader.status()
        return {
            "version": tracedrpc.__version__,
            "spans": status.spans, "logs": status.logs, "metrics": status.points, "traces": status.traces,
            "bytes": status.bytes,
            "oldest": micros(status.oldest_ns) or None, "newest": micros(status.newest_ns) or None,
            "dropped": {signal: dict(reasons) for signal, reasons in status.dropped.items()},
            "retention_s": self._retention_s,
            "now": micros(self._now_ns()),
        }

    def services(self, _: Question) -> Shape:
        """Return the services."""
        return {"services": [shapes.service(each) for each in self._reader.services()]}

    def operations(self, question: Question) -> Shape:
        """Return the span names of a service."""
        service = question.text("service")
        if service is None:
            raise BadQuestion("service is missing: whose operations?")
        found = self._reader.operations(service)
        return {"operations": [{"name": each.name, "kind": each.kind.value} for each in found]}

    def traces(self, question: Question) -> Shape:
        """Return traces, newest first."""
        page = _page(self._reader.find_traces, question.traces())
        return {"traces": [shapes.summary(each) for each in page.items], "next": page.next}

    def scatter(self, question: Question) -> Shape:
        """Return when traces began and how long they took."""
        query = replace(question.traces(), limit=SCATTER_MOST, before=None)
        found = self._reader.find_traces(query).items
        return {"points": [shapes.point(each) for each in found]}

    def trace(self, trace_id: str, _: Question) -> Shape:
        """Return a whole trace in the order of its tree, and what there is to say about it."""
        rows = self._rows(trace_id)
        by_id = {row.span_id: row for row in reversed(rows)}
        trace = trace_of(rows)
        said = explain(trace)
        start_ns = min(row.start_ns for row in rows)
        return {
            "id": trace_id,
            "start": micros(start_ns),
            "duration": shapes.millis(max(row.end_ns for row in rows) - start_ns),
            "spans": [_span(by_id[row.span.span_id], row.depth, by_id) for row in trace.rows()],
            "critical": [
                {"id": section.span.id, "from": section.start_us, "to": section.end_us}
                for section in said.critical
            ],
            "why": said.sentence or None,
            "advice": list(said.advice),
            "logs": len(self._reader.logs(LogQuery(trace_id=trace_id, limit=TRACE_LOGS_MOST)).items),
        }

    def trace_logs(self, trace_id: str, question: Question) -> Shape:
        """Return the log records of a trace in the order of time."""
        limit = question.limit(TRACE_LOGS_MOST, TRACE_LOGS_MOST)
        found = self._reader.logs(LogQuery(trace_id=trace_id.lower(), limit=limit)).items
        return {"logs": [shapes.log(each) for each in sorted(found, key=lambda row: (row.at_ns, row.id))]}

    def logs(self, question: Question) -> Shape:
        """Return log records, newest first; with `after=<id>` those that arrived later, in that order."""
        page = _page(self._reader.logs, question.logs())
        return {"logs": [shapes.log(each) for each in page.items], "next": page.next}

    def methods(self, question: Question) -> Shape:
        """Return the methods of one stretch of time or version, beside those of another one if asked."""
        now_ns = self._now_ns()
        window = question.window_ns(now_ns)
        service, version = question.text("service"), question.text("version")
        first = self._stats(window, service, version)
        second: dict[Key, Stats] | None = None
        if question.text("from2") or question.text("to2"):
            second = self._stats(question.window_ns(now_ns, "from2", "to2"), service, version)
        elif question.text("version2"):
            second = self._stats(window, service, question.text("version2"))
        return {"methods": [_compared(each) for each in compare(first, second)]}

    def map(self, question: Question) -> Shape:
        """Return who calls whom."""
        from_ns, to_ns = question.window_ns(self._now_ns())
        served = {
            each.name: topics_served(self._reader.operations(each.name)) for each in self._reader.services()
        }
        drawn = service_map(self._reader.edges(from_ns, to_ns), self._reader.calls(from_ns, to_ns), served)
        return {
            "nodes": [asdict(node) for node in drawn.nodes],
            "edges": [
                {"from": arrow.start, "to": arrow.end, "calls": arrow.calls, "errors": arrow.errors,
                 "p95": arrow.p95}
                for arrow in drawn.arrows
            ],
        }

    def pool(self, question: Question) -> Shape:
        """Return pools, heartbeats and time-outs from the metrics."""
        from_ns, to_ns = question.window_ns(self._now_ns())
        since_ns = max(0, from_ns - BASELINE_NS)
        found = pools(lambda name: self._reader.metric_series(name, since_ns, to_ns), from_ns, to_ns)
        shape: Shape = shapes.plain(asdict(found))
        for pool in shape["pools"]:
            lines = pool.pop("lines")
            pool["series"] = {
                name: [[micros(int(at_ns)), value] for at_ns, value in points]
                for name, points in lines.items()
            }
        return shape

    def explain(self, wanted: str, _: Question) -> Shape:
        """Explain a trace, by its id or by the message id of a call in it."""
        trace_id = wanted.lower()
        rows = self._reader.trace(trace_id) if _TRACE_ID.fullmatch(trace_id) else None
        if not rows:
            trace_id = self._reader.trace_of_msg_id(trace_id) or self._reader.trace_of_msg_id(wanted) or ""
            rows = self._reader.trace(trace_id) if trace_id else None
        if not rows:
            raise NotFound(f"there is no trace and no call with the id {wanted}")
        return explained(trace_id, explain(trace_of(rows)))

    def _rows(self, trace_id: str) -> list[SpanRow]:
        rows = self._reader.trace(trace_id.lower()) if _TRACE_ID.fullmatch(trace_id.lower()) else None
        if not rows:
            raise NotFound(f"there is no trace {trace_id}: it has not arrived, or was removed for its age")
        return rows

    def _stats(self, window: tuple[int, int], service: str | None, version: str | None) -> dict[Key, Stats]:
        rows = self._reader.calls(*window, service, version)
        return by_method(rows, covered_s(rows, *window))


def _page(find: Callable[[Query], Page[Item]], query: Query) -> Page[Item]:
    try:
        return find(query)
    except ValueError as error:
        raise BadQuestion(f"before is no `next` of an answer: {error}") from error


def explained(trace_id: str, said: Explanation) -> Shape:
    """Return an explanation as JSON."""
    return {
        "trace": trace_id,
        "why": said.why or None,
        "sentence": said.sentence,
        "phases": {phase.value: ms for phase, ms in said.phases.items()},
        "critical": [asdict(share) for share in said.shares],
        "advice": list(said.advice),
    }


def _span(row: SpanRow, depth: int, by_id: dict[str, SpanRow]) -> Shape:
    is_missing = bool(row.parent_id) and row.parent_id not in by_id
    return shapes.span(row, depth, is_parent_missing=is_missing)


def _compared(found: Compared) -> Shape:
    return {
        "method": found.method, "mode": found.mode,
        "a": asdict(found.a) if found.a else None, "b": asdict(found.b) if found.b else None,
    }
