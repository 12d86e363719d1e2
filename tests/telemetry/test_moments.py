"""Moments become events of the right span, in any thread, never a span."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from tests.telemetry.support import MS, FakePool, Lab, incoming, invocation
from tracedrpc.telemetry import ConnectionInfo

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
    assert not [record for record in caplog.records if record.name.startswith("opentelemetry")]
    assert [len(span.events) for span in lab.spans] == [0, 0]


def test_connection_moments_are_events_of_the_call_and_never_roots(lab: Lab) -> None:
    def all_of_them() -> None:
        lab.telemetry.connection_created(CONNECTION, 5 * MS)
        lab.telemetry.connection_acquired(FakePool(), "created", 6 * MS)
        lab.telemetry.connection_acquired(FakePool(), "hit", 0)
        lab.telemetry.connection_expired(CONNECTION, 1200)
        lab.telemetry.connection_lost(CONNECTION, "refused")
        lab.telemetry.connection_closed(CONNECTION, "idle")

    all_of_them()
    assert not lab.spans
    with lab.telemetry.call(invocation()):
        all_of_them()
    (span,) = lab.spans
    assert [event.name for event in span.events] == [
        "connection_created", "connection_acquired", "connection_expired", "connection_lost",
        "connection_closed",
    ]
    assert span.events[1].attributes["tracedrpc.pool.in_use"] == 2


def test_retries_and_returns_go_to_the_calls_span_from_any_thread(lab: Lab) -> None:
    call = invocation()
    call.scope = lab.telemetry.call(call)
    with call.scope:
        _elsewhere(lab.telemetry.publish_retried, call, "nova:compute", "connection_lost", 0.25)
        _elsewhere(lab.telemetry.message_returned, call, "nova:compute")
    events = lab.span("compute/reboot").events
    assert [event.name for event in events] == ["publish_retried", "message_returned"]
    assert events[0].attributes["tracedrpc.delay_ms"] == 250


def test_every_moment_still_writes_its_line(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "tracedrpc")
    call, asked = invocation(), incoming()
    lab.telemetry.heartbeat_received(call)
    lab.telemetry.heartbeat_sent(asked)
    lab.telemetry.publish_retried(None, "d", "r", 0.1)
    lab.telemetry.message_returned(call, "d")
    lab.telemetry.message_discarded("q", "duplicate", b"{}")
    lab.telemetry.connection_created(CONNECTION, 1)
    lab.telemetry.connection_expired(CONNECTION, 1)
    lab.telemetry.connection_lost(CONNECTION, "r")
    lab.telemetry.connection_closed(CONNECTION, "r")
    assert len([record for record in caplog.records if record.name == "tracedrpc"]) == 9


def test_discarded_messages_are_counted_by_reason() -> None:
    reader = InMemoryMetricReader()
    lab = Lab(meter_provider=MeterProvider([reader], shutdown_on_exit=False))
    for reason in ("duplicate", "json", "json"):
        lab.telemetry.message_discarded("compute", reason, b"{")
    (metric,) = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    assert metric.name == "tracedrpc.message_discarded"
    counts = {point.attributes["tracedrpc.reason"]: point.value for point in metric.data.data_points}
    assert counts == {"duplicate": 1, "json": 2}
