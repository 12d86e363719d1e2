"""Jaeger's APIs over a real store answer what they answer over a list in memory."""

from __future__ import annotations

from copy import deepcopy

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.console.jaeger_support import EPOCH_NS, MS, TRACE_ID, MemoryReader, a_span, ask, of, pairs
from tests.console.stores import store
from tracedrpc_console.api import jaeger_metrics, jaeger_v1, jaeger_v3
from tracedrpc_console.exports import imports
from tracedrpc_console.exports.formats import Format, export
from tracedrpc_console.store.signals import Signal

OTHER = "b" * 32
THIRD = "c" * 32
FAILED = Status(code=Status.STATUS_CODE_ERROR, message="boom")
START_US = EPOCH_NS // 1000
WINDOW = {"start": START_US - 1, "end": START_US + 60_000_000}
WINDOW_V3 = {"query.startTimeMin": "2023-11-14T22:13:19Z", "query.startTimeMax": "2023-11-14T22:14:20Z"}
METRICS = {"service": ["compute", "api"], "endTs": EPOCH_NS // MS + 60_000, "lookback": 60_000, "step": 1000}


def groups():
    client = Span.SPAN_KIND_CLIENT
    beat = Span.Event(name="heartbeat_received", time_unix_nano=EPOCH_NS + MS, attributes=pairs({"n": 1}))
    link = Span.Link(trace_id=b"1" * 16, span_id=b"12345678", attributes=pairs({"kept": True}))
    attributes = {"rpc.method": "compute/reboot", "n": 7, "list": ["a"], "large": 2**60, "bytes": b"\xff"}
    call = a_span(1, kind=client, ms=40, attributes=attributes, events=[beat], links=[link])
    return [
        of("api", call, host="a"),
        of("compute", a_span(2, 1, start_ms=12), scope="tracedrpc"),
        of("api", a_span(4, name="list", kind=client, trace_id=OTHER, start_ms=1000, ms=500, status=FAILED)),
        of("compute", a_span(5, 4, "list", trace_id=OTHER, start_ms=1100, status=FAILED)),
        of("compute", *(a_span(at, trace_id=THIRD, start_ms=2000 + at, ms=at) for at in range(10, 60))),
    ]


@pytest.fixture(scope="module")
def both():
    """Return the routes of the real store and those of the list."""
    with store() as real:
        real.take(Signal.TRACES, ExportTraceServiceRequest(resource_spans=groups()))
        yield routes(real.reader), routes(MemoryReader(groups()))


def routes(reader):
    return [*jaeger_metrics.routes(reader), *jaeger_v3.routes(reader), *jaeger_v1.routes(reader)]


QUESTIONS = [
    ("/api/services", {}),
    ("/api/services/compute/operations", {}),
    ("/api/operations", {"service": "compute", "spanKind": "server"}),
    (f"/api/traces/{TRACE_ID}", {}),
    (f"/api/traces/{TRACE_ID}", {"raw": "true"}),
    (f"/api/traces/{TRACE_ID}", {"start": START_US + 10**9}),
    (f"/api/traces/{'d' * 32}", {}),
    ("/api/traces", {"traceID": [OTHER, "d" * 32]}),
    ("/api/traces", WINDOW),
    ("/api/traces", WINDOW | {"service": "api", "limit": 1}),
    ("/api/traces", WINDOW | {"service": "compute", "operation": "list"}),
    ("/api/traces", WINDOW | {"service": "api", "minDuration": "100ms"}),
    ("/api/traces", WINDOW | {"service": "api", "maxDuration": "100ms"}),
    ("/api/traces", WINDOW | {"tags": '{"rpc.method":"compute/reboot","n":"7"}'}),
    ("/api/traces", WINDOW | {"service": "api", "tags": '{"error":"true"}'}),
    ("/api/traces", WINDOW | {"service": "compute", "tags": '{"span.kind":"client"}'}),
    ("/api/traces", WINDOW | {"end": START_US + 1_500_000}),
    ("/api/dependencies", {"endTs": EPOCH_NS // MS + 60_000, "lookback": 3_600_000}),
    ("/api/v3/services", {}),
    ("/api/v3/operations", {"service": "api"}),
    (f"/api/v3/traces/{TRACE_ID}", {}),
    (f"/api/v3/traces/{'d' * 32}", {}),
    ("/api/v3/traces", WINDOW_V3 | {"query.serviceName": "nobody"}),
    ("/api/v3/trace-summaries", WINDOW_V3),
    ("/api/v3/trace-summaries", WINDOW_V3 | {"query.durationMin": "100ms"}),
    ("/api/metrics/calls", METRICS),
    ("/api/metrics/errors", METRICS | {"groupByOperation": "true"}),
    ("/api/metrics/latencies", METRICS | {"quantile": 0.95, "spanKind": ["client", "server"]}),
]


@pytest.mark.parametrize(("path", "query"), QUESTIONS)
def test_the_store_answers_as_the_list_does(both, path, query):
    real, listed = (ask(each, path, **query) for each in both)
    assert real.status == listed.status
    assert ordered(real.json) == ordered(listed.json)


def ordered(answer):
    """Return an answer whose spans and services have an order, and whose processes have no numbers."""
    answer = deepcopy(answer)
    for trace in answer.get("data") or ():
        if isinstance(trace, dict) and "spans" in trace:
            for span in trace["spans"]:
                span["processID"] = trace["processes"][span["processID"]]
            trace["spans"].sort(key=lambda span: span["spanID"])
            trace["processes"] = sorted(trace["processes"].values(), key=str)
    for summary in answer.get("summaries") or ():
        summary["services"].sort(key=lambda share: share["name"])
    if "result" in answer:
        answer["result"]["resourceSpans"].sort(key=str)
    return answer


def test_the_questions_have_answers_that_can_differ(both):
    answers = [ask(both[0], path, **query) for path, query in QUESTIONS]
    assert sum(answer.status == 200 for answer in answers) == len(answers) - 4
    assert len({answer.body for answer in answers}) >= len(answers) - 5


def test_a_file_from_one_store_makes_the_same_trace_in_another():
    with store() as first, store() as second:
        first.take(Signal.TRACES, ExportTraceServiceRequest(resource_spans=groups()))
        file = export(first.reader, TRACE_ID, Format.OTLP)
        for found in imports.read(file.content):
            second.take(found.signal, found.request)
        assert second.reader.trace(TRACE_ID) == first.reader.trace(TRACE_ID)
        assert export(second.reader, TRACE_ID, Format.OTLP) == file


def test_jaegers_file_makes_a_trace_that_can_be_searched():
    with store() as first, store() as second:
        first.take(Signal.TRACES, ExportTraceServiceRequest(resource_spans=groups()))
        file = export(first.reader, OTHER, Format.JAEGER)
        for found in imports.read(file.content):
            second.take(found.signal, found.request)
        assert export(second.reader, OTHER, Format.JAEGER) == file
        query = WINDOW | {"service": "api", "tags": '{"error":"true"}'}
        (trace,) = ask(routes(second.reader), "/api/traces", **query).json["data"]
        assert trace["traceID"] == OTHER
