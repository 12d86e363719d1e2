"""The numbers of Jaeger's Monitor tab, computed from spans."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.console.jaeger_support import EPOCH_NS, MS, SECOND, MemoryReader, a_span, ask, assert_shape, of
from tracedrpc_console.api.jaeger_metrics import quantile_ms, routes
from tracedrpc_console.store.model import Timing

EPOCH_MS = EPOCH_NS // MS
FAMILY = {
    "name": str, "type": str, "help": str, "metrics": [{
        "labels": [{"name": str, "value": str}],
        "metricPoints": [{"gaugeValue": {"doubleValue": (int, float)}, "timestamp": str}],
    }],
}
FAILED = Status(code=Status.STATUS_CODE_ERROR)
QUERY = {
    "service": "compute", "endTs": EPOCH_MS + 60_000, "lookback": 60_000, "step": 20_000, "ratePer": 20_000,
}


@pytest.fixture
def api():
    """Return routes over ten calls in second 5 (10 to 100 ms) and two in second 45, one of them failed."""
    first = [a_span(at, start_ms=5000 + at, ms=10 * at) for at in range(1, 11)]
    later = [a_span(20, name="list", start_ms=45_000, ms=7, status=FAILED), a_span(21, start_ms=45_000, ms=9)]
    client = a_span(30, start_ms=5000, ms=999, kind=Span.SPAN_KIND_CLIENT)
    return routes(MemoryReader([of("compute", *first, *later, client), of("api", a_span(40, start_ms=6000))]))


def points(answer, line=0):
    found = answer.json["metrics"][line]["metricPoints"]
    return [(each["timestamp"][14:19], round(each["gaugeValue"]["doubleValue"], 6)) for each in found]


@pytest.mark.parametrize(("path", "name"), [
    ("latencies", "latencies"), ("calls", "call_rate"), ("errors", "error_rate"),
])
def test_an_answer_is_a_bare_family_of_gauges(api, path, name):
    answer = ask(api, f"/api/metrics/{path}", **QUERY, quantile=0.95)
    assert answer.status == 200
    assert_shape(answer.json, FAMILY)
    assert (answer.json["name"], answer.json["type"]) == (f"service_{name}", "GAUGE")
    grouped = ask(api, f"/api/metrics/{path}", **QUERY, quantile=0.95, groupByOperation="true")
    assert grouped.json["name"] == f"service_operation_{name}"


def test_a_point_looks_back_and_one_without_calls_is_left_out(api):
    assert points(ask(api, "/api/metrics/calls", **QUERY)) == [("13:40", 0.5), ("14:20", 0.1)]


def test_latencies_are_milliseconds(api):
    median, slowest = (ask(api, "/api/metrics/latencies", **QUERY, quantile=share) for share in (0.5, 1))
    assert points(median) == [("13:40", 55.0), ("14:20", 8.0)]
    assert points(slowest) == [("13:40", 100.0), ("14:20", 9.0)]


def test_errors_are_a_fraction_of_the_calls(api):
    assert points(ask(api, "/api/metrics/errors", **QUERY)) == [("13:40", 0.0), ("14:20", 0.5)]


def test_lines_are_by_service_or_by_operation(api):
    by_service = ask(api, "/api/metrics/calls", **QUERY | {"service": ["compute", "api"]}).json["metrics"]
    assert [line["labels"] for line in by_service] == [
        [{"name": "service_name", "value": "api"}], [{"name": "service_name", "value": "compute"}],
    ]
    by_operation = ask(api, "/api/metrics/calls", **QUERY, groupByOperation="true").json["metrics"]
    assert [line["labels"][0] for line in by_operation] == [
        {"name": "operation", "value": "compute/reboot"}, {"name": "operation", "value": "list"},
    ]


def test_server_spans_count_unless_another_kind_is_asked_for(api):
    slowest = ask(api, "/api/metrics/latencies", **QUERY, quantile=1, spanKind="client")
    assert points(slowest) == [("13:40", 999.0)]


def test_windows_that_overlap_count_a_call_in_each(api):
    wide = ask(api, "/api/metrics/calls", **QUERY | {"ratePer": 60_000, "step": 10_000})
    assert [round(rate * 60) for _, rate in points(wide)] == [10, 10, 10, 10, 12, 12]


def test_nothing_stored_is_no_line(api):
    assert ask(api, "/api/metrics/calls", **QUERY | {"service": "nobody"}).json["metrics"] == []


def test_the_least_step_is_in_the_envelope(api):
    answer = ask(api, "/api/metrics/minstep").json
    assert answer == {"data": 1, "total": 0, "limit": 0, "offset": 0, "errors": None}


@pytest.mark.parametrize(("path", "changed"), [
    ("calls", {"service": ""}),
    ("calls", {"step": 0}),
    ("calls", {"step": "1s"}),
    ("calls", {"lookback": -5}),
    ("calls", {"ratePer": 0}),
    ("calls", {"lookback": 10**12, "step": 1}),
    ("calls", {"spanKind": "x"}),
    ("calls", {"groupByOperation": "x"}),
    ("latencies", {}),
    ("latencies", {"quantile": "x"}),
    ("latencies", {"quantile": "nan"}),
    ("latencies", {"quantile": 95}),
])
def test_what_cannot_be_read_is_a_400(api, path, changed):
    answer = ask(api, f"/api/metrics/{path}", **QUERY | changed)
    assert answer.status == 400
    assert answer.json["errors"][0]["code"] == 400


@settings(max_examples=50)
@given(st.lists(st.integers(0, 10 * SECOND), min_size=1, max_size=50), st.floats(0, 1))
def test_a_quantile_lies_where_as_many_are_shorter(durations, share):
    found = quantile_ms([Timing("s", "n", 0, each, False) for each in durations], share) * MS
    at = share * (len(durations) - 1)
    ordered = sorted(durations)
    assert ordered[int(at)] - 1 <= found <= ordered[min(int(at) + 1, len(ordered) - 1)] + 1
