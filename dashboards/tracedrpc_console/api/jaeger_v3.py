"""Jaeger's query API, version 3: OTLP instead of Jaeger's own JSON, and the search of the UI from 2.19 on.

No envelope. Times are RFC 3339 with nanoseconds, durations Go's. Both spellings of parameters are taken:
camelCase, and the older snake_case.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from starlette.routing import Route

from tracedrpc_console.api import jaeger_params as params
from tracedrpc_console.api import jaeger_traces, mapping
from tracedrpc_console.api.jaeger_answers import document, guarded_v3, problem_v3
from tracedrpc_console.exports import otlp
from tracedrpc_console.store.model import TraceQuery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans
    from starlette.datastructures import QueryParams
    from starlette.requests import Request
    from starlette.responses import Response

    from tracedrpc_console.api.jaeger_reader import TraceReader
    from tracedrpc_console.store.model import TraceSummary

DEFAULT_LIMIT: Final = 100
_CAPITAL: Final = re.compile(r"(?<=[a-z])([A-Z])")


def routes(reader: TraceReader) -> list[Route]:
    """Return the routes of version 3."""
    api = _Api(reader)
    gets = {
        "/api/v3/services": api.services,
        "/api/v3/operations": api.operations,
        "/api/v3/traces": api.search,
        "/api/v3/traces/{trace_id}": api.trace,
        "/api/v3/trace-summaries": api.summaries,
    }
    return [Route(path, guarded_v3(answer), methods=["GET"]) for path, answer in gets.items()]


class _Api:
    def __init__(self, reader: TraceReader) -> None:
        self._reader = reader

    def services(self, request: Request) -> Response:
        del request
        return document({"services": sorted(service.name for service in self._reader.services())})

    def operations(self, request: Request) -> Response:
        kind = _value(request.query_params, "spanKind")
        found = self._reader.operations(
            request.query_params.get("service", ""), params.kind("spanKind", kind) if kind else None,
        )
        return document({"operations": [
            {"name": operation.name, "spanKind": mapping.kind_word(operation.kind) or "internal"}
            for operation in found
        ]})

    def trace(self, request: Request) -> Response:
        query = request.query_params
        start, end = _value(query, "startTime"), _value(query, "endTime")
        trace = jaeger_traces.one(
            self._reader,
            params.trace_id(request.path_params["trace_id"]),
            raw=params.flag("rawTraces", _value(query, "rawTraces")),
            from_ns=params.rfc3339_ns("startTime", start) if start else 0,
            to_ns=params.rfc3339_ns("endTime", end) if end else 0,
        )
        return problem_v3(404, "trace not found") if trace is None else _traces(trace)

    def search(self, request: Request) -> Response:
        query = request.query_params
        raw = params.flag("query.rawTraces", _value(query, "query.rawTraces"))
        found = jaeger_traces.found(self._reader, search_of(query), raw=raw)
        groups = [group for trace in found for group in trace]
        return _traces(groups) if groups else problem_v3(404, "No traces found")

    def summaries(self, request: Request) -> Response:
        page = self._reader.find_traces(search_of(request.query_params))
        return document({"summaries": [_summary(each) for each in page.items]})


def _value(query: QueryParams, name: str) -> str:
    """Return a parameter by its name in camelCase, or else in snake_case."""
    return query.get(name) or query.get(_CAPITAL.sub(lambda match: f"_{match[1].lower()}", name), "")


def search_of(query: QueryParams) -> TraceQuery:
    """Return what a search of version 3 asks for.

    Raises:
        ParamError: a parameter cannot be read, or there are no bounds of time.
    """
    if query.get("query.filter"):
        raise params.ParamError("query.filter is not known here: use query.attributes")
    wanted = params.wanted(params.json_tags("query.attributes", query.get("query.attributes", "")))
    least = params.duration_ns("query.durationMin", _value(query, "query.durationMin"))
    most = params.duration_ns("query.durationMax", _value(query, "query.durationMax"))
    params.in_order(least, most, ("query.durationMin", "query.durationMax"))
    start, end = _bounds(query)
    return TraceQuery(
        service=_value(query, "query.serviceName") or None,
        operation=_value(query, "query.operationName") or None,
        kind=wanted.kind, attributes=wanted.attributes, errors_only=wanted.errors_only,
        least_ns=least, most_ns=most, from_ns=start, to_ns=end + 1, limit=_depth(query),
    )


def _bounds(query: QueryParams) -> tuple[int, int]:
    texts = _value(query, "query.startTimeMin"), _value(query, "query.startTimeMax")
    if not all(texts):
        raise params.ParamError("query.startTimeMin and query.startTimeMax are required")
    start = params.rfc3339_ns("query.startTimeMin", texts[0])
    end = params.rfc3339_ns("query.startTimeMax", texts[1])
    if start > end:
        raise params.ParamError("query.startTimeMin must be before query.startTimeMax")
    return start, end


def _depth(query: QueryParams) -> int:
    text = _value(query, "query.searchDepth") or query.get("query.num_traces", "")
    return params.limit("query.searchDepth", text, DEFAULT_LIMIT)


def _traces(groups: Sequence[ResourceSpans]) -> Response:
    return document({"result": otlp.document(groups)})


def _summary(trace: TraceSummary) -> mapping.Json:
    return {
        "traceId": trace.trace_id,
        "rootServiceName": trace.root_service,
        "rootOperationName": trace.root_name,
        "minStartTimeUnixNano": str(trace.start_ns),
        "maxEndTimeUnixNano": str(trace.end_ns),
        "spanCount": trace.spans,
        "errorSpanCount": trace.errors,
        "orphanSpanCount": trace.orphans,
        "services": [
            {"name": share.name, "spanCount": share.spans, "errorSpanCount": share.errors}
            for share in trace.services
        ],
    }
