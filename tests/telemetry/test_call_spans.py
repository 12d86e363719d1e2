"""The spans of a call, a cast and a fanout."""

from __future__ import annotations

import copy

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from tests.telemetry import support
from tests.telemetry.support import CANARY, MS, Lab, invocation, publish, run_call
from tracedrpc.exceptions import (
    MessageDeliveryFailure,
    MessageUndeliverable,
    MessagingTimeout,
    RemoteError,
)
from tracedrpc.message import Mode, Stage
from tracedrpc.story import where_died

CLIENT_KEYS = {
    "rpc.system.name", "rpc.method", "tracedrpc.mode", "server.address", "server.port",
    "tracedrpc.msg_id", "tracedrpc.target.server", "tracedrpc.timeout_ms",
    "tracedrpc.phase.prepare_ms", "tracedrpc.phase.acquire_ms", "tracedrpc.phase.publish_ms",
    "tracedrpc.phase.queue_ms", "tracedrpc.phase.dispatch_ms", "tracedrpc.phase.handler_ms",
    "tracedrpc.phase.reply_ms", "tracedrpc.phase.return_ms", "tracedrpc.phase.wakeup_ms",
    "tracedrpc.phase.reply_wait_ms", "tracedrpc.phase.server_ms",
    "tracedrpc.queue.quality",
}


def test_a_call_has_four_spans(lab: Lab) -> None:
    run_call(lab)
    client, server = (
        next(span for span in lab.spans if span.kind is kind and span.name == "compute/reboot")
        for kind in (SpanKind.CLIENT, SpanKind.SERVER)
    )
    publish_span = lab.span("publish nova:compute.{server}")
    receive = lab.span("receive reply_{id}")
    assert len(lab.spans) == 4
    assert not lab.ledger.open
    assert client.parent is None
    assert {span.parent.span_id for span in (server, publish_span, receive)} == {client.context.span_id}
    assert publish_span.kind is receive.kind is SpanKind.CLIENT
    assert {span.context.trace_id for span in lab.spans} == {client.context.trace_id}
    assert all(span.status.status_code is StatusCode.UNSET for span in lab.spans)
    assert set(client.attributes) == CLIENT_KEYS
    assert set(server.attributes) == {
        "rpc.system.name", "rpc.method", "tracedrpc.mode", "tracedrpc.msg_id",
        "tracedrpc.phase.dispatch_ms", "tracedrpc.phase.handler_ms", "tracedrpc.phase.reply_ms",
    }
    scope = client.instrumentation_scope
    assert (scope.name, scope.schema_url) == ("tracedrpc", "https://opentelemetry.io/schemas/1.44.0")


def test_spans_of_rpc_hold_no_messaging_attributes_and_leaves_hold_no_rpc_ones(lab: Lab) -> None:
    run_call(lab)
    for span in lab.spans:
        unwanted = "messaging." if span.name == "compute/reboot" else "rpc."
        assert not [key for key in span.attributes if key.startswith(unwanted)]


def test_siblings_are_apart_and_phases_are_exact(lab: Lab) -> None:
    call, _ = run_call(lab)
    client = next(span for span in lab.spans if span.parent is None)
    server = next(span for span in lab.spans if span.kind is SpanKind.SERVER)
    sent, received = lab.span("publish nova:compute.{server}"), lab.span("receive reply_{id}")
    assert client.start_time == call.started_wall_ns
    assert client.end_time == call.wall_ns(call.ended_ns)
    assert sent.start_time == call.wall_ns(call.acquired_ns)
    assert sent.end_time == call.wall_ns(call.published_ns)
    assert sent.end_time + 1000 <= server.start_time
    assert server.end_time == call.started_wall_ns + 19 * MS
    assert server.end_time + 1000 <= received.start_time == call.wall_ns(call.replied_ns)
    phases = {
        key.removeprefix("tracedrpc.phase."): value for key, value in client.attributes.items()
        if key.startswith("tracedrpc.phase.")
    }
    assert phases == {
        "prepare_ms": 1.0, "acquire_ms": 2.0, "publish_ms": 1.0, "queue_ms": 1.0, "dispatch_ms": 5.0,
        "handler_ms": 8.0, "reply_ms": 1.0, "return_ms": 1.0, "wakeup_ms": 1.0,
        "reply_wait_ms": 16.0, "server_ms": 14.0,
    }
    assert sum(phases.values()) - 16.0 - 14.0 == 21.0 == (client.end_time - client.start_time) / MS
    assert server.attributes["tracedrpc.phase.dispatch_ms"] == 5.0
    assert server.attributes["tracedrpc.phase.handler_ms"] == 8.0


def test_a_publisher_slower_than_its_reply_does_not_hide_the_server(lab: Lab) -> None:
    call = invocation()
    with lab.telemetry.call(call):
        publish(call)
        call.published_ns = call.started_ns + 25 * MS
        support.finish(call, support.ReplyStamp(support.at(call, 5.0), call.started_ns + 19 * MS))
    sent = lab.span("publish nova:compute.{server}")
    assert sent.end_time == call.started_wall_ns + 5 * MS - 2000


def test_the_receive_span_waits_for_the_server_to_end_and_may_vanish(lab: Lab) -> None:
    call = invocation()
    with lab.telemetry.call(call):
        publish(call)
        late = call.started_ns + 20 * MS + MS // 2
        support.finish(call, support.ReplyStamp(support.at(call, 5.0), late))
    assert lab.span("receive reply_{id}").start_time == call.wall_ns(late) + 1000
    lab.exporter.clear()
    call = invocation()
    with lab.telemetry.call(call):
        publish(call)
        support.finish(call, support.ReplyStamp(support.at(call, 5.0), call.started_ns + 30 * MS))
    assert [span.name for span in lab.spans] == ["publish nova:compute.{server}", "compute/reboot"]


def test_a_reply_without_times_has_no_receive_span(lab: Lab) -> None:
    call = invocation()
    with lab.telemetry.call(call):
        publish(call)
        support.finish(call)
    assert [span.name for span in lab.spans] == ["publish nova:compute.{server}", "compute/reboot"]


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage is not Stage.UNROUTABLE])
def test_a_time_out_says_where_the_call_died(lab: Lab, stage: Stage) -> None:
    call = invocation()
    error = MessagingTimeout(CANARY)
    with pytest.raises(MessagingTimeout), lab.telemetry.call(call):
        publish(call)
        call.stage = stage
        call.queue_messages, call.queue_consumers = 3, 0
        call.heartbeats, call.heartbeat_gap_ns = 2, 20_000 * MS
        call.heartbeat_ns = call.started_ns + 50_000 * MS
        call.ended_ns = call.started_ns + 60_000 * MS
        raise error
    client, wait = lab.span("compute/reboot"), lab.span("receive reply_{id}")
    assert client.status.status_code is wait.status.status_code is StatusCode.ERROR
    assert client.status.description == "MessagingTimeout"
    assert client.attributes["error.type"] == "MessagingTimeout"
    assert client.attributes["rpc.response.status_code"] == "TIMEOUT"
    assert client.attributes["tracedrpc.timeout.phase"] == stage.value
    assert client.attributes["tracedrpc.why"] == where_died(call)
    assert client.attributes["tracedrpc.sampling.keep_reason"] == "timeout"
    assert client.attributes["tracedrpc.queue.messages"] == 3
    assert client.attributes["tracedrpc.queue.consumers"] == 0
    assert client.attributes["tracedrpc.heartbeat.count"] == 2
    assert client.attributes["tracedrpc.heartbeat.max_gap_ms"] == 20_000
    assert client.attributes["tracedrpc.last_heartbeat_age_ms"] == 10_000
    assert (wait.start_time, wait.end_time) == (call.wall_ns(call.published_ns) + 1000, client.end_time)


def test_a_call_that_no_queue_took_is_a_publish_to_the_end(lab: Lab) -> None:
    call = invocation()
    with pytest.raises(MessagingTimeout), lab.telemetry.call(call):
        publish(call)
        call.stage = Stage.UNROUTABLE
        call.ended_ns = call.started_ns + 500 * MS
        raise MessagingTimeout
    sent, client = lab.span("publish nova:compute.{server}"), lab.span("compute/reboot")
    assert sent.end_time == client.end_time
    assert sent.status.description == "MessagingTimeout"
    assert client.attributes["tracedrpc.timeout.phase"] == "unroutable"
    assert "receive reply_{id}" not in {span.name for span in lab.spans}


def test_a_wait_that_is_interrupted_is_drawn_like_a_time_out(lab: Lab) -> None:
    call = invocation()
    with pytest.raises(KeyboardInterrupt), lab.telemetry.call(call):
        publish(call)
        call.ended_ns = call.started_ns + 60 * MS
        raise KeyboardInterrupt
    wait = lab.span("receive reply_{id}")
    assert wait.status.description == wait.attributes["error.type"] == "KeyboardInterrupt"
    assert wait.end_time == lab.span("compute/reboot").end_time


def test_a_time_out_before_the_publish_has_neither_leaf(lab: Lab) -> None:
    with pytest.raises(MessagingTimeout), lab.telemetry.call(invocation()):
        raise MessagingTimeout
    assert [span.name for span in lab.spans] == ["compute/reboot"]


def test_a_publish_that_fails_is_the_span_that_is_red(lab: Lab) -> None:
    call = invocation()
    with pytest.raises(MessageDeliveryFailure), lab.telemetry.call(call):
        publish(call)
        call.published_ns, call.ended_ns = 0, call.started_ns + 50 * MS
        raise MessageDeliveryFailure
    sent = lab.span("publish nova:compute.{server}")
    assert sent.status.status_code is StatusCode.ERROR
    assert sent.attributes["error.type"] == "MessageDeliveryFailure"
    assert sent.end_time == lab.span("compute/reboot").end_time


def test_a_message_without_a_queue_is_a_red_publish_and_no_wait(lab: Lab) -> None:
    call = invocation(at_least_once=True)
    call.scope = lab.telemetry.call(call)
    with pytest.raises(MessageUndeliverable), call.scope:
        publish(call)
        call.returned_ns = call.published_ns + MS
        call.stage = Stage.UNROUTABLE
        lab.telemetry.message_returned(call, "nova:compute.cn7")
        raise MessageUndeliverable(None, "nova", "compute.cn7", CANARY)
    sent, client = lab.span("publish nova:compute.{server}"), lab.span("compute/reboot")
    assert client.attributes["rpc.response.status_code"] == "UNDELIVERABLE"
    assert client.attributes["tracedrpc.sampling.keep_reason"] == "error"
    assert sent.status.status_code is StatusCode.ERROR
    assert [event.name for event in sent.events] == ["message_returned"]
    assert "receive reply_{id}" not in {span.name for span in lab.spans}


def _marked(base: type[Exception]) -> Exception:
    return type(f"{base.__name__}_Remote", (base,), {})(CANARY)


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        (RemoteError("Gone", CANARY, [CANARY]), "Gone", "REMOTE_ERROR"),
        (_marked(LookupError), "LookupError", "REMOTE_ERROR"),
        (_marked(MessagingTimeout), "MessagingTimeout", "REMOTE_ERROR"),
        (ValueError(CANARY), "ValueError", "REMOTE_ERROR"),
        (MessageUndeliverable(None, "nova", "x", CANARY), "MessageUndeliverable", "UNDELIVERABLE"),
        (KeyboardInterrupt(), "KeyboardInterrupt", None),
        (SystemExit(1), "SystemExit", None),
    ],
)
def test_every_failure_ends_the_span_with_its_type(
    lab: Lab, error: BaseException, kind: str, status: str | None,
) -> None:
    call = invocation()
    with pytest.raises(type(error)), lab.telemetry.call(call):
        publish(call)
        support.finish(call)
        raise error
    client = lab.span("compute/reboot")
    assert client.status.status_code is StatusCode.ERROR
    assert client.status.description == client.attributes["error.type"] == kind
    assert client.attributes.get("rpc.response.status_code") == status
    assert client.attributes["tracedrpc.sampling.keep_reason"] == "error"
    (event,) = client.events
    assert (event.name, dict(event.attributes)) == ("exception", {"exception.type": kind})
    assert not lab.ledger.open


@pytest.mark.parametrize("mode", [Mode.CAST, Mode.FANOUT])
def test_a_cast_is_a_producer_and_a_consumer_of_one_trace(lab: Lab, mode: Mode) -> None:
    call = invocation(mode)
    with lab.telemetry.call(call) as scope:
        publish(call)
        carrier = dict(scope.carrier)
    for _ in range(2):
        with lab.telemetry.process(support.incoming(carrier, mode)):
            pass
    producer = lab.span(f"{mode.value} compute/reboot")
    consumers = [span for span in lab.spans if span.name == "process compute/reboot"]
    assert producer.kind is SpanKind.PRODUCER
    assert [span.kind for span in consumers] == [SpanKind.CONSUMER] * 2
    assert {span.parent.span_id for span in consumers} == {producer.context.span_id}
    assert len(lab.spans) == 3
    assert producer.attributes["messaging.system"] == "rabbitmq"
    assert producer.attributes["messaging.operation.name"] == mode.value
    assert producer.attributes["tracedrpc.mode"] == mode.value
    assert consumers[0].attributes["messaging.destination.name"] == "nova:compute.cn7"
    expected = "nova:compute.{server}" if mode is Mode.CAST else "nova"
    assert producer.attributes["messaging.destination.template"] == expected


def test_the_call_is_current_inside_and_nothing_of_the_caller_changes(lab: Lab) -> None:
    call = invocation()
    before = copy.deepcopy((call.request.context, call.request.args))
    with lab.telemetry.call(call) as scope:
        current = trace.get_current_span().get_span_context()
        assert scope.ids == {
            "trace_id": f"{current.trace_id:032x}",
            "span_id": f"{current.span_id:016x}",
            "trace_flags": f"{current.trace_flags:02x}",
        }
        assert scope.carrier["traceparent"].split("-")[1:3] == [scope.ids["trace_id"], scope.ids["span_id"]]
    assert (call.request.context, call.request.args) == before


def test_method_names_are_bounded(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1100):
        with lab.telemetry.call(invocation(method=f"m{number}")):
            pass
    names = {span.name for span in lab.spans}
    assert len(names) == 1001
    last = lab.spans[-1]
    assert last.name == last.attributes["rpc.method"] == "_OTHER"
    assert last.attributes["rpc.method_original"] == "compute/m1099"


def test_a_huge_method_makes_a_small_span(lab: Lab) -> None:
    with lab.telemetry.call(invocation(method="x\n" * 5_000_000)):
        pass
    span = lab.spans[0]
    assert len(span.name) <= 128 * 4  # each escape is four characters
    assert "\n" not in span.name
