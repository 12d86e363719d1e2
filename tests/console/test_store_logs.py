"""Log records and metric points go in as OTLP and come out as what was exported."""

from __future__ import annotations

import math

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.console.exports import BEGIN_NS, MS, a_log, gauge_export, log_export, put, span_id, trace_id
from tests.console.stores import store
from tracedrpc_console.store.model import LogQuery, Point
from tracedrpc_console.store.signals import Signal


@pytest.fixture
def a_store():
    with store() as made:
        yield made


def test_a_record_comes_back_with_all_that_was_exported(a_store):
    row = a_log(
        "no reply in 60 s", severity=13, level="WARNING", trace_id=trace_id(1), span_id=span_id(2),
        event="call_timed_out", attributes={"n": 1, "part": 0.5, "list": ["a"]},
    )
    a_store.logs(row)
    (found,) = a_store.reader.logs(LogQuery()).items
    assert found.id > 0
    assert {name: getattr(found, name) for name in row.__slots__ if name != "id"} == {
        name: getattr(row, name) for name in row.__slots__ if name != "id"
    }


def test_a_record_without_a_level_has_that_of_its_number_and_one_without_a_time_that_of_its_notice(a_store):
    request = log_export(a_log(severity=18, level=""))
    record = request.resource_logs[0].scope_logs[0].log_records[0]
    record.time_unix_nano, record.observed_time_unix_nano = 0, BEGIN_NS + 5
    record.body.kvlist_value.SetInParent()
    put(record.body.kvlist_value.values, {"what": "lost", "n": 1})
    put(record.attributes, {"otel.event.name": "connection_lost"})
    a_store.take(Signal.LOGS, request)
    (found,) = a_store.reader.logs(LogQuery(text="lost", event="connection_lost")).items
    assert (found.level, found.at_ns, found.body) == ("ERROR", BEGIN_NS + 5, '{"what": "lost", "n": 1}')


def test_records_of_one_instant_are_all_kept_in_the_order_of_arrival(a_store):
    for part in range(3):
        a_store.logs(*(a_log(f"{part * 1000 + n}") for n in range(1000)))
    found = a_store.reader.logs_after(0, 5000)
    assert [row.body for row in found] == [str(n) for n in range(3000)]
    assert len({row.id for row in found}) == 3000
    assert len(a_store.reader.logs(LogQuery(limit=5000)).items) == 3000


def test_a_tail_gives_what_has_arrived_since(a_store):
    a_store.logs(a_log("old", at_ms=9))
    last = a_store.reader.last_log_id()
    assert a_store.reader.logs_after(last) == []
    a_store.logs(a_log("late but new", at_ms=1), a_log("other", at_ms=2))
    assert [row.body for row in a_store.reader.logs_after(last)] == ["late but new", "other"]
    (found,) = a_store.reader.logs(LogQuery(after_id=last, text="new")).items
    assert found.body == "late but new"


def test_a_gauge_comes_back_as_a_series_for_each_set_of_attributes(a_store):
    a_store.take(Signal.METRICS, gauge_export("pool.used", (1, 2.5), (0, 1.5), pool="a"))
    a_store.take(Signal.METRICS, gauge_export("pool.used", (2, 3.5), (1, 99.0), pool="a"))
    a_store.take(Signal.METRICS, gauge_export("pool.used", (0, 7.0), pool="b"))
    a_store.take(Signal.METRICS, gauge_export("pool.max", (0, 7.0), pool="a"))
    one, other = a_store.reader.metric_series("pool.used")
    assert [(point.at_ns - BEGIN_NS, point.value) for point in one.points] == [
        (0, 1.5), (MS, 2.5), (2 * MS, 3.5),
    ]
    assert (one.unit, one.service, one.instance, one.attributes) == ("s", "api", "api-1", {"pool": "a"})
    assert other.attributes == {"pool": "b"}
    assert a_store.reader.metric_series("pool.used", attributes={"pool": "b"}) == [other]
    assert a_store.reader.metric_series("pool.used", BEGIN_NS + 3 * MS) == []
    assert a_store.reader.metric_names() == ["pool.max", "pool.used"]
    assert a_store.reader.status().points == 5


def test_histograms_come_back_with_their_buckets(a_store):
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    metrics.add(name="explicit").histogram.data_points.add(
        time_unix_nano=BEGIN_NS, count=6, sum=4.5, explicit_bounds=[0.1, 1.0], bucket_counts=[1, 2, 3],
    )
    point = metrics.add(name="exponential").exponential_histogram.data_points.add(
        time_unix_nano=BEGIN_NS, count=7, sum=9.0, scale=0, zero_count=1, zero_threshold=0.5,
    )
    point.positive.offset, point.negative.offset = 0, 1
    point.positive.bucket_counts.extend([1, 0, 2])
    point.negative.bucket_counts.extend([3])
    metrics.add(name="summary").summary.data_points.add(time_unix_nano=BEGIN_NS, count=2, sum=3.0)
    metrics.add(name="nothing")
    a_store.take(Signal.METRICS, request)
    points = {
        name: each.points
        for name in a_store.reader.metric_names() for each in a_store.reader.metric_series(name)
    }
    assert points == {
        "explicit": (Point(BEGIN_NS, 4.5, 6, ((0.1, 1), (1.0, 2), (math.inf, 3))),),
        "exponential": (Point(BEGIN_NS, 9.0, 7, ((-2.0, 3), (0.5, 1), (2.0, 1), (8.0, 2))),),
        "summary": (Point(BEGIN_NS, 3.0, 2),),
    }


@pytest.mark.parametrize(("value", "stored"), [(math.nan, 0.0), (math.inf, math.inf), (-1e308, -1e308)])
def test_numbers_that_are_none_do_not_stop_the_others(a_store, value, stored):
    a_store.take(Signal.METRICS, gauge_export("odd", (0, value), (1, 1.0)))
    (series,) = a_store.reader.metric_series("odd")
    assert [point.value for point in series.points] == [stored, 1.0]
