"""Moments become events of the right span, in any thread, never a span."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from tests.telemetry.support import MS, FakePool, Lab, incoming, invocation, publish, target
from tracedrpc._guard import MOMENTS
from tracedrpc.message import Mode
from tracedrpc.telemetry import ConnectionInfo, Telemetry

CONNECTION = ConnectionInfo(1, "rabbit-1:5672", "send")


def _elsewhere(run: Any, *args: Any) -> None:
    thread = threading.Thread(target=run, args=args)
    thread.start()
    thread.join()


def test_heartbeats_are_few_and_the_last_is_told(lab: Lab) -> None:
    call = invocation()
    call.scope = lab.telemetry.call(call)
    with call.scope:
        for beat in range(1, 1001):
            call.heartbeats = beat
            call.heartbeat_ns = call.started_ns + beat * MS
            call.heartbeat_gap_ns = MS
            _elsewhere(lab.telemetry.heartbeat_received, call)
    span = lab.span("compute/reboot")
    assert {event.name for event in span.events} == {"heartbeat_received"}
    counts = [event.attributes["tracedrpc.heartbeat.count"] for event in span.events]
    assert counts == [1, 2, 3, 4, 8, 16, 32, 64, 128, 256, 512, 1000]
    assert span.events[-1].timestamp == call.wall_ns(call.heartbeat_ns)
    assert span.events[-1].attributes["tracedrpc.heartbeat.max_gap_ms"] == 1.0
    assert span.attributes["tracedrpc.heartbeat.count"] == 1000


def test_the_server_tells_its_heartbeats(lab: Lab) -> None:
    asked = incoming()
    asked.scope = lab.telemetry.process(asked)
    with asked.scope:
        for _ in range(6):
            _elsewhere(lab.telemetry.heartbeat_sent, asked)
    events = lab.span("compute/reboot").events
    assert [event.attributes["tracedrpc.heartbeat.count"] for event in events] == [1, 2, 3, 4, 6]
    assert events[0].name == "heartbeat_sent"


def test_moments_after_the_end_are_silent(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    call, asked = invocation(), incoming()
    call.scope, asked.scope = lab.telemetry.call(call), lab.telemetry.process(asked)
    with call.scope, asked.scope:
        pass
    lab.telemetry.heartbeat_received(call)
    lab.telemetry.heartbeat_sent(asked)
    lab.telemetry.publish_retried(call, "nova:compute", "lost", 0.1)
    lab.telemetry.message_dropped(call, "nova:compute", "expired")
    lab.telemetry.deadline_exceeded(asked, MS)
    assert not [record for record in caplog.records if record.name.startswith("opentelemetry")]
    assert [len(span.events) for span in lab.spans] == [0, 0]


CONNECTING = [
    "connection_created", "connect_failed", "connection_ready", "connection_acquired", "acquire_failed",
    "connection_expired", "connection_lost", "connection_closed", "connection_blocked",
    "connection_unblocked",
]


def _all_of_connections(lab: Lab) -> None:
    lab.telemetry.connection_created(CONNECTION)
    lab.telemetry.connect_failed(CONNECTION, "refused", 2 * MS)
    ready = replace(CONNECTION, address="10.0.0.1", connect_ns=5 * MS, ready_ns=6 * MS)
    lab.telemetry.connection_ready(ready)
    lab.telemetry.connection_acquired(FakePool(), "created", 6 * MS)
    lab.telemetry.connection_acquired(FakePool(), "hit", 0)
    lab.telemetry.acquire_failed(FakePool(), "timeout", 6 * MS)
    lab.telemetry.connection_expired(CONNECTION, 1200)
    lab.telemetry.connection_lost(CONNECTION, "refused")
    lab.telemetry.connection_closed(CONNECTION, "idle")
    lab.telemetry.connection_blocked(CONNECTION)
    lab.telemetry.connection_unblocked(CONNECTION)
    lab.telemetry.pool_opened(FakePool())
    lab.telemetry.pool_closed(FakePool())


def test_connection_moments_are_events_of_the_call_and_never_roots(lab: Lab) -> None:
    _all_of_connections(lab)
    assert not lab.spans
    with lab.telemetry.call(invocation()):
        _all_of_connections(lab)
    (span,) = lab.spans
    assert [event.name for event in span.events] == CONNECTING
    events = {event.name: event.attributes for event in span.events}
    assert events["connection_ready"] == {
        "server.address": "rabbit-1", "server.port": 5672, "network.peer.address": "10.0.0.1",
        "network.peer.port": 5672, "tracedrpc.connection.id": 1, "tracedrpc.connection.purpose": "send",
        "tracedrpc.duration_ms": 5.0,
    }
    assert events["connect_failed"]["tracedrpc.reason"] == "refused"
    assert events["connection_acquired"] == {
        "tracedrpc.pool.name": "send", "tracedrpc.pool.result": "created", "tracedrpc.duration_ms": 6.0,
        "tracedrpc.pool.in_use": 2, "tracedrpc.pool.idle": 1, "tracedrpc.pool.waiters": 0,
    }


def test_they_are_events_of_the_applications_span_where_that_is_the_current_one(lab: Lab) -> None:
    tracer = lab.provider.get_tracer("application")
    with lab.telemetry.process(incoming()), tracer.start_as_current_span("own"):
        _all_of_connections(lab)
    assert [event.name for event in lab.span("own").events] == CONNECTING
    assert not lab.span("compute/reboot").events


def test_of_very_many_events_the_first_are_kept_and_then_ever_fewer(lab: Lab) -> None:
    with lab.telemetry.call(invocation()):
        for number in range(1000):
            lab.telemetry.connection_expired(CONNECTION, number)
    events = lab.span("compute/reboot").events
    seconds = [round(event.attributes["tracedrpc.duration_ms"] / 1e3) + 1 for event in events]
    assert seconds == [*range(1, 65), 128, 256, 512]


def test_retries_and_returns_go_to_the_publish_from_any_thread(lab: Lab) -> None:
    call = invocation()
    call.scope = lab.telemetry.call(call)
    with call.scope:
        publish(call)
        _elsewhere(lab.telemetry.publish_retried, call, "nova:compute", "connection_lost", 0.25)
        _elsewhere(lab.telemetry.message_returned, call, "nova:compute")
    events = lab.span("publish nova:compute.{server}").events
    assert [event.name for event in events] == ["publish_retried", "message_returned"]
    assert events[0].attributes["tracedrpc.delay_ms"] == 250
    assert not lab.span("compute/reboot").events


def test_without_a_publish_they_go_to_the_call(lab: Lab) -> None:
    call = invocation()
    call.scope = lab.telemetry.call(call)
    with call.scope:
        lab.telemetry.publish_retried(call, "nova:compute", "refused", 0.25)
    (span,) = lab.spans
    assert [event.name for event in span.events] == ["publish_retried"]


@pytest.mark.parametrize("mode", [Mode.CAST, Mode.FANOUT])
def test_those_of_casts_go_to_their_own_span(lab: Lab, mode: Mode) -> None:
    call = invocation(mode)
    call.scope = lab.telemetry.call(call)
    with call.scope:
        publish(call)
        lab.telemetry.publish_retried(call, "nova:compute", "connection_lost", 0.25)
        lab.telemetry.message_dropped(call, "nova:compute", "overflow")
    (span,) = lab.spans
    assert [event.name for event in span.events] == ["publish_retried", "message_dropped"]


def test_those_of_replies_go_to_the_request(lab: Lab) -> None:
    with lab.telemetry.process(incoming()):
        lab.telemetry.publish_retried(None, "reply_1", "connection_lost", 0.25)
        lab.telemetry.message_dropped(None, "reply_1", "unroutable")
    events = lab.span("compute/reboot").events
    assert [event.name for event in events] == ["publish_retried", "message_dropped"]


def test_a_publish_tried_for_ever_makes_few_events(lab: Lab) -> None:
    call = invocation()
    call.scope = lab.telemetry.call(call)
    with call.scope:
        publish(call)
        for attempt in range(1, 1001):
            call.attempts = attempt
            lab.telemetry.publish_retried(call, "nova:compute", "refused", 0.25)
    events = lab.span("publish nova:compute.{server}").events
    assert [event.attributes["tracedrpc.publish.attempt"] for event in events] == [*range(1, 64), 1000]


def test_every_moment_still_writes_its_line(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "tracedrpc")
    plain, ours = Telemetry(), lab.telemetry
    for moment in MOMENTS:
        before = len(caplog.records)
        arguments = ARGUMENTS.get(moment, lambda: (CONNECTION,))
        named = {"expected": False} if moment == "request_failed" else {}
        getattr(plain, moment)(*arguments(), **named)
        lines = len(caplog.records) - before
        getattr(ours, moment)(*arguments(), **named)
        assert len(caplog.records) - before == 2 * lines, moment


class _Pool(FakePool):
    name = "send"


ARGUMENTS: dict[str, Any] = {
    "call_finished": lambda: (invocation(), None),
    "call_timed_out": lambda: (invocation(),),
    "heartbeat_received": lambda: (invocation(),),
    "reply_discarded": lambda: ("a" * 32, "late"),
    "publish_retried": lambda: (None, "d", "r", 0.1),
    "message_returned": lambda: (invocation(), "d"),
    "message_dropped": lambda: (invocation(), "d", "expired"),
    "message_discarded": lambda: ("q", "duplicate", b"{}"),
    "request_finished": lambda: (incoming(),),
    "request_failed": lambda: (incoming(), LookupError()),
    "request_redelivered": lambda: (incoming(),),
    "deadline_exceeded": lambda: (incoming(), MS),
    "heartbeat_sent": lambda: (incoming(),),
    "server_started": lambda: (target(), 4),
    "server_stopped": lambda: (target(),),
    "transport_opened": lambda: (None,),
    "pool_opened": lambda: (_Pool(),),
    "pool_closed": lambda: (_Pool(),),
    "connect_failed": lambda: (CONNECTION, "refused", MS),
    "acquire_started": lambda: (_Pool(),),
    "connection_acquired": lambda: (_Pool(), "created", MS),
    "acquire_failed": lambda: (_Pool(), "timeout", MS),
    "connection_expired": lambda: (CONNECTION, 1.0),
    "connection_lost": lambda: (CONNECTION, "r"),
    "connection_closed": lambda: (CONNECTION, "r"),
    "consumer_started": lambda: (CONNECTION, "q"),
    "consumer_cancelled": lambda: (CONNECTION, "q"),
    "queue_adopted": lambda: ("q", "durable"),
    "background_failed": lambda: ("here", LookupError()),
}
