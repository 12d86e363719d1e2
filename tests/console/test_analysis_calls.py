"""Methods as tables, the map of services, and pools from metrics."""

from __future__ import annotations

from typing import Any

import pytest

from tracedrpc_console.analysis import pools as of_pools
from tracedrpc_console.analysis.calls import by_method, compare, covered_s
from tracedrpc_console.analysis.pools import Wait, pools, quantile
from tracedrpc_console.analysis.servicemap import service_map, topics_served
from tracedrpc_console.spans import Kind
from tracedrpc_console.store.model import CallRow, Edge, Operation, Point, Series

S = 10**9


def call(method: str = "compute/boot", ms: float = 10.0, **fields: Any) -> CallRow:
    given = {"mode": "call", "service": "api", "version": "", "start_ns": S} | fields
    return CallRow("t" * 32, method, duration_ns=int(ms * 1e6), **given)


# ---- methods -------------------------------------------------------------------------------------


def test_a_method_has_its_rate_errors_and_percentiles() -> None:
    rows = [call(ms=at, is_error=at > 98) for at in range(1, 101)]
    (stats,) = by_method(rows, seconds=50).values()
    assert (stats.count, stats.errors, stats.rate) == (100, 2, 2.0)
    assert (stats.p50, stats.p95, stats.p99) == (50.0, 95.0, 99.0)


def test_phases_are_means_over_the_calls_that_tell_them() -> None:
    rows = [call(phases={"queue": 4.0, "handler": 6.0}), call(phases={"queue": 2.0}), call()]
    (stats,) = by_method(rows, 1).values()
    assert stats.phases == {"queue": 3.0, "handler": 3.0}


def test_time_outs_are_counted_by_phase() -> None:
    rows = [call(timeout_phase="server"), call(timeout_phase="server"), call(timeout_phase="connect"), call()]
    (stats,) = by_method(rows, 1).values()
    assert stats.timeouts == {"server": 2, "connect": 1}


def test_the_method_that_took_the_most_time_comes_first() -> None:
    rows = [call("a/quick", 1), call("a/quick", 1), call("a/slow", 9), call("a/quick", 1, mode="cast")]
    assert list(by_method(rows, 1)) == [("a/slow", "call"), ("a/quick", "call"), ("a/quick", "cast")]


def test_two_sides_are_put_beside_each_other() -> None:
    first, second = by_method([call("a/x"), call("a/y")], 1), by_method([call("a/y"), call("a/z")], 1)
    sides = {each.method: (each.a is not None, each.b is not None) for each in compare(first, second)}
    assert sides == {"a/x": (True, False), "a/y": (True, True), "a/z": (False, True)}
    assert [each.b for each in compare(first, None)] == [None, None]


def test_a_stretch_that_is_open_to_the_past_begins_with_its_first_call() -> None:
    rows = [call(start_ns=7 * S), call(start_ns=4 * S)]
    assert covered_s(rows, 0, 10 * S) == 6.0
    assert covered_s(rows, 5 * S, 10 * S) == 5.0
    assert covered_s([], 0, 10 * S) == 0.0


def test_calls_at_one_instant_have_no_rate() -> None:
    assert by_method([call()], 0)["compute/boot", "call"].rate == 0.0


# ---- the map -------------------------------------------------------------------------------------


def test_calls_go_through_the_queue_of_their_topic() -> None:
    rows = [call(ms=1), call(ms=3, is_error=True)]
    drawn = service_map([Edge("api", "host", 4, 1)], rows, {"host": {"compute"}})
    assert {(each.start, each.end, each.calls, each.errors, each.p95) for each in drawn.arrows} == {
        ("api", "compute", 2, 1, 3.0), ("compute", "host", 4, 1, None),
    }


def test_a_queue_that_is_called_like_its_service_is_another_node() -> None:
    drawn = service_map([Edge("api", "compute", 1, 0)], [call()], {"compute": {"compute"}})
    assert {(each.start, each.end) for each in drawn.arrows} == {
        ("api", "compute (queue)"), ("compute (queue)", "compute"),
    }
    kinds = {node.name: node.kind for node in drawn.nodes}
    assert kinds == {"api": "service", "compute": "service", "compute (queue)": "queue"}


def test_other_edges_are_drawn_as_they_are() -> None:
    drawn = service_map([Edge("web", "db", 5, 0), Edge("api", "host", 4, 0)], [call()], {"host": {"compute"}})
    assert {(each.start, each.end) for each in drawn.arrows} == {
        ("web", "db"), ("api", "compute"), ("compute", "host"),
    }
    kinds = {node.name: node.kind for node in drawn.nodes}
    assert kinds == dict.fromkeys(("web", "db", "api", "host"), "service") | {"compute": "queue"}


def test_an_edge_over_two_queues_is_divided_as_its_calls_are() -> None:
    rows = [call("one/x"), call("one/x"), call("one/x"), call("two/y")]
    drawn = service_map([Edge("api", "host", 8, 0)], rows, {"host": {"one", "two", "three"}})
    into = {(each.start, each.calls) for each in drawn.arrows if each.end == "host"}
    assert into == {("one", 6), ("two", 2)}


def test_a_queue_that_nobody_serves_is_on_the_map() -> None:
    drawn = service_map([], [call("gone/x", is_error=True)], {})
    nodes = [(node.name, node.kind, node.errors) for node in drawn.nodes]
    assert nodes == [("gone", "queue", 1), ("api", "service", 0)]


def test_the_topics_of_a_service_are_those_of_its_server_spans() -> None:
    operations = [
        Operation("compute/boot", Kind.SERVER), Operation("process stock/take", Kind.CONSUMER),
        Operation("api/boot", Kind.CLIENT), Operation("/healthz", Kind.SERVER), Operation("GET", Kind.SERVER),
    ]
    assert topics_served(operations) == {"compute", "stock"}


# ---- pools ---------------------------------------------------------------------------------------


def series(name: str, *points: Point, **attributes: str) -> Series:
    named = {key.replace("__", "."): value for key, value in attributes.items()}
    return Series(name, "", "api", "i-1", named, points)


def found(*all_series: Series) -> Any:
    return lambda name: [each for each in all_series if each.name == name]


def test_a_pool_has_its_lines_within_the_stretch_of_time() -> None:
    name = {"tracedrpc__pool__name": "send"}
    shown = pools(found(
        series(of_pools.COUNT, Point(5, 1), Point(15, 2), tracedrpc__connection__state="used", **name),
        series(of_pools.COUNT, Point(15, 3), tracedrpc__connection__state="idle", **name),
        series(of_pools.LINES["max"], Point(15, 8), **name),
    ), 10, 20)
    (pool,) = shown.pools
    assert (pool.service, pool.instance, pool.name) == ("api", "i-1", "send")
    assert pool.lines == {"used": ((15, 2),), "idle": ((15, 3),), "max": ((15, 8),)}


@pytest.mark.parametrize(
    ("points", "grown"),
    [
        ([Point(5, 10), Point(15, 14)], 4),  # what came before is taken off
        ([Point(15, 14)], 14),  # a process that began meanwhile
        ([Point(5, 10), Point(12, 12), Point(15, 3)], 5),  # a process that began anew
        ([Point(5, 10)], 0),
    ],
)
def test_a_counter_counts_what_it_grew_in_the_stretch_of_time(points: list[Point], grown: int) -> None:
    shown = pools(found(series(of_pools.TIMEOUTS, *points, tracedrpc__timeout__phase="server")), 10, 20)
    assert shown.timeouts == ({"server": grown} if grown else {})


def test_waits_come_from_the_buckets_that_were_added() -> None:
    inf = float("inf")
    name = {"tracedrpc__pool__name": "send"}
    before = Point(5, 1.0, 2, ((0.01, 2), (0.1, 0), (inf, 0)))
    after = Point(15, 1.5, 12, ((0.01, 7), (0.1, 4), (inf, 1)))
    (pool,) = pools(found(
        series(of_pools.COUNT, Point(15, 1), **name), series(of_pools.WAIT, before, after, **name),
    ), 10, 20).pools
    assert pool.wait == Wait(10, 50.0, 10.0, None, None)


def test_a_quantile_is_the_bound_of_its_bucket() -> None:
    assert quantile({0.01: 5, 0.1: 4, float("inf"): 1}, 10, 0.9) == 100.0
    assert quantile({0.01: 5, 0.1: 4, float("inf"): 1}, 10, 0.95) is None
    assert quantile({}, 10, 0.5) is None


def test_heartbeats_and_closed_connections_are_counted() -> None:
    shown = pools(found(
        series(of_pools.RECEIVED, Point(15, 3)), series(of_pools.SENT, Point(15, 4)),
        series(of_pools.COUNT, Point(15, 1), tracedrpc__pool__name="send"),
        series(of_pools.CLOSED, Point(15, 2), tracedrpc__reason="idle"),
        series(of_pools.CREATED, Point(15, 0.5, 6)),
    ), 10, 20)
    (beats,) = shown.heartbeats
    assert (beats.service, beats.received, beats.sent) == ("api", 3, 4)
    assert (shown.pools[0].closed, shown.pools[0].created) == ({"idle": 2}, 6)
