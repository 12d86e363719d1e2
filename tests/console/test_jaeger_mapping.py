"""OTLP spans as Jaeger's JSON: names, order and types as Jaeger 2 writes them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.console.jaeger_strategies import resource_spans
from tests.console.jaeger_support import EPOCH_NS, TRACE, TRACE_ID, a_span, assert_shape, of, pairs
from tracedrpc_console.api.jaeger_adjust import adjusted
from tracedrpc_console.api.mapping import WARNINGS, traces

JS_SAFE = 2**53 - 1


def mapped(span: Span, **of_group: Any) -> dict[str, Any]:
    """Return the one span of a trace with one."""
    (trace,) = traces([of("orders", span, **of_group)])
    return trace["spans"][0]


def tags(span: dict[str, Any]) -> dict[str, Any]:
    return {tag["key"]: tag["value"] for tag in span["tags"]}


def test_a_trace_has_its_spans_and_its_processes_numbered_as_they_come():
    (trace,) = traces([of("orders", a_span(1), a_span(2, 1), host="a"), of("stock", a_span(3, 1))])
    assert trace["traceID"] == TRACE_ID
    assert [span["processID"] for span in trace["spans"]] == ["p1", "p1", "p2"]
    assert trace["processes"] == {
        "p1": {"serviceName": "orders", "tags": [{"key": "host", "type": "string", "value": "a"}]},
        "p2": {"serviceName": "stock", "tags": []},
    }
    assert trace["warnings"] is None


def test_equal_processes_are_one():
    (trace,) = traces([of("orders", a_span(1), host="a"), of("orders", a_span(2), host="a")])
    assert list(trace["processes"]) == ["p1"]


def test_a_process_without_a_name_gets_jaegers():
    (trace,) = traces([of("", a_span(1))])
    assert trace["processes"]["p1"]["serviceName"] == "OTLPResourceNoServiceName"


def test_tags_come_in_the_translators_order():
    failed = Status(code=Status.STATUS_CODE_ERROR, message="no")
    span = a_span(1, attributes={"z": 1, "a": 2}, trace_state="v=1", status=failed)
    assert [tag["key"] for tag in mapped(span, scope="tracer")["tags"]] == [
        "otel.scope.name", "z", "a", "span.kind", "otel.status_code", "error", "otel.status_description",
        "w3c.tracestate",
    ]


def test_only_a_failed_span_has_the_error_tag():
    codes = (Status.STATUS_CODE_UNSET, Status.STATUS_CODE_OK, Status.STATUS_CODE_ERROR)
    unset, good, bad = (tags(mapped(a_span(1, status=Status(code=code)))) for code in codes)
    assert "error" not in unset | good
    assert "otel.status_code" not in unset
    assert good["otel.status_code"] == "OK"
    assert (bad["otel.status_code"], bad["error"]) == ("ERROR", True)


def test_a_span_of_no_kind_has_no_kind_tag():
    assert "span.kind" not in tags(mapped(a_span(1, kind=Span.SPAN_KIND_UNSPECIFIED)))
    assert tags(mapped(a_span(1, kind=Span.SPAN_KIND_CONSUMER)))["span.kind"] == "consumer"


def test_times_are_cut_to_microseconds():
    span = a_span(1)
    span.start_time_unix_nano, span.end_time_unix_nano = EPOCH_NS + 1999, EPOCH_NS + 3998
    found = mapped(span)
    assert (found["startTime"], found["duration"]) == (EPOCH_NS // 1000 + 1, 1)


def test_a_span_whose_clock_was_set_back_has_no_negative_duration():
    assert mapped(a_span(1, ms=-5))["duration"] == 0


def test_the_parent_is_the_first_reference_and_links_follow():
    other = bytes.fromhex("b" * 32)
    child_of = pairs({"opentracing.ref_type": "child_of"})
    links = [
        Span.Link(trace_id=other, span_id=b"12345678", attributes=pairs({"lost": 1})),
        Span.Link(trace_id=other, span_id=b"87654321", attributes=child_of),
    ]
    references = mapped(a_span(2, 1, links=links))["references"]
    assert [(each["refType"], each["spanID"]) for each in references] == [
        ("CHILD_OF", "0000000000000001"),
        ("FOLLOWS_FROM", b"12345678".hex()),
        ("CHILD_OF", b"87654321".hex()),
    ]


def test_events_are_logs_with_their_name_in_the_field_event():
    beat = Span.Event(name="heartbeat_received", time_unix_nano=EPOCH_NS + 1500, attributes=pairs({"n": 1}))
    own_name = Span.Event(name="x", time_unix_nano=EPOCH_NS, attributes=pairs({"event": "mine"}))
    first, second = mapped(a_span(1, events=[beat, own_name]))["logs"]
    assert first == {"timestamp": EPOCH_NS // 1000 + 1, "fields": [
        {"key": "event", "type": "string", "value": "heartbeat_received"},
        {"key": "n", "type": "int64", "value": 1},
    ]}
    assert [field["value"] for field in second["fields"]] == ["mine"]


def test_values_have_jaegers_types():
    given_values = {
        "text": "x", "flag": True, "number": 7, "large": JS_SAFE, "larger": JS_SAFE + 1, "lowest": -(2**63),
        "part": 0.5, "nothing": float("nan"), "bytes": b"\x00\xff", "list": ["a", 1], "map": {"a": [True]},
    }
    found = mapped(a_span(1, attributes=given_values))["tags"]
    assert {tag["key"]: (tag["type"], tag["value"]) for tag in found if tag["key"] != "span.kind"} == {
        "text": ("string", "x"), "flag": ("bool", True), "number": ("int64", 7), "large": ("int64", JS_SAFE),
        "larger": ("int64", "9007199254740992"), "lowest": ("int64", "-9223372036854775808"),
        "part": ("float64", 0.5), "nothing": ("float64", "nan"), "bytes": ("binary", "AP8="),
        "list": ("string", '["a",1]'), "map": ("string", '{"a":[true]}'),
    }


def test_warnings_of_jaegers_tools_are_warnings_and_no_tag():
    span = mapped(a_span(1, attributes={WARNINGS: ["clock skew"]}))
    assert span["warnings"] == ["clock skew"]
    assert WARNINGS not in tags(span)


@settings(max_examples=60)
@given(st.lists(resource_spans(), max_size=3))
def test_any_spans_have_the_shape_and_numbers_that_javascript_reads(groups):
    found = json.loads(json.dumps(traces(groups), allow_nan=False))
    assert_shape(found, [TRACE])
    every = [span for trace in found for span in trace["spans"]]
    assert len(every) == sum(len(scoped.spans) for group in groups for scoped in group.scope_spans)
    fields = [field for span in every for log in span["logs"] for field in log["fields"]]
    for tag in [*fields, *(tag for span in every for tag in span["tags"])]:
        if tag["type"] == "int64":
            assert isinstance(tag["value"], str) == (abs(int(tag["value"])) > JS_SAFE)
    for trace in found:
        assert {span["processID"] for span in trace["spans"]} == set(trace["processes"])


# ---- adjusters -------------------------------------------------------------------------------------


def test_a_span_that_came_twice_is_shown_once():
    groups = adjusted([of("orders", a_span(1), a_span(1)), of("orders", a_span(1)), of("stock", a_span(1))])
    assert [len(group.scope_spans[0].spans) for group in groups] == [1, 0, 1]


def test_attributes_are_sorted_and_the_given_spans_left_alone():
    raw = of("orders", a_span(1, attributes={"b": 1, "a": 2}), zone="z", host="h")
    (group,) = adjusted([raw])
    assert [pair.key for pair in group.scope_spans[0].spans[0].attributes] == ["a", "b"]
    assert [pair.key for pair in group.resource.attributes] == ["host", "service.name", "zone"]
    assert [pair.key for pair in raw.scope_spans[0].spans[0].attributes] == ["b", "a"]


def test_attributes_of_the_sdk_belong_to_the_process():
    (group,) = adjusted([of("orders", a_span(1, attributes={"telemetry.sdk.name": "x", "own": 1}))])
    assert [pair.key for pair in group.scope_spans[0].spans[0].attributes] == ["own"]
    assert "telemetry.sdk.name" in [pair.key for pair in group.resource.attributes]


def test_links_to_no_trace_are_dropped():
    links = [Span.Link(trace_id=each, span_id=b"12345678") for each in (bytes(16), b"1" * 16)]
    (group,) = adjusted([of("orders", a_span(1, links=links))])
    assert [link.trace_id for link in group.scope_spans[0].spans[0].links] == [b"1" * 16]
