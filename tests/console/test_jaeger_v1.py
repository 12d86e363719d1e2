"""Version 1 of Jaeger's query API, against the shapes that Jaeger 2.20 answers with."""

from __future__ import annotations

import json

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.console.jaeger_support import (
    EPOCH_NS,
    MS,
    TRACE,
    TRACE_ID,
    MemoryReader,
    a_span,
    ask,
    assert_shape,
    of,
    of_v1,
)
from tracedrpc_console.api import jaeger_v1
from tracedrpc_console.api.jaeger_v1 import routes, search_of
from tracedrpc_console.exports import otlp

OTHER = "b" * 32
START_US = EPOCH_NS // 1000
ERROR = {"code": int, "msg": str, "?traceID": str}
WINDOW = {"start": START_US - 1, "end": START_US + 10_000_000}


@pytest.fixture
def api():
    failed = Status(code=Status.STATUS_CODE_ERROR)
    call = a_span(1, kind=Span.SPAN_KIND_CLIENT, ms=40, attributes={"rpc.method": "reboot", "n": 7})
    return routes(MemoryReader([
        of("api/v1", call),
        of("compute", a_span(2, 1, start_ms=12), a_span(3, 2, "handle reboot", kind=Span.SPAN_KIND_INTERNAL)),
        of("compute", a_span(4, name="list", trace_id=OTHER, start_ms=1000, ms=500, status=failed)),
    ]))


CONTRACT = {
    "/api/services": ({}, [str]),
    "/api/services/compute/operations": ({}, [str]),
    "/api/operations": ({"service": "compute"}, [{"name": str, "spanKind": str}]),
    "/api/traces": ({"service": "compute", **WINDOW}, [TRACE]),
    f"/api/traces/{TRACE_ID}": ({}, [TRACE]),
    "/api/dependencies": (
        {"endTs": START_US // 1000 + 60_000, "lookback": 3_600_000},
        [{"parent": str, "child": str, "callCount": int}],
    ),
}


@pytest.mark.parametrize("path", CONTRACT)
def test_every_answer_is_the_envelope_with_its_data(api, path):
    query, data = CONTRACT[path]
    answer = ask(api, path, **query)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert_shape(answer.json, of_v1(data))
    assert answer.json["data"], "an empty list would prove nothing"
    assert answer.json["errors"] is None


REFUSED = [
    ("/api/operations", {}),
    ("/api/traces", {"service": "a", "start": "yesterday"}),
    ("/api/traces", {"service": "a", "start": 2, "end": 1}),
    ("/api/traces", {"service": "a", "minDuration": "1 s"}),
    ("/api/traces", {"service": "a", "minDuration": "2s", "maxDuration": "1s"}),
    ("/api/traces", {"service": "a", "limit": 0}),
    ("/api/traces", {"service": "a", "limit": "9" * 30}),
    ("/api/traces", {"service": "a", "tag": "novalue"}),
    ("/api/traces", {"service": "a", "tags": "{"}),
    ("/api/traces", {"service": "a", "tags": '{"a":1}'}),
    ("/api/traces", {"service": "a", "tags": '{"span.kind":"sideways"}'}),
    ("/api/traces", {"service": "a", "raw": "maybe"}),
    ("/api/traces", {"traceID": "xyz"}),
    ("/api/traces/xyz", {}),
    (f"/api/traces/{'a' * 33}", {}),
    ("/api/dependencies", {"endTs": "now"}),
]


@pytest.mark.parametrize(("path", "query"), REFUSED)
def test_what_cannot_be_read_is_a_400_in_the_envelope(api, path, query):
    answer = ask(api, path, **query)
    assert answer.status == 400
    assert_shape(answer.json, of_v1(type(None)) | {"errors": [ERROR]})
    assert answer.json["errors"][0]["code"] == 400


def test_services_are_sorted_and_counted(api):
    answer = ask(api, "/api/services").json
    assert (answer["data"], answer["total"]) == (["api/v1", "compute"], 2)


def test_operations_of_a_service_with_a_slash_in_its_name(api):
    assert ask(api, "/api/services/api/v1/operations").json["data"] == ["compute/reboot"]


def test_operations_can_be_of_one_kind(api):
    found = ask(api, "/api/operations", service="compute", spanKind="internal").json["data"]
    assert found == [{"name": "handle reboot", "spanKind": "internal"}]


def test_a_trace_that_is_not_there_is_a_404_with_its_id_and_never_an_empty_list(api):
    answer = ask(api, f"/api/traces/{'c' * 32}")
    assert answer.status == 404
    assert answer.json["data"] is None
    assert answer.json["errors"] == [{"code": 404, "msg": "trace not found", "traceID": "c" * 32}]


def test_a_trace_outside_the_asked_time_is_not_there(api):
    assert ask(api, f"/api/traces/{TRACE_ID}", start=START_US, end=START_US + 1_000_000).status == 200
    assert ask(api, f"/api/traces/{TRACE_ID}", start=START_US + 1_000_000).status == 404
    assert ask(api, f"/api/traces/{TRACE_ID}", end=START_US - 1).status == 404


def test_ids_may_be_in_capitals_or_lack_their_zeros():
    short = routes(MemoryReader([of("a", a_span(1, trace_id="0" * 30 + "ab"))]))
    assert ask(short, "/api/traces/AB").json["data"][0]["traceID"] == "0" * 30 + "ab"


def test_raw_leaves_the_trace_as_it_came(api):
    span = a_span(1, attributes={"b": 1, "a": 2})
    reader = routes(MemoryReader([of("a", span, span)]))
    raw = ask(reader, f"/api/traces/{TRACE_ID}", raw="true").json["data"][0]["spans"]
    shown = ask(reader, f"/api/traces/{TRACE_ID}").json["data"][0]["spans"]
    assert (len(raw), len(shown)) == (2, 1)
    keys = [[tag["key"] for tag in spans[0]["tags"]][:2] for spans in (raw, shown)]
    assert keys == [["b", "a"], ["a", "b"]]


def test_pretty_print_is_for_people(api):
    assert ask(api, "/api/services", prettyPrint="true").body.startswith(b'{\n    "data"')
    assert b"\n" not in ask(api, "/api/services").body


def test_several_traces_by_id_with_those_that_are_missing_told(api):
    answer = ask(api, "/api/traces", traceID=[TRACE_ID, "c" * 32, OTHER]).json
    assert [trace["traceID"] for trace in answer["data"]] == [TRACE_ID, OTHER]
    assert answer["errors"] == [{"msg": "trace not found", "traceID": "c" * 32}]


SEARCHES = [
    ({"service": "compute"}, [OTHER, TRACE_ID]),
    ({}, [OTHER, TRACE_ID]),
    ({"service": "compute", "limit": 1}, [OTHER]),
    ({"service": "compute", "operation": "list"}, [OTHER]),
    ({"service": "compute", "minDuration": "0.1s"}, [OTHER]),
    ({"service": "compute", "maxDuration": "100ms"}, [TRACE_ID]),
    ({"tag": ["rpc.method:reboot", "n:7"]}, [TRACE_ID]),
    ({"tags": '{"rpc.method":"reboot"}'}, [TRACE_ID]),
    ({"tags": '{"rpc.method":"other"}'}, []),
    ({"tags": '{"error":"true"}'}, [OTHER]),
    ({"tags": '{"span.kind":"client"}'}, [TRACE_ID]),
    ({"end": START_US + 500_000}, [TRACE_ID]),
    ({"end": START_US}, [TRACE_ID]),
    ({"service": "nobody"}, []),
]


@pytest.mark.parametrize(("query", "found"), SEARCHES)
def test_a_search_finds_what_fits_newest_first(api, query, found):
    answer = ask(api, "/api/traces", **WINDOW | query)
    assert [trace["traceID"] for trace in answer.json["data"]] == found


class _Query(dict):
    def getlist(self, name):
        return [self[name]] if name in self else []


def test_a_search_without_times_looks_at_the_last_two_days():
    query = search_of(_Query(service="a"), now_ns=EPOCH_NS)
    assert (query.from_ns, query.to_ns) == (EPOCH_NS - 2 * 86_400 * 10**9, EPOCH_NS + 1000)
    assert query.limit == 100


@pytest.mark.parametrize(("text", "wanted"), [
    ("1.2s", 1200 * MS), ("100ms", 100 * MS), ("500us", 500_000), ("5µs", 5000), ("1m30s", 90_000 * MS),
    ("1h", 3_600_000 * MS), ("9" * 60 + "h", 2**63 - 1), ("", None), ("0", None),
])
def test_durations_are_gos(text, wanted):
    assert search_of(_Query(minDuration=text), EPOCH_NS).least_ns == wanted


def test_dependencies_are_summed_and_can_be_of_one_service(api):
    answer = ask(api, "/api/dependencies", endTs=START_US // 1000 + 60_000, service="compute")
    assert answer.json["data"] == [{"parent": "api/v1", "child": "compute", "callCount": 1}]
    assert ask(api, "/api/dependencies", endTs=START_US // 1000 + 60_000, service="x").json["data"] == []


def test_an_uploaded_otlp_file_is_converted_and_not_kept(api):
    groups = [of("uploaded", a_span(9, trace_id="d" * 32))]
    answer = ask(api, "/api/transform", method="POST", body=otlp.export(groups))
    assert answer.status == 200
    assert_shape(answer.json, of_v1([TRACE]))
    assert answer.json["data"][0]["processes"]["p1"]["serviceName"] == "uploaded"
    assert "uploaded" not in ask(api, "/api/services").json["data"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"resourceSpans": 7}', b'{"x": 1}', b"\xff" * 9])
def test_an_uploaded_file_of_another_kind_is_refused(api, body):
    answer = ask(api, "/api/transform", method="POST", body=body)
    assert answer.status == 400
    assert answer.json["errors"][0]["code"] == 400


def test_an_uploaded_file_has_a_largest_size(api, monkeypatch):
    monkeypatch.setattr(jaeger_v1, "MOST_UPLOADED", 10)
    assert ask(api, "/api/transform", method="POST", body=b" " * 11).status == 413


@pytest.mark.parametrize(("method", "path"), [
    ("POST", f"/api/archive/{TRACE_ID}"), ("GET", "/api/quality-metrics"),
])
def test_what_the_console_does_not_do_is_a_501(api, method, path):
    answer = ask(api, path, method=method)
    assert answer.status == 501
    assert_shape(answer.json["errors"], [ERROR])


def test_only_get_reads(api):
    assert ask(api, "/api/traces", method="DELETE").status == 405


def test_names_from_the_wire_are_only_text(api):
    hostile = "</script><img src=x onerror=alert(1)>\u2028"
    reader = routes(MemoryReader([of(hostile, a_span(1, name=hostile, attributes={hostile: hostile}))]))
    answer = ask(reader, f"/api/traces/{TRACE_ID}")
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.body)["data"][0]["processes"]["p1"]["serviceName"] == hostile


