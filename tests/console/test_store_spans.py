"""Spans go in as OTLP and come out as what was exported, however they arrive."""

from __future__ import annotations

import itertools

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

from tests.console.exports import BEGIN_NS, MS, a_span, span_id, trace_export, trace_id
from tests.console.stores import Store, store
from tracedrpc_console.spans import Event, Kind
from tracedrpc_console.store.model import Edge, Link, Outcome, ServiceShare, TraceQuery
from tracedrpc_console.store.signals import Signal


@pytest.fixture
def a_store():
    with store() as made:
        yield made


def summary(of: Store, trace: int = 1):
    found = of.reader.summary(trace_id(trace))
    assert found is not None
    return found


def test_a_span_comes_back_with_all_that_was_exported(a_store):
    row = a_span(
        parent=7, is_error=True, status_message="no reply", trace_state="k=v",
        attributes={
            "text": "ü", "n": -5, "part": 0.5, "yes": True, "raw": b"\0\xff", "many": ["a", 1],
            "map": {"k": "v"},
        },
        events=(Event("heartbeat_received", BEGIN_NS + 5, {"count": 1}),),
        links=(Link(trace_id(9), span_id(9), {"why": "dead letter"}),),
        resource={"service.name": "api", "host.name": "h"},
    )
    a_store.spans(row)
    assert a_store.reader.trace(row.trace_id) == [row]


def test_what_is_exported_again_is_the_same_message(a_store):
    request = trace_export(a_span(attributes={"a": 1}), a_span(place=2, parent=1, service="compute"))
    request.resource_spans[0].schema_url = "https://opentelemetry.io/schemas/1.44.0"
    request.resource_spans[0].scope_spans[0].spans[0].dropped_attributes_count = 3
    a_store.take(Signal.TRACES, request)
    back = [ResourceSpans.FromString(each) for each in a_store.reader.trace_blobs(trace_id(1))]
    assert sorted(back, key=str) == sorted(request.resource_spans, key=str)


def test_a_span_without_a_service_name_is_of_an_unknown_service(a_store):
    a_store.spans(a_span(resource={}))
    assert [each.name for each in a_store.reader.services()] == ["unknown_service"]


def test_a_trace_that_nobody_sent_is_none(a_store):
    assert a_store.reader.trace(trace_id(5)) is None
    assert a_store.reader.trace("no hex digits") is None
    assert a_store.reader.summary(trace_id(5)) is None


CALL = (
    a_span(place=1, at_ms=0, took_ms=40, attributes={"tracedrpc.why": "slow handler"}),
    a_span(place=2, parent=1, service="compute", kind=Kind.SERVER, at_ms=10, took_ms=20, is_error=True),
    a_span(place=3, parent=2, service="compute", name="handle", kind=Kind.INTERNAL, at_ms=12, took_ms=15),
    a_span(place=4, parent=99, service="audit", kind=Kind.CONSUMER, at_ms=60, took_ms=1),
)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::5])
def test_the_order_of_arrival_does_not_matter(a_store, order):
    for place in order:
        a_store.spans(CALL[place])
    found = summary(a_store)
    assert (found.root_service, found.root_name, found.root_duration_ns) == ("api", "compute/reboot", 40 * MS)
    assert (found.start_ns, found.end_ns) == (BEGIN_NS, BEGIN_NS + 61 * MS)
    assert (found.spans, found.errors, found.orphans) == (4, 1, 1)
    assert found.services == (
        ServiceShare("api", 1, 0), ServiceShare("audit", 1, 0), ServiceShare("compute", 2, 1),
    )
    assert found.why == "slow handler"
    assert a_store.reader.edges(0, 2**62) == [Edge("api", "compute", 1, 1)]


def test_a_span_that_is_sent_twice_counts_once(a_store):
    a_store.spans(*CALL, *CALL)
    a_store.spans(*CALL)
    assert summary(a_store).spans == 4
    assert a_store.reader.status().spans == 4
    assert [(each.name, each.spans, each.errors) for each in a_store.reader.services()] == [
        ("api", 1, 0), ("audit", 1, 0), ("compute", 2, 1),
    ]
    assert a_store.reader.edges(0, 2**62)[0].calls == 1


@pytest.mark.parametrize(("is_error", "attributes", "outcome"), [
    (False, {}, Outcome.OK),
    (True, {"error.type": "ValueError"}, Outcome.ERROR),
    (True, {"error.type": "MessagingTimeout"}, Outcome.TIMEOUT),
    (True, {"tracedrpc.timeout.phase": "queue"}, Outcome.TIMEOUT),
    (False, {"tracedrpc.timeout.phase": "queue"}, Outcome.OK),
])
def test_the_root_says_how_a_trace_ended(a_store, is_error, attributes, outcome):
    a_store.spans(a_span(is_error=is_error, attributes=attributes))
    assert summary(a_store).outcome is outcome


def test_a_negative_duration_is_shown_and_counts_as_none(a_store):
    a_store.spans(a_span(took_ms=-5))
    (row,) = a_store.reader.trace(trace_id(1)) or []
    assert row.end_ns == row.start_ns - 5 * MS
    assert summary(a_store).root_duration_ns == 0


def test_spans_of_one_instant_are_all_kept(a_store):
    a_store.spans(*(a_span(place=n) for n in range(1, 1001)))
    a_store.spans(*(a_span(trace=2, place=n) for n in range(1, 1001)))
    assert len(a_store.reader.trace(trace_id(1)) or []) == 1000
    assert {each.trace_id for each in a_store.reader.find_traces(TraceQuery(service="api")).items} == {
        trace_id(1), trace_id(2),
    }


def test_a_call_is_a_row_for_the_table_of_methods(a_store):
    a_store.spans(
        a_span(is_error=True, resource={"service.name": "api", "service.version": "2"}, attributes={
            "rpc.method": "compute/reboot", "tracedrpc.mode": "call", "error.type": "MessagingTimeout",
            "tracedrpc.timeout.phase": "queue", "tracedrpc.phase.queue_ms": 7.5,
            "tracedrpc.phase.server_ms": 9.0,
        }),
        a_span(place=2, parent=1, name="publish x", attributes={"messaging.system": "rabbitmq"}),
    )
    (call,) = a_store.reader.calls()
    assert (call.trace_id, call.method, call.mode, call.service, call.version) == (
        trace_id(1), "compute/reboot", "call", "api", "2",
    )
    assert (call.is_error, call.error_type, call.timeout_phase) == (True, "MessagingTimeout", "queue")
    assert call.phases == {"queue": 7.5}
    assert call.duration_ns == 10 * MS
    assert a_store.reader.calls(service="compute") == []
    assert a_store.reader.calls(version="3") == []
    assert a_store.reader.calls(from_ns=BEGIN_NS + 1) == []


def test_a_trace_is_found_by_the_id_of_a_message(a_store):
    a_store.spans(a_span(), a_span(trace=2, attributes={"tracedrpc.msg_id": "e2ce5229"}))
    assert a_store.reader.trace_of_msg_id("e2ce5229") == trace_id(2)
    assert a_store.reader.trace_of_msg_id("e2ce522") is None


def test_operations_are_the_names_of_a_service(a_store):
    a_store.spans(*CALL)
    assert [(each.name, each.kind) for each in a_store.reader.operations("compute")] == [
        ("compute/reboot", Kind.SERVER), ("handle", Kind.INTERNAL),
    ]
    assert [each.name for each in a_store.reader.operations("compute", Kind.INTERNAL)] == ["handle"]
