"""The spans around and below a request's own, and what it says of its time, its sender and its queue."""

from __future__ import annotations

import dataclasses

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.trace import SpanKind, StatusCode

from tests.telemetry.support import CANARY, MS, Asked, Lab, incoming, target
from tracedrpc.exceptions import EncodeError
from tracedrpc.message import DeadLetter, Mode
from tracedrpc.telemetry import ConnectionInfo
from tracedrpc_otel.settings import Detail, Relation, Settings
from tracedrpc_otel.telemetry import OTelTelemetry

PARENT = {"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01", "tracestate": "a=b"}


class Endpoint:
    def reboot(self) -> None: ...


def _stamped(waited_ms: float = 0, handled_ms: float = 0, handed_ms: float = 0, **fields: object) -> Asked:
    """Return a request that waited in its queue, was handled and answered, for so long each."""
    asked = incoming(PARENT, timeout_s=60.0, reply_queue="reply_7", **fields)
    line = asked.timeline
    asked.received = _sent(asked, line.delivered_wall_ns - int(waited_ms * MS))
    line.handler_ns = line.delivered_ns + MS
    line.handled_ns = line.handler_ns + int(handled_ms * MS)
    line.replied_ns = line.handled_ns + MS
    line.handed_ns = line.replied_ns + int(handed_ms * MS)
    asked.function = Endpoint().reboot
    return asked


def _sent(asked: Asked, sent_ns: int) -> object:
    return dataclasses.replace(asked.received, sent_ns=sent_ns)


def test_a_quick_request_is_one_span_that_tells_its_phases(lab: Lab) -> None:
    with lab.telemetry.process(_stamped(1, 2, 1)):
        pass
    (span,) = lab.spans
    assert span.attributes == {
        "rpc.system.name": "oslo.messaging", "rpc.method": "compute/reboot", "tracedrpc.mode": "call",
        "tracedrpc.phase.dispatch_ms": 1.0, "tracedrpc.phase.handler_ms": 2.0,
        "tracedrpc.phase.reply_ms": 1.0, "tracedrpc.phase.queue_ms": 1.0,
        "tracedrpc.queue.quality": "sender_clock", "tracedrpc.msg_id": "a" * 32,
        "tracedrpc.deadline_ms": 60_000.0,
        "code.function.name": f"{__name__}.Endpoint.reboot",
    }


def test_phases_that_took_their_time_have_spans_of_their_own(lab: Lab) -> None:
    asked = _stamped(20, 15, 12)
    with lab.telemetry.process(asked):
        pass
    line, server = asked.timeline, lab.span("compute/reboot")
    queue = lab.span("queue nova:compute.{server}")
    assert queue.kind is SpanKind.INTERNAL
    assert queue.parent == server.parent
    assert queue.start_time == line.delivered_wall_ns - 20 * MS
    assert queue.end_time == server.start_time - 1000
    assert queue.attributes == {
        "tracedrpc.synthetic": True, "tracedrpc.queue.quality": "sender_clock",
        "messaging.system": "rabbitmq", "messaging.destination.name": "nova:compute.cn7",
        "messaging.destination.template": "nova:compute.{server}",
    }
    handle = lab.span("handle reboot")
    assert handle.kind is SpanKind.INTERNAL
    assert handle.parent == server.get_span_context()
    assert handle.attributes == {"code.function.name": f"{__name__}.Endpoint.reboot"}
    assert handle.start_time == line.wall_ns(line.handler_ns)
    assert handle.end_time == line.wall_ns(line.handled_ns)
    reply = lab.span("publish reply_{id}")
    assert reply.kind is SpanKind.PRODUCER
    assert reply.parent == server.get_span_context()
    assert (reply.start_time, reply.end_time) == (server.end_time, line.wall_ns(line.handed_ns))
    assert reply.attributes["messaging.destination.name"] == "reply_7"
    assert reply.attributes["messaging.message.conversation_id"] == "a" * 32


@pytest.mark.parametrize(("handled_ms", "told"), [(40, False), (60, True)])
def test_of_a_long_request_each_phase_that_matters_has_its_span(
    lab: Lab, handled_ms: float, told: bool,
) -> None:
    with lab.telemetry.process(_stamped(2, handled_ms, 2)):
        pass
    names = {span.name for span in lab.spans}
    assert "handle reboot" in names
    assert ({"queue nova:compute.{server}", "publish reply_{id}"} <= names) is told


def test_a_slow_request_is_told_in_full(lab: Lab) -> None:
    asked = _stamped(1, 5, 1)
    asked.slow_ns = 7 * MS
    with lab.telemetry.process(asked):
        pass
    assert {span.name for span in lab.spans} == {
        "compute/reboot", "queue nova:compute.{server}", "handle reboot", "publish reply_{id}",
    }
    assert lab.span("compute/reboot").attributes["tracedrpc.sampling.keep_reason"] == "slow"


def test_full_detail_tells_everything_and_compact_nothing_more() -> None:
    for detail, count in ((Detail.FULL, 4), (Detail.COMPACT, 1)):
        lab = Lab(detail=detail)
        with lab.telemetry.process(_stamped(20, 15, 12)):
            pass
        assert len(lab.spans) == count


def test_the_handlers_error_is_its_spans_and_an_encoders_is_not(lab: Lab) -> None:
    for error, is_its in ((LookupError(), True), (EncodeError("result", CANARY), False)):
        with lab.telemetry.process(_stamped(1, 15)) as scope:
            scope.failed(error)
        handle = lab.span("handle reboot")
        assert (handle.status.status_code is StatusCode.ERROR) is is_its
        assert ("error.type" in handle.attributes) is is_its
        lab.exporter.clear()


def test_times_out_of_order_draw_no_queue(lab: Lab) -> None:
    for waited_ms in (-20, 61_000):
        with lab.telemetry.process(_stamped(waited_ms)):
            pass
    assert {span.name for span in lab.spans} == {"compute/reboot"}


def test_without_a_sender_to_be_below_there_is_no_queue_span(lab: Lab) -> None:
    asked = _stamped(20)
    asked.received = dataclasses.replace(asked.received, carrier={})
    with lab.telemetry.process(asked):
        pass
    (span,) = lab.spans
    assert span.attributes["tracedrpc.phase.queue_ms"] == 20


def test_an_answer_after_its_callers_deadline_says_by_how_much(lab: Lab) -> None:
    asked = _stamped(1, 5)
    asked.scope = lab.telemetry.process(asked)
    with asked.scope:
        lab.telemetry.deadline_exceeded(asked, 3 * MS)
    span = lab.span("compute/reboot")
    (event,) = span.events
    assert event.name == "deadline_exceeded"
    assert event.timestamp == span.end_time - 3 * MS
    assert event.attributes == {"tracedrpc.overrun_ms": 3.0}
    assert span.attributes["tracedrpc.overrun_ms"] == 3
    assert span.attributes["tracedrpc.sampling.keep_reason"] == "timeout"
    assert "handle reboot" in {span.name for span in lab.spans}


def test_a_dead_letter_says_where_it_died_and_links_to_its_sender(lab: Lab) -> None:
    dead = DeadLetter("expired", "compute.source\n", 2)
    with lab.telemetry.process(incoming(PARENT, Mode.CAST, dead_letter=dead)):
        pass
    span = lab.span("process compute/reboot")
    assert span.attributes["tracedrpc.dead_letter.reason"] == "expired"
    assert span.attributes["tracedrpc.dead_letter.queue"] == "compute.source\\x0a"
    assert span.attributes["tracedrpc.dead_letter.count"] == 2
    assert [link.context for link in span.links] == [span.parent]


@pytest.mark.parametrize("mode", [Mode.CAST, Mode.FANOUT])
def test_receivers_can_be_traces_of_their_own_linked_to_the_sender(mode: Mode) -> None:
    lab = Lab(settings=Settings(**{f"{mode.value}_trace_mode": Relation.LINK}))
    other = Mode.FANOUT if mode is Mode.CAST else Mode.CAST
    for each in (mode, other, Mode.CALL):
        asked = incoming(PARENT, each)
        asked.received = _sent(asked, asked.timeline.delivered_wall_ns - 50 * MS)
        with lab.telemetry.process(asked) as scope:
            assert trace.get_current_span().get_span_context().is_valid
            assert scope.carrier["traceparent"][3:35] in {span_id(trace.get_current_span()), "1" * 32}
    apart = [span for span in lab.spans if span.parent is None]
    assert [span.name for span in apart] == ["process compute/reboot"]
    (span,) = apart
    assert f"{span.context.trace_id:032x}" != "1" * 32
    assert [f"{link.context.trace_id:032x}" for link in span.links] == ["1" * 32]
    assert span.attributes["tracedrpc.origin.trace_id"] == "1" * 32
    assert span.attributes["tracedrpc.mode"] == mode.value
    queues = [each for each in lab.spans if each.name.startswith("queue")]
    assert {f"{each.context.trace_id:032x}" for each in queues} == {"1" * 32}
    assert len(queues) == 2


def span_id(span: trace.Span) -> str:
    return f"{span.get_span_context().trace_id:032x}"


def test_a_senders_wrong_clock_invents_no_queue_time(lab: Lab) -> None:
    lab.telemetry.server_started(target(), 4)
    lab.telemetry.consumer_started(ConnectionInfo(1, "rabbit-1:5672", "listen"), "compute")
    for waited_ms in (0.3, 200):
        asked = _stamped(5000 + waited_ms)
        asked.timeline.delivered_ns += 100 * MS
        with lab.telemetry.process(asked):
            pass
    first, second = (span for span in lab.spans if span.name == "compute/reboot")
    assert first.attributes["tracedrpc.queue.quality"] == "estimated"
    assert first.attributes["tracedrpc.phase.queue_ms"] < 1
    assert abs(second.attributes["tracedrpc.phase.queue_ms"] - 200) < 1
    queue = lab.span("queue nova:compute.{server}")
    assert abs((second.start_time - queue.start_time) / MS - 200) < 1


def test_queue_times_are_known_where_there_are_metrics_and_no_spans() -> None:
    meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    listener = OTelTelemetry(meter_provider=meters)
    asked = _stamped(20)
    with listener.process(asked) as scope:
        assert abs(scope.waited.ns - 20 * MS) < 5 * MS
        assert trace.get_current_span().get_span_context().span_id == int("2" * 16, 16)
        assert scope.carrier == PARENT
    assert listener._queue_times._busy == 0


def test_an_unsampled_request_makes_nothing(lab: Lab) -> None:
    unsampled = {"traceparent": PARENT["traceparent"][:-2] + "00"}
    asked = _stamped(20, 15, 12)
    asked.received = dataclasses.replace(asked.received, carrier=unsampled)
    asked.scope = lab.telemetry.process(asked)
    with asked.scope as scope:
        lab.telemetry.heartbeat_sent(asked)
        scope.failed(LookupError())
    assert not lab.ledger.started


def test_old_names_are_told_on_request() -> None:
    lab = Lab(settings=Settings(semconv="oslo"))
    asked = incoming(namespace="ops")
    asked.received.context["request_id"] = "req-1"
    with lab.telemetry.process(asked):
        pass
    attributes = lab.span("compute.ops/reboot").attributes
    assert attributes["messaging.operation"] == "receive"
    assert attributes["messaging.message.id"] == "a" * 32
    assert attributes["rpc.service"] == "ops"
    assert attributes["openstack.request_id"] == "req-1"
    assert CANARY not in str(dict(attributes))
