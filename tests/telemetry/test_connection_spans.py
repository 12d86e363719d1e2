"""The spans of a call's way to a connection: waiting for one, connecting, trying again."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from tests.telemetry import support
from tests.telemetry.support import MS, FakePool, Lab, invocation, publish
from tracedrpc.exceptions import MessageDeliveryFailure
from tracedrpc.message import Invocation, Mode, Stage
from tracedrpc.telemetry import ConnectionInfo, PoolStats
from tracedrpc_otel.connection_leaves import MOST_ATTEMPTS
from tracedrpc_otel.settings import Detail

PARENT = {"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01"}
FIRST = ConnectionInfo(1, "rabbit-1:5672", "send")
SECOND = ConnectionInfo(2, "rabbit-2:5672", "send", "10.0.0.2")


def _way(call: Invocation, acquire_ms: float, acquired_ms: float) -> None:
    publish(call)
    call.acquire_ns = call.started_ns + int(acquire_ms * MS)
    call.acquired_ns = call.started_ns + int(acquired_ms * MS)
    call.published_ns = call.acquired_ns + MS


def _ready(lab: Lab, call: Invocation, connection: ConnectionInfo, at_ms: float, took_ms: float) -> None:
    ready_ns = call.started_ns + int(at_ms * MS)
    lab.telemetry.connection_ready(replace(connection, ready_ns=ready_ns, connect_ns=int(took_ms * MS)))


def _answered(call: Invocation, after_ms: float = 40.0) -> None:
    support.finish(call)
    call.replied_ns = call.woken_ns = call.ended_ns = call.started_ns + int(after_ms * MS)


def test_a_connection_that_was_made_is_a_span_below_the_wait_for_it(lab: Lab) -> None:
    call = invocation()
    call.pool = PoolStats(idle=0, in_use=10, waiters=3, max_size=10, created=10, closed=0)
    with lab.telemetry.call(call):
        _way(call, 1, 13)
        _ready(lab, call, SECOND, at_ms=12, took_ms=10)
        lab.telemetry.connection_acquired(FakePool(), "created", 12 * MS)
        _answered(call)
    client, acquire, connect = (
        lab.span(name) for name in ("compute/reboot", "acquire connection", "connect rabbit-2:5672")
    )
    assert acquire.kind is SpanKind.INTERNAL
    assert connect.kind is SpanKind.CLIENT
    assert acquire.parent.span_id == client.context.span_id
    assert connect.parent.span_id == acquire.context.span_id
    assert acquire.start_time == call.wall_ns(call.acquire_ns)
    assert acquire.end_time == call.wall_ns(call.acquired_ns) - 1000
    assert acquire.start_time < connect.start_time < connect.end_time < acquire.end_time
    assert acquire.attributes == {
        "tracedrpc.pool.name": "send", "tracedrpc.pool.result": "created", "tracedrpc.pool.in_use": 10,
        "tracedrpc.pool.idle": 0, "tracedrpc.pool.waiters": 3, "tracedrpc.pool.max": 10,
    }
    assert connect.attributes == {
        "server.address": "rabbit-2", "server.port": 5672, "network.peer.address": "10.0.0.2",
        "network.peer.port": 5672, "tracedrpc.connection.id": 2, "tracedrpc.connection.purpose": "send",
        "tracedrpc.connect.attempt": 1,
    }


def test_a_short_wait_has_no_span_and_no_connect_below_it(lab: Lab) -> None:
    call = invocation()
    with lab.telemetry.call(call):
        _way(call, 1, 10)
        _ready(lab, call, FIRST, at_ms=9, took_ms=8)
        _answered(call)
    assert {span.name for span in lab.spans} == {"compute/reboot", "publish nova:compute.{server}"}
    assert [event.name for event in lab.span("compute/reboot").events] == ["connection_ready"]


def test_a_failed_attempt_that_another_made_good_says_why_and_is_no_error(lab: Lab) -> None:
    call = invocation()
    with lab.telemetry.call(call):
        lab.telemetry.connect_failed(FIRST, "refused", 2 * MS)
        _way(call, 0.1, 30)
        _ready(lab, call, SECOND, at_ms=29, took_ms=10)
        lab.telemetry.connection_acquired(FakePool(), "created", 12 * MS)
        _answered(call)
    failed, made = lab.span("connect rabbit-1:5672"), lab.span("connect rabbit-2:5672")
    assert failed.attributes["error.type"] == "refused"
    assert failed.status.status_code is StatusCode.UNSET
    assert [span.attributes["tracedrpc.connect.attempt"] for span in (failed, made)] == [1, 2]
    assert failed.parent == made.parent == lab.span("acquire connection").get_span_context()


@pytest.mark.parametrize("mode", list(Mode))
def test_a_way_that_led_nowhere_is_red_to_its_end(lab: Lab, mode: Mode) -> None:
    call = invocation(mode)
    with pytest.raises(MessageDeliveryFailure), lab.telemetry.call(call):
        call.acquire_ns = call.started_ns + MS
        call.stage = Stage.CONNECT
        call.scope = None
        lab.telemetry.connect_failed(FIRST, "refused", MS)
        lab.telemetry.acquire_failed(FakePool(), "connect_failed", MS)
        call.ended_ns = call.started_ns + 50 * MS
        raise MessageDeliveryFailure
    acquire, connect = lab.span("acquire connection"), lab.span("connect rabbit-1:5672")
    assert acquire.status.description == acquire.attributes["error.type"] == "MessageDeliveryFailure"
    assert acquire.attributes["tracedrpc.pool.result"] == "connect_failed"
    assert acquire.end_time == call.wall_ns(call.ended_ns)
    assert connect.status.description == connect.attributes["error.type"] == "refused"
    assert len(lab.spans) == 3


def test_a_reconnect_is_below_the_publish_it_was_for(lab: Lab) -> None:
    call = invocation()
    call.scope = lab.telemetry.call(call)
    with call.scope:
        _way(call, 1, 2)
        lab.telemetry.publish_retried(call, "nova:compute.cn7", "connection_lost", 0.25)
        _ready(lab, call, SECOND, at_ms=22, took_ms=15)
        lab.telemetry.connection_acquired(FakePool(), "created", 12 * MS)
        call.attempts, call.published_ns = 2, call.started_ns + 25 * MS
        _answered(call)
    sent, connect = lab.span("publish nova:compute.{server}"), lab.span("connect rabbit-2:5672")
    assert connect.parent == sent.get_span_context()
    assert sent.status.status_code is StatusCode.UNSET
    (retried,) = sent.events
    assert retried.name == "publish_retried"
    assert retried.attributes == {
        "messaging.destination.name": "nova:compute.cn7", "tracedrpc.reason": "connection_lost",
        "tracedrpc.delay_ms": 250.0, "server.address": "rabbit-1", "server.port": 5672,
        "tracedrpc.publish.attempt": 1,
    }
    assert "acquire connection" not in {span.name for span in lab.spans}


def test_a_reconnect_of_a_cast_is_below_its_own_span(lab: Lab) -> None:
    call = invocation(Mode.CAST)
    call.scope = lab.telemetry.call(call)
    with call.scope:
        _way(call, 1, 2)
        lab.telemetry.publish_retried(call, "nova:compute.cn7", "connection_lost", 0.25)
        _ready(lab, call, SECOND, at_ms=22, took_ms=15)
        call.ended_ns = call.started_ns + 30 * MS
    producer, connect = lab.span("cast compute/reboot"), lab.span("connect rabbit-2:5672")
    assert connect.parent == producer.get_span_context()
    assert [event.name for event in producer.events] == ["publish_retried", "connection_ready"]


def test_connections_of_other_threads_are_not_this_calls(lab: Lab) -> None:
    call = invocation()

    def elsewhere(*told: Any) -> None:
        thread = threading.Thread(target=lab.telemetry.connection_ready, args=told)
        thread.start()
        thread.join()

    with lab.telemetry.call(call):
        _way(call, 1, 30)
        elsewhere(replace(SECOND, ready_ns=call.started_ns + 20 * MS, connect_ns=15 * MS))
        _answered(call)
    assert "acquire connection" in {span.name for span in lab.spans}
    assert "connect rabbit-2:5672" not in {span.name for span in lab.spans}


def test_a_call_made_by_a_handler_in_the_callers_thread_has_its_own_connections(lab: Lab) -> None:
    outer, nested = invocation(), invocation(method="nested")
    with lab.telemetry.call(outer):
        _way(outer, 1, 30)
        with lab.telemetry.process(support.incoming()), lab.telemetry.call(nested):
            _way(nested, 1, 30)
            _ready(lab, nested, SECOND, at_ms=29, took_ms=15)
            _answered(nested)
        _ready(lab, outer, FIRST, at_ms=29, took_ms=15)
        _answered(outer)
    inner, own = lab.span("connect rabbit-2:5672"), lab.span("connect rabbit-1:5672")
    trees = {span.context.span_id: span for span in lab.spans}
    assert trees[trees[inner.parent.span_id].parent.span_id].name == "compute/nested"
    assert trees[trees[own.parent.span_id].parent.span_id].name == "compute/reboot"


def test_an_outage_makes_few_spans(lab: Lab) -> None:
    call = invocation()
    with pytest.raises(MessageDeliveryFailure), lab.telemetry.call(call):
        call.acquire_ns = call.started_ns
        for _ in range(1000):
            lab.telemetry.connect_failed(FIRST, "refused", MS)
        call.ended_ns = call.started_ns + 50_000 * MS
        raise MessageDeliveryFailure
    numbers = [
        span.attributes["tracedrpc.connect.attempt"] for span in lab.spans if span.name.startswith("connect ")
    ]
    assert numbers == [*range(1, MOST_ATTEMPTS), 1000]
    events = lab.span("compute/reboot").events
    assert [event.name for event in events] == ["connect_failed"] * 67 + ["exception"]


def test_an_idle_connection_is_told_at_full_detail_only() -> None:
    lab = Lab(detail=Detail.FULL)
    call = invocation()
    with lab.telemetry.call(call):
        lab.telemetry.connection_acquired(FakePool(), "hit", 0)
        _way(call, 1, 1.5)
        _answered(call)
    assert lab.span("acquire connection").attributes == {"tracedrpc.pool.result": "hit"}


def test_a_connection_for_a_reply_is_below_its_publish_with_what_happened(lab: Lab) -> None:
    asked = support.incoming(PARENT)
    line = asked.timeline
    with lab.telemetry.process(asked):
        line.handler_ns = line.handled_ns = line.delivered_ns
        line.replied_ns = line.delivered_ns + MS
        ready = replace(SECOND, ready_ns=line.delivered_ns + 20 * MS, connect_ns=15 * MS)
        lab.telemetry.connection_ready(ready)
        lab.telemetry.publish_retried(None, "reply_1", "connection_lost", 0.1)
        line.handed_ns = line.delivered_ns + 22 * MS
    reply, connect = lab.span("publish reply_{id}"), lab.span("connect rabbit-2:5672")
    assert connect.parent == reply.get_span_context()
    assert [event.name for event in reply.events] == ["connection_ready", "publish_retried"]
    assert not lab.span("compute/reboot").events


def test_what_happened_to_a_reply_without_a_span_is_told_of_the_request(lab: Lab) -> None:
    asked = support.incoming(PARENT)
    with lab.telemetry.process(asked):
        asked.timeline.stamp_reply()
        lab.telemetry.publish_retried(None, "reply_1", "connection_lost", 0.1)
    assert [event.name for event in lab.span("compute/reboot").events] == ["publish_retried"]
