"""Pools are looked at when a reader collects; what only grows stays when they are gone."""

from __future__ import annotations

import gc
from typing import Any

from tests.telemetry.meters import Readings
from tracedrpc.telemetry import PoolStats
from tracedrpc_otel.metrics import Metrics

CONNECTION = "tracedrpc.client.connection."
SEND = {"tracedrpc.pool.name": "send"}
IDLE = {"tracedrpc.connection.state": "idle"}
USED = {"tracedrpc.connection.state": "used"}


class Basin:
    """A pool whose counts can be set."""

    def __init__(self, name: str = "send", **counts: int) -> None:
        self.name = name
        self.counts: dict[str, int] = {
            "idle": 0, "in_use": 0, "waiters": 0, "max_size": 10, "created": 0, "closed": 0, **counts,
        }

    def stats(self) -> PoolStats:
        return PoolStats(**self.counts)


def _watched(*pools: Basin) -> tuple[Readings, Metrics]:
    readings = Readings()
    metrics = Metrics(readings.provider)
    for pool in pools:
        metrics.pools.opened(pool)
    return readings, metrics


def _names(readings: Readings) -> set[str]:
    return {name.removeprefix(CONNECTION) for name in readings.collect() if name.startswith(CONNECTION)}


def test_a_pool_is_told_as_it_is_when_collected() -> None:
    pool = Basin(idle=1, in_use=2, waiters=3, min_size=1, acquired=40, used_ns=2_500_000_000)
    readings, _ = _watched(pool)
    assert readings.value(CONNECTION + "count", SEND | IDLE) == 1
    assert readings.value(CONNECTION + "count", SEND | USED) == 2
    assert readings.value(CONNECTION + "max", SEND) == 10
    assert readings.value(CONNECTION + "idle.max", SEND) == 10
    assert readings.value(CONNECTION + "idle.min", SEND) == 1
    assert readings.value(CONNECTION + "pending_requests", SEND) == 3
    assert readings.value(CONNECTION + "acquired", SEND) == 40
    assert readings.value(CONNECTION + "use_time", SEND) == 2.5
    pool.counts |= {"idle": 3, "in_use": 0, "acquired": 41}
    assert readings.value(CONNECTION + "count", SEND | IDLE) == 3
    assert readings.value(CONNECTION + "acquired", SEND) == 41


def test_pools_of_one_name_are_added_up_and_others_are_apart() -> None:
    pools = Basin(idle=1, acquired=4), Basin(idle=2, acquired=5), Basin("other", idle=7)
    readings, _ = _watched(*pools)
    assert readings.value(CONNECTION + "count", SEND | IDLE) == 3
    assert readings.value(CONNECTION + "max", SEND) == 20
    assert readings.value(CONNECTION + "acquired", SEND) == 9
    assert readings.value(CONNECTION + "count", {"tracedrpc.pool.name": "other"} | IDLE) == 7
    assert len(pools) == 3


def test_a_closed_pool_has_no_connections_and_its_counts_stay() -> None:
    pool = Basin(idle=2, acquired=4, used_ns=1_000_000_000)
    readings, metrics = _watched(pool)
    pool.counts["acquired"] = 6
    metrics.pools.closed(pool)
    pool.counts["acquired"] = 1_000
    assert readings.value(CONNECTION + "count", SEND | IDLE) == 0
    assert readings.value(CONNECTION + "max", SEND) == 0
    assert readings.value(CONNECTION + "acquired", SEND) == 6
    metrics.pools.opened(Basin())
    metrics.pools.closed(pool)  # a second time
    assert readings.value(CONNECTION + "acquired", SEND) == 6
    assert readings.value(CONNECTION + "use_time", SEND) == 1


def test_metrics_keep_no_pool_alive_and_no_count_falls() -> None:
    pool = Basin(idle=2, acquired=4)
    readings, metrics = _watched(pool)
    assert readings.value(CONNECTION + "acquired", SEND) == 4
    del pool
    gc.collect()
    assert readings.value(CONNECTION + "acquired", SEND) == 4
    assert readings.value(CONNECTION + "count", SEND | IDLE) == 0
    assert not metrics.pools._known


def test_without_pools_there_are_no_series_of_pools() -> None:
    readings, _ = _watched()
    assert not _names(readings) & {"count", "max", "idle.max", "idle.min", "pending_requests", "acquired"}


def test_a_pool_that_raises_spoils_no_other_metric(caplog: Any) -> None:
    class Broken(Basin):
        def stats(self) -> PoolStats:
            raise RuntimeError("broken")

    pool = Broken()
    readings, metrics = _watched(pool)
    metrics.heartbeat_sent()
    assert readings.value("tracedrpc.server.heartbeats") == 1
    assert {record.name.split(".")[0] for record in caplog.records} == {"opentelemetry"}
    assert pool.name == "send"
