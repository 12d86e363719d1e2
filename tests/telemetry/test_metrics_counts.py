"""Counters: each moment counts once, by its reason, and nothing makes series without end."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.telemetry.meters import Readings
from tracedrpc.telemetry import ConnectionInfo
from tracedrpc_otel import instruments
from tracedrpc_otel.cardinality import Bounded
from tracedrpc_otel.metrics import Metrics
from tracedrpc_otel.tallies import TALLY_LIMIT, Tally

if TYPE_CHECKING:
    from collections.abc import Callable

SEND = ConnectionInfo(1, "rabbit-1:5672", "send", connect_ns=30_000_000)
REPLIES = ConnectionInfo(2, "rabbit-2:5672", "replies")


@pytest.fixture
def readings() -> Readings:
    return Readings()


@pytest.fixture
def metrics(readings: Readings) -> Metrics:
    return Metrics(readings.provider)


@pytest.mark.parametrize(
    ("happen", "name", "attributes"),
    [
        (lambda m: m.reply_discarded("late"), "tracedrpc.client.replies.late", {}),
        (lambda m: m.reply_discarded("duplicate"), "tracedrpc.client.replies.duplicate", {}),
        (lambda m: m.reply_discarded("unknown"), "tracedrpc.client.replies.orphan", {}),
        (lambda m: m.heartbeat_received(), "tracedrpc.client.heartbeats", {}),
        (lambda m: m.heartbeat_sent(), "tracedrpc.server.heartbeats", {}),
        (lambda m: m.request_redelivered(), "tracedrpc.request_redelivered", {}),
        (lambda m: m.deadline_exceeded(), "tracedrpc.deadline_exceeded", {}),
        (lambda m: m.publish_retried("reset"), "tracedrpc.publish.retries", {"tracedrpc.reason": "reset"}),
        (lambda m: m.message_returned(), "tracedrpc.message_returned", {}),
        (lambda m: m.message_dropped("closed"), "tracedrpc.message_dropped", {"tracedrpc.reason": "closed"}),
        (lambda m: m.message_discarded("json"), "tracedrpc.message_discarded", {"tracedrpc.reason": "json"}),
        (
            lambda m: m.connections.closed(SEND, "idle"), "tracedrpc.connection_closed",
            {"tracedrpc.connection.purpose": "send", "tracedrpc.reason": "idle"},
        ),
        (
            lambda m: m.connections.lost(SEND, "reset"), "tracedrpc.connection_lost",
            {
                "tracedrpc.connection.purpose": "send", "tracedrpc.reason": "reset",
                "server.address": "rabbit-1", "server.port": 5672,
            },
        ),
        (
            lambda m: m.connections.failed(REPLIES, "refused"), "tracedrpc.connect_failed",
            {
                "tracedrpc.connection.purpose": "replies", "tracedrpc.reason": "refused",
                "server.address": "rabbit-2", "server.port": 5672,
            },
        ),
    ],
)
def test_a_moment_counts_once(
    readings: Readings, metrics: Metrics, happen: Callable[[Metrics], None], name: str, attributes: Any,
) -> None:
    happen(metrics)
    assert readings.value(name) == 1
    happen(metrics)
    point = readings.point(name)
    assert point.value == 2
    assert point.attributes == attributes


def test_counters_without_attributes_begin_at_zero(readings: Readings, metrics: Metrics) -> None:
    keyless = [row for row in instruments.COUNTED if not row.attributes]
    assert [readings.value(row.name) for row in keyless] == [0] * len(keyless)
    assert metrics.is_on()


def test_connections_made_after_a_loss_are_reconnects_of_their_purpose(
    readings: Readings, metrics: Metrics,
) -> None:
    metrics.connection_ready(SEND)
    assert not readings.points("tracedrpc.connection.reconnects")
    metrics.connections.lost(SEND, "reset")
    metrics.connection_ready(REPLIES)
    assert not readings.points("tracedrpc.connection.reconnects")
    metrics.connection_ready(SEND)
    metrics.connection_ready(SEND)
    assert readings.value("tracedrpc.connection.reconnects", {"tracedrpc.connection.purpose": "send"}) == 1


def test_connecting_is_timed_by_node(readings: Readings, metrics: Metrics) -> None:
    metrics.connection_ready(SEND)
    point = readings.point("tracedrpc.client.connection.create_time")
    assert (point.count, point.sum) == (1, 0.03)
    assert point.attributes == {
        "tracedrpc.connection.purpose": "send", "server.address": "rabbit-1", "server.port": 5672,
    }


def test_blocked_connections_are_counted_until_they_are_free_or_gone(
    readings: Readings, metrics: Metrics,
) -> None:
    def blocked() -> int:
        return readings.value("tracedrpc.connection.blocked")

    assert blocked() == 0
    metrics.connections.blocked(SEND)
    metrics.connections.blocked(SEND)
    metrics.connections.blocked(REPLIES)
    assert blocked() == 2
    metrics.connections.unblocked(SEND)
    assert blocked() == 1
    metrics.connections.lost(REPLIES, "reset")
    assert blocked() == 0


def test_waits_for_a_connection_are_timed_and_time_outs_counted(
    readings: Readings, metrics: Metrics,
) -> None:
    from tests.telemetry.test_metrics_pools import Basin

    pool = Basin()
    metrics.connection_acquired(pool, "waited", 250_000_000)
    metrics.acquire_failed(pool, "timeout", 2_000_000_000)
    metrics.acquire_failed(pool, "closed", 0)
    waits = {
        point.attributes["tracedrpc.pool.result"]: point.sum
        for point in readings.points("tracedrpc.client.connection.wait_time")
    }
    assert waits == {"waited": 0.25, "timeout": 2.0, "closed": 0.0}
    assert readings.value("tracedrpc.client.connection.timeouts", {"tracedrpc.pool.name": "send"}) == 1


def test_what_happened_before_the_provider_was_set_is_counted() -> None:
    tally = Tally(instruments.RETRIES)
    tally.add({"tracedrpc.reason": "reset"})
    (observation,) = tally.observe()
    assert (observation.value, observation.attributes) == (1, {"tracedrpc.reason": "reset"})


def test_no_count_is_lost_between_threads(readings: Readings, metrics: Metrics) -> None:
    def count() -> None:
        for _ in range(2000):
            metrics.heartbeat_received()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert readings.value("tracedrpc.client.heartbeats") == 8000


# ---- bounds -----------------------------------------------------------------------------------


@given(st.lists(st.text(max_size=3), max_size=400))
def test_a_counters_series_are_bounded_and_its_sum_is_exact(reasons: list[Any]) -> None:
    tally = Tally(instruments.RETRIES, limit=5)
    for reason in reasons:
        tally.add({"tracedrpc.reason": reason})
    observed = tally.observe()
    assert sum(one.value for one in observed) == len(reasons)
    assert len(observed) <= 6
    if len(set(reasons) - {"_OTHER"}) > 5:
        assert {"tracedrpc.reason": "_OTHER"} in [one.attributes for one in observed]


def test_keys_that_an_instrument_does_not_list_do_not_pass() -> None:
    tally = Tally(instruments.RETRIES)
    tally.add({"tracedrpc.reason": "reset", "tracedrpc.msg_id": "a" * 32})  # type: ignore[dict-item]
    assert [one.attributes for one in tally.observe()] == [{"tracedrpc.reason": "reset"}]


def test_a_flood_of_reasons_makes_few_series(readings: Readings, metrics: Metrics) -> None:
    for number in range(10 * TALLY_LIMIT):
        metrics.message_dropped(f"reason {number}")
    points = readings.points("tracedrpc.message_dropped")
    assert len(points) == TALLY_LIMIT + 1
    assert sum(point.value for point in points) == 10 * TALLY_LIMIT


@given(st.lists(st.text(max_size=2)))
def test_the_first_values_pass_always_and_later_ones_have_one_name(values: list[Any]) -> None:
    bounded = Bounded(3)
    first = list(dict.fromkeys(values))[:3]
    for value in values:
        assert bounded.of(value) == (value if value in first else "_OTHER")
