"""The listener tells metrics every moment that has one, and the log line stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.telemetry.meters import Readings
from tests.telemetry.support import FakePool, Lab, incoming, invocation
from tracedrpc.message import Stage
from tracedrpc.telemetry import ConnectionInfo
from tracedrpc_otel import drops

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracedrpc.telemetry import Telemetry

LINK = ConnectionInfo(7, "rabbit-1:5672", "send", connect_ns=30_000_000)


def _dead(stage: Stage) -> Any:
    call = invocation()
    call.stage = stage
    return call


@pytest.mark.parametrize(
    ("tell", "name"),
    [
        (lambda t: t.call_timed_out(_dead(Stage.SERVER)), "tracedrpc.client.timeouts"),
        (lambda t: t.reply_discarded("a" * 32, "late"), "tracedrpc.client.replies.late"),
        (lambda t: t.reply_discarded("a" * 32, "duplicate"), "tracedrpc.client.replies.duplicate"),
        (lambda t: t.reply_discarded("a" * 32, "unknown"), "tracedrpc.client.replies.orphan"),
        (lambda t: t.heartbeat_received(invocation()), "tracedrpc.client.heartbeats"),
        (lambda t: t.heartbeat_sent(incoming()), "tracedrpc.server.heartbeats"),
        (lambda t: t.request_redelivered(incoming()), "tracedrpc.request_redelivered"),
        (lambda t: t.deadline_exceeded(incoming(), 1), "tracedrpc.deadline_exceeded"),
        (lambda t: t.publish_retried(None, "d", "reset", 0.1), "tracedrpc.publish.retries"),
        (lambda t: t.message_returned(None, "d"), "tracedrpc.message_returned"),
        (lambda t: t.message_dropped(None, "d", "expired"), "tracedrpc.message_dropped"),
        (lambda t: t.message_discarded("q", "json", b"{"), "tracedrpc.message_discarded"),
        (lambda t: t.connect_failed(LINK, "refused", 1), "tracedrpc.connect_failed"),
        (lambda t: t.connection_lost(LINK, "reset"), "tracedrpc.connection_lost"),
        (lambda t: t.connection_closed(LINK, "idle"), "tracedrpc.connection_closed"),
        (lambda t: t.connection_blocked(LINK), "tracedrpc.connection.blocked"),
        (lambda t: t.acquire_failed(FakePool(), "timeout", 1), "tracedrpc.client.connection.timeouts"),
    ],
)
def test_a_moment_is_counted(tell: Callable[[Telemetry], None], name: str) -> None:
    readings = Readings()
    lab = Lab(meter_provider=readings.provider)
    tell(lab.telemetry)
    assert readings.value(name) == 1


def test_discarded_messages_are_counted_by_reason() -> None:
    readings = Readings()
    lab = Lab(meter_provider=readings.provider)
    for reason in ("duplicate", "json", "json"):
        lab.telemetry.message_discarded("compute", reason, b"{")
    points = readings.points("tracedrpc.message_discarded")
    counts = {point.attributes["tracedrpc.reason"]: point.value for point in points}
    assert counts == {"duplicate": 1, "json": 2}


def test_every_phase_of_a_time_out_is_a_series_of_its_own() -> None:
    readings = Readings()
    lab = Lab(meter_provider=readings.provider)
    for stage in Stage:
        lab.telemetry.call_timed_out(_dead(stage))
    points = readings.points("tracedrpc.client.timeouts")
    phases = {point.attributes["tracedrpc.timeout.phase"] for point in points}
    assert phases == {stage.value for stage in Stage}


def test_a_connections_life_is_told() -> None:
    readings = Readings()
    lab = Lab(meter_provider=readings.provider)
    pool = FakePool()
    lab.telemetry.pool_opened(pool)
    lab.telemetry.connection_ready(LINK)
    lab.telemetry.connection_blocked(LINK)
    lab.telemetry.connection_unblocked(LINK)
    lab.telemetry.connection_lost(LINK, "reset")
    lab.telemetry.connection_ready(LINK)
    used = {"tracedrpc.pool.name": "send", "tracedrpc.connection.state": "used"}
    assert readings.value("tracedrpc.client.connection.count", used) == pool.stats().in_use
    assert readings.point("tracedrpc.client.connection.create_time").count == 2
    assert readings.value("tracedrpc.connection.blocked") == 0
    assert readings.value("tracedrpc.connection.reconnects") == 1
    lab.telemetry.pool_closed(pool)
    assert readings.value("tracedrpc.client.connection.count", used) == 0


def test_lost_telemetry_is_a_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = Readings()
    lab = Lab(meter_provider=readings.provider)
    monkeypatch.setattr(drops, "_counters", {})
    assert not readings.points("tracedrpc.telemetry.dropped")
    drops.watch("traces", lambda: 12)
    drops.watch("logs", lambda: 0)
    points = readings.points("tracedrpc.telemetry.dropped")
    values = {point.attributes["tracedrpc.signal"]: point.value for point in points}
    assert values == {"traces": 12, "logs": 0}
    assert lab.inner is not None
