"""OTLP/JSON and Jaeger's JSON, out and in again."""

from __future__ import annotations

import gzip
import json
import math
from contextlib import suppress

import pytest
from google.protobuf.json_format import ParseDict
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status

from tests.console.jaeger_strategies import resource_spans
from tests.console.jaeger_support import EPOCH_NS, TRACE_ID, a_span, of, pairs
from tracedrpc_console.api.mapping import traces
from tracedrpc_console.exports import imports, jaeger, otlp
from tracedrpc_console.store.signals import Signal


def plain(groups):
    """Return serialized spans with their heads; NaN is no trouble in bytes."""
    parts = [
        (group.resource, scoped.scope, told(span))
        for group in groups for scoped in group.scope_spans for span in scoped.spans
    ]
    return sorted(b"|".join(part.SerializeToString(deterministic=True) for part in each) for each in parts)


def told(span):
    """Return a span without a status that says nothing: to have it or not means the same."""
    copy = Span.FromString(span.SerializeToString())
    if not copy.status.code and not copy.status.message:
        copy.ClearField("status")
    return copy


def numbers(value):
    """Yield every number in parsed JSON."""
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from numbers(each)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


@settings(max_examples=60)
@given(st.lists(resource_spans(), max_size=3))
def test_any_spans_come_back_from_otlp_as_they_were(groups):
    assert plain(imports.spans(otlp.export(groups))) == plain(groups)


@settings(max_examples=40)
@given(resource_spans())
def test_an_export_is_strict_json_whose_numbers_javascript_reads(group):
    found = json.loads(otlp.export([group]), parse_constant=pytest.fail)
    for number in numbers(found):
        assert math.isfinite(number)
        assert isinstance(number, float) or abs(number) < 2**53


def test_what_the_standard_calls_the_fields_is_what_they_are_called():
    links = [Span.Link(trace_id=b"1" * 16)]
    group = of("orders", a_span(1, 2, attributes={"n": 1}, links=links), scope="tracer")
    document = otlp.document([group])["resourceSpans"][0]
    span = document["scopeSpans"][0]["spans"][0]
    for name in ("traceId", "spanId", "parentSpanId", "links"):
        del span[name]  # protobuf's own JSON writes ids otherwise
    read = ParseDict(document, ResourceSpans(), ignore_unknown_fields=False)
    assert [pair.key for pair in read.scope_spans[0].spans[0].attributes] == ["n"]


@settings(max_examples=40)
@given(st.lists(resource_spans(), max_size=3))
def test_parts_of_the_same_process_and_scope_become_one_and_nothing_is_lost(groups):
    merged = otlp.parsed(group.SerializeToString() for group in [*groups, *groups])
    assert plain(merged) == plain([*groups, *groups])
    heads = [(group.resource.SerializeToString(deterministic=True), group.schema_url) for group in merged]
    assert len(heads) == len(set(heads))


# ---- Jaeger's JSON ---------------------------------------------------------------------------------


def a_rich_trace():
    events = [Span.Event(name="heartbeat_received", time_unix_nano=EPOCH_NS, attributes=pairs({"n": 1}))]
    links = [Span.Link(trace_id=b"1" * 16, span_id=b"12345678")]
    kinds = {"flag": True, "large": 2**60, "part": 0.5, "bytes": b"\x00\xff", "text": "x"}
    failed = Status(code=Status.STATUS_CODE_ERROR, message="boom")
    root = a_span(1, attributes=kinds, events=events, links=links, trace_state="v=1", status=failed)
    good = a_span(2, 1, status=Status(code=Status.STATUS_CODE_OK), kind=Span.SPAN_KIND_PRODUCER)
    nothing = a_span(3, 2, kind=Span.SPAN_KIND_UNSPECIFIED)
    return [of("orders", root, good, scope="tracer", host="a"), of("", nothing)]


def test_a_trace_comes_back_from_jaegers_json_as_far_as_that_holds_it():
    assert plain(imports.spans(jaeger.export(a_rich_trace()))) == plain(a_rich_trace())


@settings(max_examples=40)
@given(resource_spans())
def test_jaegers_json_read_and_written_again_is_the_same(group):
    once = traces([group])
    for trace in once:  # times that OTLP cannot hold, and a status without a code, do not come from Jaeger
        for span in trace["spans"]:
            span["startTime"] %= 10**15
            span["duration"] %= 10**15
            for log in span["logs"]:
                log["timestamp"] %= 10**15
    again = traces(imports.spans(json.dumps({"data": once}).encode()))
    order = [[sorted(map(str, span["tags"])) for span in trace["spans"]] for trace in once]
    assert sorted(order) == sorted([sorted(map(str, s["tags"])) for s in t["spans"]] for t in again)


def test_old_ways_of_jaegers_json_are_read():
    trace = {"traceID": "ab", "processes": {}, "spans": [{
        "traceID": "ab", "spanID": "1", "parentSpanID": "2", "operationName": "old",
        "startTime": 1, "duration": 2, "references": None, "logs": None,
        "process": {"serviceName": "orders", "tags": None},
        "tags": [
            {"key": "error", "type": "string", "value": "true"}, {"key": "n", "type": "int64", "value": "7"},
        ],
    }]}
    (group,) = imports.spans(json.dumps(trace).encode())
    span = group.scope_spans[0].spans[0]
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == ("ab".zfill(32), "2".zfill(16))
    assert span.status.code == Status.STATUS_CODE_ERROR
    assert [pair.value.int_value for pair in span.attributes] == [7]


# ---- files -----------------------------------------------------------------------------------------


def test_a_file_of_lines_is_read_line_by_line_with_all_three_signals():
    record = {"traceId": TRACE_ID, "body": {"stringValue": "x"}}
    logs = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]})
    metrics = json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "m"}]}]}]})
    lines = b"\n".join([otlp.export(a_rich_trace()), logs.encode(), b"", metrics.encode()])
    found = list(imports.read(lines))
    assert [each.signal for each in found] == [Signal.TRACES, Signal.LOGS, Signal.METRICS]
    assert found[1].request.resource_logs[0].scope_logs[0].log_records[0].trace_id.hex() == TRACE_ID


def test_an_answer_of_version_3_is_a_file_too():
    document = {"result": otlp.document(a_rich_trace())}
    assert plain(imports.spans(json.dumps(document).encode())) == plain(a_rich_trace())


def test_a_large_file_comes_in_pieces():
    group = of("orders", *(a_span(number) for number in range(1, 2502)))
    pieces = [found.request for found in imports.read(otlp.export([group]))]
    assert [len(plain(piece.resource_spans)) for piece in pieces] == [1000, 1000, 501]
    assert plain([part for piece in pieces for part in piece.resource_spans]) == plain([group])


BROKEN = [
    b"", b"null", b"7", b"[]", b"{}", b"{", b"\xff\xfe", gzip.compress(b"{}"), b"[" * 100_000,
    b'{"data": [7]}', b'{"data": {}}', b'{"data": null}', b'{"spans": 7}',
    b'{"spans": [{}], "processes": {}}', b'{"spans": [], "processes": []}', b'{"result": []}',
    b'{"resourceSpans": "x"}',
    b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "zz"}]}]}]}',
    b'{"spans": [{"traceID": 7, "spanID": 1, "processID": "p"}], "processes": {"p": {"serviceName": "x"}}}',
    b'{"spans": [{"traceID": "0", "spanID": "1", "process": {"serviceName": "x"}}], "processes": {}}',
]


@pytest.mark.parametrize("content", BROKEN)
def test_a_broken_file_is_told_as_such(content):
    with pytest.raises(imports.Unreadable, match="the file"):
        list(imports.read(content))


def test_the_line_that_is_broken_is_named():
    good = otlp.export(a_rich_trace())
    with pytest.raises(imports.Unreadable, match="line 2: it is no JSON"):
        list(imports.read(good + b"\n{"))


@settings(max_examples=60)
@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([
        "data", "spans", "processes", "p", "processID", "traceID", "spanID", "tags", "key", "value", "type",
        "logs", "result", "resourceSpans", "scopeSpans", "resource", "attributes", "startTime", "references",
    ]), inner, max_size=6),
    max_leaves=25,
))
def test_any_json_is_read_or_told_to_be_unreadable(document):
    # It is right or wrong as a whole, and what is wrong about it is never another exception.
    with suppress(imports.Unreadable):
        list(imports.read(json.dumps(document).encode()))
