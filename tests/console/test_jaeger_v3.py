"""Version 3 of Jaeger's query API: bare answers, OTLP/JSON, the search of the Jaeger UI from 2.19 on."""

from __future__ import annotations

import json

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.console.jaeger_support import (
    EPOCH_NS,
    MS,
    TRACE_ID,
    MemoryReader,
    a_span,
    ask,
    assert_shape,
    of,
)
from tracedrpc_console.api.jaeger_params import rfc3339_ns
from tracedrpc_console.api.jaeger_v3 import routes
from tracedrpc_console.ingest.otlp_json import from_json
from tracedrpc_console.store.signals import Signal

OTHER = "b" * 32
WINDOW = {
    "query.startTimeMin": "2023-11-14T22:13:19.999999999Z",
    "query.startTimeMax": "2023-11-14T22:13:30.000000Z",
}
SHARE = {"name": str, "spanCount": int, "errorSpanCount": int}
SUMMARY = {
    "traceId": str, "rootServiceName": str, "rootOperationName": str, "minStartTimeUnixNano": str,
    "maxEndTimeUnixNano": str, "spanCount": int, "errorSpanCount": int, "orphanSpanCount": int,
    "services": [SHARE],
}
OTLP_SPAN = {
    "traceId": str, "spanId": str, "?parentSpanId": str, "name": str, "?kind": int, "startTimeUnixNano": str,
    "endTimeUnixNano": str, "?attributes": [{"key": str, "value": dict}],
    "?status": {"?code": int, "?message": str},
}
RESULT = {"result": {"resourceSpans": [
    {"resource": {"attributes": list}, "scopeSpans": [{"?scope": dict, "spans": [OTLP_SPAN]}]},
]}}
ERROR = {"error": {"httpCode": int, "message": str}}


@pytest.fixture
def api():
    failed = Status(code=Status.STATUS_CODE_ERROR)
    return routes(MemoryReader([
        of("api", a_span(1, kind=Span.SPAN_KIND_CLIENT, ms=40, attributes={"rpc.method": "reboot", "n": 7})),
        of("compute", a_span(2, 1, start_ms=12), a_span(3, 99, kind=Span.SPAN_KIND_UNSPECIFIED)),
        of("compute", a_span(4, name="list", trace_id=OTHER, start_ms=1000, ms=500, status=failed)),
    ]))


CONTRACT = {
    "/api/v3/services": ({}, {"services": [str]}),
    "/api/v3/operations": ({"service": "compute"}, {"operations": [{"name": str, "spanKind": str}]}),
    f"/api/v3/traces/{TRACE_ID}": ({}, RESULT),
    "/api/v3/traces": (WINDOW, RESULT),
    "/api/v3/trace-summaries": (WINDOW, {"summaries": [SUMMARY]}),
}


@pytest.mark.parametrize("path", CONTRACT)
def test_every_answer_is_bare_and_of_its_shape(api, path):
    query, shape = CONTRACT[path]
    answer = ask(api, path, **query)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert_shape(answer.json, shape)


REFUSED = [
    ("/api/v3/traces/xyz", {}),
    (f"/api/v3/traces/{TRACE_ID}", {"startTime": "yesterday"}),
    (f"/api/v3/traces/{TRACE_ID}", {"rawTraces": "2"}),
    ("/api/v3/operations", {"service": "a", "spanKind": "x"}),
    ("/api/v3/traces", {}),
    ("/api/v3/trace-summaries", {"query.startTimeMin": WINDOW["query.startTimeMin"]}),
    ("/api/v3/trace-summaries", WINDOW | {"query.startTimeMax": "2023-13-14T22:13:30Z"}),
    ("/api/v3/trace-summaries", WINDOW | {"query.startTimeMax": "2001-11-14T22:13:30Z"}),
    ("/api/v3/trace-summaries", WINDOW | {"query.durationMin": "fast"}),
    ("/api/v3/trace-summaries", WINDOW | {"query.durationMin": "2s", "query.durationMax": "1s"}),
    ("/api/v3/trace-summaries", WINDOW | {"query.searchDepth": "-1"}),
    ("/api/v3/trace-summaries", WINDOW | {"query.attributes": "[]"}),
    ("/api/v3/trace-summaries", WINDOW | {"query.attributes": "[" * 100_000}),
    ("/api/v3/trace-summaries", WINDOW | {"query.filter": "{}"}),
]


@pytest.mark.parametrize(("path", "query"), REFUSED)
def test_what_cannot_be_read_is_a_400_as_version_3_writes_it(api, path, query):
    answer = ask(api, path, **query)
    assert answer.status == 400
    assert_shape(answer.json, ERROR)
    assert answer.json["error"]["httpCode"] == 400


def test_a_trace_that_is_not_there_is_a_404(api):
    answer = ask(api, f"/api/v3/traces/{'c' * 32}")
    assert (answer.status, answer.json) == (404, {"error": {"httpCode": 404, "message": "trace not found"}})


def test_a_search_that_finds_no_trace_is_a_404_but_no_summary_an_empty_list(api):
    nobody = WINDOW | {"query.serviceName": "nobody"}
    assert ask(api, "/api/v3/traces", **nobody).status == 404
    assert ask(api, "/api/v3/trace-summaries", **nobody).json == {"summaries": []}


def test_a_trace_is_otlp_with_hex_ids_and_numbers_as_text(api):
    groups = ask(api, f"/api/v3/traces/{TRACE_ID}").json["result"]["resourceSpans"]
    span = groups[0]["scopeSpans"][0]["spans"][0]
    assert (span["traceId"], span["spanId"], span["kind"]) == (TRACE_ID, "0000000000000001", 3)
    assert span["startTimeUnixNano"] == str(EPOCH_NS)
    assert {"key": "n", "value": {"intValue": "7"}} in span["attributes"]


def test_an_answer_is_what_an_otlp_reader_takes(api):
    answer = ask(api, f"/api/v3/traces/{TRACE_ID}").json["result"]
    request = from_json(Signal.TRACES, json.dumps(answer).encode())
    assert sum(len(scoped.spans) for group in request.resource_spans for scoped in group.scope_spans) == 3


def test_a_summary_counts_spans_errors_and_orphans(api):
    newest, oldest = ask(api, "/api/v3/trace-summaries", **WINDOW).json["summaries"]
    assert newest["errorSpanCount"] == 1
    assert oldest == {
        "traceId": TRACE_ID, "rootServiceName": "api", "rootOperationName": "compute/reboot",
        "minStartTimeUnixNano": str(EPOCH_NS), "maxEndTimeUnixNano": str(EPOCH_NS + 40 * MS),
        "spanCount": 3, "errorSpanCount": 0, "orphanSpanCount": 1,
        "services": [
            {"name": "api", "spanCount": 1, "errorSpanCount": 0},
            {"name": "compute", "spanCount": 2, "errorSpanCount": 0},
        ],
    }


SEARCHES = [
    ({"query.serviceName": "api"}, [TRACE_ID]),
    ({"query.service_name": "api"}, [TRACE_ID]),
    ({"query.operationName": "list"}, [OTHER]),
    ({"query.durationMin": "100ms"}, [OTHER]),
    ({"query.durationMax": "100ms"}, [TRACE_ID]),
    ({"query.duration_max": "100ms"}, [TRACE_ID]),
    ({"query.searchDepth": 1}, [OTHER]),
    ({"query.num_traces": 1}, [OTHER]),
    ({"query.attributes": '{"n":"7","rpc.method":"reboot"}'}, [TRACE_ID]),
    ({"query.attributes": '{"error":"true"}'}, [OTHER]),
    ({"query.attributes": '{"span.kind":"client"}'}, [TRACE_ID]),
    ({"query.startTimeMin": "2023-11-14T23:13:20.000000001+01:00"}, [OTHER]),
    ({"query.startTimeMax": "2023-11-14T22:13:20Z"}, [TRACE_ID]),
]


@pytest.mark.parametrize(("query", "found"), SEARCHES)
def test_a_search_finds_what_fits(api, query, found):
    summaries = ask(api, "/api/v3/trace-summaries", **WINDOW | query).json["summaries"]
    assert [each["traceId"] for each in summaries] == found


def test_an_operation_without_a_kind_counts_as_internal(api):
    found = ask(api, "/api/v3/operations", service="compute", span_kind="unspecified").json
    assert found == {"operations": [{"name": "compute/reboot", "spanKind": "internal"}]}


@pytest.mark.parametrize(("text", "ns"), [
    ("1970-01-01T00:00:00Z", 0),
    ("1970-01-01T00:00:01.5Z", 1_500_000_000),
    ("1970-01-01t01:00:00.000000001+01:00", 1),
    ("2023-11-14T22:13:20.123456789999Z", EPOCH_NS + 123_456_789),
    ("9999-12-31T23:59:59Z", 2**63 - 1),
    ("0001-01-01T00:00:00Z", 0),
])
def test_times_have_nanoseconds(text, ns):
    assert rfc3339_ns("t", text) == ns
