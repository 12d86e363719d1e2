"""Jaeger's query API, version 1: what the Jaeger UI and Grafana's Jaeger data source call.

Every answer is an envelope of data and errors. Times are microseconds, of dependencies milliseconds.
Endpoints that block are plain functions: Starlette runs them in its threads.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from starlette.concurrency import run_in_threadpool
from starlette.routing import Route

from tracedrpc_console.api import jaeger_params as params
from tracedrpc_console.api import jaeger_traces, mapping
from tracedrpc_console.api.jaeger_answers import envelope, guarded_v1, problem
from tracedrpc_console.exports import imports
from tracedrpc_console.store.model import TraceQuery

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams
    from starlette.requests import Request
    from starlette.responses import Response

    from tracedrpc_console.api.jaeger_reader import TraceReader

POSTS: Final = ("/api/transform", "/api/archive/")
"""Paths that the Jaeger UI sends POST to; neither changes anything."""
TWO_DAYS_NS: Final = 2 * 86_400 * 10**9
DAY_MS: Final = 86_400_000
DEFAULT_LIMIT: Final = 100
MOST_UPLOADED: Final = 32 * 1024 * 1024


def routes(reader: TraceReader) -> list[Route]:
    """Return the routes of version 1, without the metrics."""
    api = _Api(reader)
    gets = {
        "/api/services": api.services,
        "/api/services/{service:path}/operations": api.operation_names,
        "/api/operations": api.operations,
        "/api/traces": api.search,
        "/api/traces/{trace_id}": api.trace,
        "/api/dependencies": api.dependencies,
        "/api/quality-metrics": _no_quality,
    }
    return [
        *(Route(path, guarded_v1(answer), methods=["GET"]) for path, answer in gets.items()),
        Route("/api/transform", _transform, methods=["POST"]),
        Route("/api/archive/{trace_id}", guarded_v1(_no_archive), methods=["POST"]),
    ]


class _Api:
    def __init__(self, reader: TraceReader) -> None:
        self._reader = reader

    def services(self, request: Request) -> Response:
        names = sorted(service.name for service in self._reader.services())
        return envelope(request, names, total=len(names))

    def operation_names(self, request: Request) -> Response:
        found = self._reader.operations(request.path_params["service"])
        names = sorted({operation.name for operation in found})
        return envelope(request, names, total=len(names))

    def operations(self, request: Request) -> Response:
        query = request.query_params
        if not query.get("service"):
            raise params.ParamError("parameter 'service' is required")
        kind = query.get("spanKind", "")
        found = self._reader.operations(query["service"], params.kind("spanKind", kind) if kind else None)
        data = [
            {"name": operation.name, "spanKind": mapping.kind_word(operation.kind)} for operation in found
        ]
        return envelope(request, data, total=len(data))

    def search(self, request: Request) -> Response:
        query = request.query_params
        raw = params.flag("raw", query.get("raw", ""))
        if query.get("traceID"):
            return self._by_id(request, [params.trace_id(each) for each in query.getlist("traceID")], raw=raw)
        traces = jaeger_traces.found(self._reader, search_of(query, time.time_ns()), raw=raw)
        return envelope(request, [found for trace in traces for found in mapping.traces(trace)])

    def _by_id(self, request: Request, ids: list[str], *, raw: bool) -> Response:
        data: list[mapping.Json] = []
        missing: list[mapping.Json] = []
        for trace_id in dict.fromkeys(ids[:params.MOST_TRACES]):
            trace = jaeger_traces.one(self._reader, trace_id, raw=raw)
            if trace is None:
                missing.append({"msg": "trace not found", "traceID": trace_id})
            else:
                data += mapping.traces(trace)
        return envelope(request, data, errors=missing or None)

    def trace(self, request: Request) -> Response:
        query = request.query_params
        trace_id = params.trace_id(request.path_params["trace_id"])
        trace = jaeger_traces.one(
            self._reader,
            trace_id,
            raw=params.flag("raw", query.get("raw", "")),
            from_ns=params.instant_ns("start", query.get("start", ""), params.US, 0),
            to_ns=params.instant_ns("end", query.get("end", ""), params.US, 0),
        )
        if trace is None:
            return problem(request, 404, "trace not found", trace_id)
        return envelope(request, mapping.traces(trace))

    def dependencies(self, request: Request) -> Response:
        query = request.query_params
        end_ns = params.instant_ns("endTs", query.get("endTs", ""), params.MS, time.time_ns())
        lookback = params.whole("lookback", query.get("lookback", ""), DAY_MS) * params.MS
        service = query.get("service", "")
        calls: Counter[tuple[str, str]] = Counter()
        for edge in self._reader.edges(max(0, end_ns - lookback), end_ns):
            if service in {"", edge.parent, edge.child}:
                calls[edge.parent, edge.child] += edge.calls
        return envelope(request, [
            {"parent": parent, "child": child, "callCount": count}
            for (parent, child), count in sorted(calls.items())
        ])


def search_of(query: QueryParams, now_ns: int) -> TraceQuery:
    """Return what a search of version 1 asks for; without a service any of them will do.

    Raises:
        ParamError: a parameter cannot be read.
    """
    wanted = params.wanted(params.tags(query))
    least = params.duration_ns("minDuration", query.get("minDuration", ""))
    most = params.duration_ns("maxDuration", query.get("maxDuration", ""))
    params.in_order(least, most, ("minDuration", "maxDuration"))
    start = params.instant_ns("start", query.get("start", ""), params.US, now_ns - TWO_DAYS_NS)
    end = params.instant_ns("end", query.get("end", ""), params.US, now_ns)
    if start > end:
        raise params.ParamError("invalid parameter: start time must be before end time")
    return TraceQuery(
        service=query.get("service") or None, operation=query.get("operation") or None,
        kind=wanted.kind, attributes=wanted.attributes, errors_only=wanted.errors_only,
        least_ns=least, most_ns=most, from_ns=start, to_ns=end + params.US,
        limit=params.limit("limit", query.get("limit", ""), DEFAULT_LIMIT),
    )


async def _transform(request: Request) -> Response:
    """Convert an uploaded OTLP/JSON file to Jaeger's JSON; nothing is kept."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_UPLOADED:
            return problem(request, 413, f"the file is larger than {MOST_UPLOADED} bytes")
    return await run_in_threadpool(_transformed, request, bytes(body))


def _transformed(request: Request, body: bytes) -> Response:
    try:
        found = imports.spans(body)
    except imports.Unreadable as error:
        return problem(request, 400, f"cannot unmarshal OTLP : {error}")
    return envelope(request, mapping.traces(found))


def _no_archive(request: Request) -> Response:
    return problem(request, 501, "this console keeps no archive: export the trace instead")


def _no_quality(request: Request) -> Response:
    return problem(request, 501, "this console computes no quality metrics")
